//! What a peer has shown to say who it is: a certificate, or the public key alone (RFC 7250).
//!
//! Which of the two was agreed on need not be remembered: what is read as the one is never the other. That the peer has
//! the key was checked in the handshake, by the kind that was agreed on.

use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::certificate::{Certificate, Key, key};
use crate::facts::Signature;
use crate::fingerprint::Digest;

/// What says who a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A certificate.
    Certificate(Box<Certificate>),
    /// A public key without a certificate: it has no names, no dates and no issuer.
    RawKey(RawKey),
}

/// A public key that nobody has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawKey {
    /// SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// Its kind.
    pub key: Key,
}

impl Credential {
    /// Reads DER; `None` for what is neither, or has something behind it.
    pub fn read(der: &[u8]) -> Option<Credential> {
        if let Some(certificate) = Certificate::read(der) {
            return Some(Self::Certificate(Box::new(certificate)));
        }
        let (_, info) = SubjectPublicKeyInfo::from_der(der).ok().filter(|(rest, _)| rest.is_empty())?;
        Some(Self::RawKey(RawKey { public_key: der.to_vec(), key: key(&info) }))
    }

    /// The certificate, if it is one.
    pub fn certificate(&self) -> Option<&Certificate> {
        match self {
            Self::Certificate(certificate) => Some(certificate),
            Self::RawKey(_) => None,
        }
    }

    /// The fingerprint of the public key.
    pub fn key_fingerprint(&self, digest: Digest) -> String {
        match self {
            Self::Certificate(certificate) => certificate.key_fingerprint(digest),
            Self::RawKey(raw) => digest.fingerprint(&raw.public_key),
        }
    }

    /// What is wrong with the names of a certificate: the subject's in front of the issuer's.
    pub(crate) fn odd_names(&self) -> impl DoubleEndedIterator<Item = &String> {
        self.certificate().into_iter().flat_map(|certificate| &certificate.odd)
    }

    /// What logs say of it.
    pub(crate) fn peer_line(&self, peer: &str, digest: Digest) -> String {
        match self {
            Self::Certificate(certificate) => certificate.peer_line(peer, digest),
            Self::RawKey(_) => format!("{peer}: raw public key fingerprint={}", self.key_fingerprint(digest)),
        }
    }

    /// What a signature by its key is called.
    pub(crate) fn signature(&self, scheme: rustls::SignatureScheme) -> Signature {
        match self {
            Self::Certificate(certificate) => Signature::of(scheme, &certificate.key),
            Self::RawKey(raw) => Signature::of_raw(scheme, &raw.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PublicKeyData};

    #[test]
    fn a_key_is_no_certificate_and_a_certificate_no_key() {
        let key = KeyPair::generate().unwrap();
        let made = CertificateParams::new(vec!["mx.example.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        let whole = Credential::read(made.der()).unwrap();
        let bare = Credential::read(&key.subject_public_key_info()).unwrap();
        assert_eq!(whole.certificate().unwrap().dns_names, ["mx.example.test"]);
        assert_eq!(bare.certificate(), None);
        assert_eq!(bare.key_fingerprint(Digest::Sha256), whole.key_fingerprint(Digest::Sha256));
        let scheme = rustls::SignatureScheme::ECDSA_NISTP256_SHA256;
        assert_eq!(bare.signature(scheme).algorithm, "ECDSA (prime256v1 raw public key)");
        assert_eq!(whole.signature(scheme).algorithm, "ECDSA (prime256v1)");
    }

    #[test]
    fn what_has_something_behind_it_is_neither() {
        let mut key = KeyPair::generate().unwrap().subject_public_key_info();
        key.push(0);
        assert_eq!(Credential::read(&key), None);
        assert_eq!(Credential::read(b""), None);
    }
}
