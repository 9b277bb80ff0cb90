//! What the library does not tell of a handshake: with which schemes the two ends have signed.
//!
//! Certificates are never refused here. Whether a peer is who it is to be is judged when the handshake is complete, in
//! words that say why not; that it has the key of its certificate is checked here.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureAlgorithm, SignatureScheme};

use crate::certificate::{Certificate, Key};
use crate::credential::Credential;

/// What was seen of one handshake.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// The peer's scheme.
    pub(crate) theirs: Mutex<Option<SignatureScheme>>,
    /// Our scheme, and what we have shown: the DER of a certificate or of a public key.
    pub(crate) ours: Mutex<Option<(SignatureScheme, Vec<u8>)>>,
}

fn note<T>(place: &Mutex<Option<T>>, value: T) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

/// What was noted.
pub(crate) fn noted<T: Clone>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Takes any certificate, and checks that the peer has its key.
#[derive(Debug)]
pub(crate) struct Observer {
    /// A public key is to come in its place, from TLS 1.3 on. RFC 7250
    pub(crate) raw: bool,
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) witness: Arc<Witness>,
    /// Servers: a certificate is asked for.
    pub(crate) asks: bool,
    /// Servers: names of authorities that are hinted to clients.
    pub(crate) hints: Arc<[DistinguishedName]>,
}

impl Observer {
    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn check(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        is_tls13: bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        note(&self.witness.theirs, signed.scheme);
        let algorithms = &self.provider.signature_verification_algorithms;
        let checked = if self.raw && is_tls13 {
            let key = SubjectPublicKeyInfoDer::from(certificate.as_ref());
            verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
        } else if is_tls13 {
            verify_tls13_signature(message, certificate, signed, algorithms)
        } else {
            verify_tls12_signature(message, certificate, signed, algorithms)
        };
        checked.map_err(|error| shortness(certificate).map_or(error, Error::General))
    }
}

impl ServerCertVerifier for Observer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check(message, certificate, signed, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check(message, certificate, signed, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.raw
    }
}

impl ClientCertVerifier for Observer {
    fn offer_client_auth(&self) -> bool {
        self.asks
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check(message, certificate, signed, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check(message, certificate, signed, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.raw
    }
}

/// A key that is too short for the library, in words: it only says that the signature is not good.
fn shortness(certificate: &[u8]) -> Option<String> {
    const LEAST: usize = 2048;
    let (whose, key) = match Credential::read(certificate)? {
        Credential::Certificate(whole) => ("the peer's certificate", whole.key),
        Credential::RawKey(raw) => ("the peer", raw.key),
    };
    match key {
        Key::Rsa(bits) if bits < LEAST => {
            Some(format!("the RSA key of {whose} has {bits} bits, and {LEAST} are the least"))
        }
        _ => None,
    }
}

/// A key of ours whose scheme is noted.
#[derive(Debug)]
struct WatchedKey {
    key: Arc<dyn SigningKey>,
    /// What goes out with its signatures.
    shown: Vec<u8>,
    witness: Arc<Witness>,
}

impl SigningKey for WatchedKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.key.choose_scheme(offered)?;
        note(&self.witness.ours, (signer.scheme(), self.shown.clone()));
        Some(signer)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }
}

/// The same certificate, with a key whose use is noted.
pub(crate) fn watched(pair: &CertifiedKey, witness: &Arc<Witness>) -> Arc<CertifiedKey> {
    watch(pair, pair.cert.clone(), witness)
}

/// Its public key in its place.
pub(crate) fn watched_raw(pair: &CertifiedKey, witness: &Arc<Witness>) -> Option<Arc<CertifiedKey>> {
    let certificate = Certificate::read(pair.cert.first()?)?;
    Some(watch(pair, vec![certificate.public_key.into()], witness))
}

fn watch(pair: &CertifiedKey, shown: Vec<CertificateDer<'static>>, witness: &Arc<Witness>) -> Arc<CertifiedKey> {
    let first = shown.first().map(|der| der.to_vec()).unwrap_or_default();
    let key = WatchedKey { key: Arc::clone(&pair.key), shown: first, witness: Arc::clone(witness) };
    Arc::new(CertifiedKey::new(shown, Arc::new(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_too_short_is_named_with_its_size() {
        let told = shortness(include_bytes!("rsa-1024.der")).unwrap();
        assert_eq!(told, "the RSA key of the peer's certificate has 1024 bits, and 2048 are the least");
        assert_eq!(shortness(b"no certificate"), None);
    }
}
