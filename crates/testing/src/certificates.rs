//! Certificates for servers and clients of tests: authorities, those that they issue, and what stands in TLSA records.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, PublicKeyData, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate as TLSA records see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The whole of it.
    pub der: Vec<u8>,
    /// Its public key.
    pub public_key: Vec<u8>,
    /// It as a file.
    pub pem: String,
}

/// An authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, then those of the authorities above.
    chain: Vec<Described>,
}

/// A certificate with its key, and the authorities that come along.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate first.
    pub chain: Vec<Described>,
    /// PKCS 8.
    key: Vec<u8>,
    key_pem: String,
}

/// When a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Now.
    Current,
    /// No longer.
    Over,
}

impl Authority {
    /// One that nobody has signed but itself.
    pub fn root(name: &str) -> Authority {
        let (parameters, key) = (of_authority(name), new_key());
        let certificate = parameters.self_signed(&key).unwrap_or_else(|e| panic!("{name}: {e}"));
        let chain = vec![described(&certificate, &key)];
        Authority { issuer: Issuer::new(parameters, key), chain }
    }

    /// One below this.
    pub fn below(&self, name: &str) -> Authority {
        let (parameters, key) = (of_authority(name), new_key());
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap_or_else(|e| panic!("{name}: {e}"));
        let chain = [vec![described(&certificate, &key)], self.chain.clone()].concat();
        Authority { issuer: Issuer::new(parameters, key), chain }
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Described {
        &self.chain[0]
    }

    /// The certificate of a server with these names; what comes along ends below the root.
    pub fn issue(&self, names: &[&str], period: Period) -> Identity {
        let (parameters, key) = (of_server(names, period), new_key());
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap_or_else(|e| panic!("{names:?}: {e}"));
        let above = self.chain.len().saturating_sub(1);
        let chain = [vec![described(&certificate, &key)], self.chain[..above].to_vec()].concat();
        Identity { chain, key: key.serialize_der(), key_pem: key.serialize_pem() }
    }
}

impl Identity {
    /// A certificate that its own key has signed.
    pub fn self_signed(names: &[&str], period: Period) -> Identity {
        let (parameters, key) = (of_server(names, period), new_key());
        let certificate = parameters.self_signed(&key).unwrap_or_else(|e| panic!("{names:?}: {e}"));
        let chain = vec![described(&certificate, &key)];
        Identity { chain, key: key.serialize_der(), key_pem: key.serialize_pem() }
    }

    /// The same, with an RSA key of 2,048 bits.
    pub fn self_signed_rsa(names: &[&str]) -> Identity {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap_or_else(|e| panic!("key: {e}"));
        let parameters = of_server(names, Period::Current);
        let certificate = parameters.self_signed(&key).unwrap_or_else(|e| panic!("{names:?}: {e}"));
        let chain = vec![described(&certificate, &key)];
        Identity { chain, key: key.serialize_der(), key_pem: key.serialize_pem() }
    }

    /// The same, with so much that comes along that it has at least `size` bytes.
    pub fn swollen(mut self, size: usize) -> Identity {
        let own = self.certificate().clone();
        let count = size / own.der.len() + 1;
        self.chain.extend(std::iter::repeat_n(own, count));
        self
    }

    /// The certificate without those that come along.
    pub fn certificate(&self) -> &Described {
        &self.chain[0]
    }

    /// The chain as a file.
    pub fn certificates_pem(&self) -> String {
        self.chain.iter().map(|one| one.pem.as_str()).collect()
    }

    /// The key as a file.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The secret half of the key, as files and memory have it.
    pub fn secret(&self) -> Vec<u8> {
        // PKCS 8 of a P-256 key, as it is made here: the number begins behind a header of 36 bytes.
        self.key[36..68].to_vec()
    }

    pub(crate) fn for_rustls(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = self.chain.iter().map(|one| CertificateDer::from(one.der.clone())).collect();
        (chain, PrivatePkcs8KeyDer::from(self.key.clone()).into())
    }
}

impl Described {
    /// The content of a TLSA record about it: `3 1 1 HEX`.
    pub fn tlsa(&self, usage: u8, selector: u8, matching_type: u8) -> String {
        let selected = if selector == 0 { &self.der } else { &self.public_key };
        let data = match matching_type {
            1 => digest(&SHA256, selected).as_ref().to_vec(),
            2 => digest(&SHA512, selected).as_ref().to_vec(),
            _ => selected.clone(),
        };
        let hex: String = data.iter().map(|byte| format!("{byte:02X}")).collect();
        format!("{usage} {selector} {matching_type} {hex}")
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().unwrap_or_else(|e| panic!("key: {e}"))
}

fn described(certificate: &rcgen::Certificate, key: &KeyPair) -> Described {
    let (der, public_key) = (certificate.der().to_vec(), key.subject_public_key_info());
    Described { der, public_key, pem: certificate.pem() }
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::OrganizationName, "Lab");
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_after = date_time_ymd(2100, 1, 1);
    parameters
}

fn of_authority(name: &str) -> CertificateParams {
    let mut parameters = parameters(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters
}

fn of_server(names: &[&str], period: Period) -> CertificateParams {
    let name = names.first().copied().unwrap_or_default();
    let named = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let named = named.unwrap_or_else(|e| panic!("{names:?}: {e}"));
    let mut parameters = parameters(name);
    parameters.subject_alt_names = named.subject_alt_names;
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    if period == Period::Over {
        parameters.not_after = date_time_ymd(2020, 1, 1);
    }
    parameters
}
