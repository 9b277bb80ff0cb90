//! What a certificate says, as far as logs, headers and policies want to know it. RFC 5280
//!
//! Nothing here decides whether a certificate is to be trusted.

use std::fmt::Write as _;
use std::net::IpAddr;

use x509_parser::asn1_rs::Tag;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AttributeTypeAndValue, SubjectPublicKeyInfo, X509Name};

use crate::fingerprint::Digest;

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The whole of it, as it was sent.
    pub der: Vec<u8>,
    /// SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
    /// The kind of the public key.
    pub key: Key,
    /// CN of the subject; empty without one that can be used.
    pub common_name: String,
    /// CN of the issuer, else its organisation.
    pub issuer_name: String,
    /// The subject as OpenSSL writes it on one line: `/O=Lab/CN=name`.
    pub subject: String,
    /// The issuer in the same form.
    pub issuer: String,
    /// DNS names among the alternative names of the subject.
    pub dns_names: Vec<String>,
    /// There are such names, or what should be names and cannot be read: the CN says nothing then.
    pub has_alternatives: bool,
    /// Addresses among them.
    pub addresses: Vec<IpAddr>,
    /// When it becomes valid, in seconds since 1970.
    pub not_before: i64,
    /// When it ceases to be.
    pub not_after: i64,
    /// Subject and issuer are the same.
    pub is_self_issued: bool,
    /// Why common names are empty though there are some, for the log.
    pub(crate) odd: Vec<String>,
}

/// A public key as summaries name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Bits of the modulus.
    Rsa(usize),
    /// The curve in OpenSSL's words, or its object identifier.
    Ec(String),
    /// RFC 8410.
    Ed25519,
    /// RFC 8410.
    Ed448,
    /// DSA, GOST and whatever else there is.
    Other,
}

/// The one way to read DER: what has something behind it is no certificate.
pub(crate) fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, parsed)| parsed)
}

impl Certificate {
    /// Reads DER; `None` for what is no certificate, or has something behind it.
    pub fn read(der: &[u8]) -> Option<Certificate> {
        let parsed = parsed(der)?;
        let mut odd = Vec::new();
        let mut certificate = Certificate {
            der: der.to_vec(),
            public_key: parsed.public_key().raw.to_vec(),
            key: key(parsed.public_key()),
            common_name: last(parsed.subject().iter_common_name(), "subject CN", &mut odd),
            issuer_name: last(parsed.issuer().iter_common_name(), "issuer CN", &mut odd),
            subject: one_line(parsed.subject()),
            issuer: one_line(parsed.issuer()),
            dns_names: Vec::new(),
            has_alternatives: false,
            addresses: Vec::new(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            is_self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
            odd: Vec::new(),
        };
        if certificate.issuer_name.is_empty() {
            let organisation = parsed.issuer().iter_organization();
            certificate.issuer_name = last(organisation, "issuer Organization", &mut odd);
        }
        certificate.odd = odd;
        match parsed.subject_alternative_name() {
            Ok(Some(names)) => names.value.general_names.iter().for_each(|name| certificate.add_name(name)),
            Ok(None) => {}
            Err(_) => certificate.has_alternatives = true,
        }
        Some(certificate)
    }

    fn add_name(&mut self, name: &GeneralName<'_>) {
        match name {
            GeneralName::DNSName(name) => {
                self.has_alternatives = true;
                // A name with a NUL or with bytes that no name has is made to deceive.
                if name.bytes().all(|byte| byte.is_ascii_graphic()) {
                    self.dns_names.push((*name).to_owned());
                }
            }
            GeneralName::IPAddress(bytes) => self.addresses.extend(address(bytes)),
            // What cannot be read may have been a name.
            GeneralName::Invalid(..) => self.has_alternatives = true,
            _ => {}
        }
    }

    /// The fingerprint of the certificate.
    pub fn fingerprint(&self, digest: Digest) -> String {
        digest.fingerprint(&self.der)
    }

    /// What logs say of the certificate of a peer.
    pub(crate) fn peer_line(&self, peer: &str, digest: Digest) -> String {
        let (subject, issuer) =
            (text::printable(self.common_name.as_bytes()), text::printable(self.issuer_name.as_bytes()));
        let (whole, key) = (self.fingerprint(digest), self.key_fingerprint(digest));
        format!("{peer}: subject_CN={subject}, issuer={issuer}, cert fingerprint={whole}, pkey fingerprint={key}")
    }

    /// The fingerprint of its public key.
    pub fn key_fingerprint(&self, digest: Digest) -> String {
        digest.fingerprint(&self.public_key)
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// The kind of a public key.
pub(crate) fn key(info: &SubjectPublicKeyInfo<'_>) -> Key {
    let algorithm = info.algorithm.algorithm.to_id_string();
    match algorithm.as_str() {
        "1.3.101.112" => return Key::Ed25519,
        "1.3.101.113" => return Key::Ed448,
        _ => {}
    }
    match info.parsed() {
        Ok(PublicKey::RSA(rsa)) => Key::Rsa(modulus_bits(rsa.modulus)),
        Ok(PublicKey::EC(_)) => {
            let curve = info.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
            Key::Ec(curve.map_or_else(String::new, |oid| curve_name(&oid.to_id_string())))
        }
        _ => Key::Other,
    }
}

fn modulus_bits(modulus: &[u8]) -> usize {
    let start = modulus.iter().position(|byte| *byte != 0).unwrap_or(modulus.len());
    let digits = modulus.get(start..).unwrap_or_default();
    let unused = digits.first().map_or(0, |first| first.leading_zeros() as usize);
    digits.len() * 8 - unused
}

fn curve_name(oid: &str) -> String {
    let name = match oid {
        "1.2.840.10045.3.1.7" => "prime256v1",
        "1.3.132.0.34" => "secp384r1",
        "1.3.132.0.35" => "secp521r1",
        other => other,
    };
    name.to_owned()
}

/// Bytes that a name may have, which goes into headers, requests to other programs and the log.
/// told: the log; the name is none.
const LONGEST_NAME: usize = 255;

/// The last of some attributes, which is the one that counts for OpenSSL. `what` it is, and what is wrong with it.
fn last<'a>(
    attributes: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
    what: &str,
    odd: &mut Vec<String>,
) -> String {
    let text = attributes.last().map(value).unwrap_or_default();
    let wrong = match text.len() {
        _ if text.contains('\0') => format!("NULL character in peer {what}"),
        length if length > LONGEST_NAME => format!("peer {what} too long: {length}"),
        _ => return text,
    };
    odd.push(wrong);
    String::new()
}

/// The text of an attribute, whatever alphabet it is written in.
fn value(attribute: &AttributeTypeAndValue<'_>) -> String {
    let any = attribute.attr_value();
    let bytes = any.data;
    match any.tag() {
        Tag::BmpString => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        Tag::UniversalString => {
            let points = bytes.chunks_exact(4).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
            points.map(|point| char::from_u32(point).unwrap_or('\u{fffd}')).collect()
        }
        Tag::T61String => bytes.iter().map(|byte| char::from(*byte)).collect(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// `/C=DE/O=Lab/CN=name`; bytes that are not printable ASCII as `\xNN`.
pub(crate) fn one_line(name: &X509Name<'_>) -> String {
    let mut line = String::new();
    for attribute in name.iter_attributes() {
        let oid = attribute.attr_type().to_id_string();
        let _ = write!(line, "/{}=", attribute_name(&oid));
        for byte in attribute.attr_value().data {
            match byte {
                b' '..=b'~' => line.push(char::from(*byte)),
                other => {
                    let _ = write!(line, "\\x{other:02X}");
                }
            }
        }
    }
    line
}

fn attribute_name(oid: &str) -> &str {
    match oid {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.42" => "GN",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "1.3.6.1.4.1.311.60.2.1.2" => "jurisdictionST",
        "1.3.6.1.4.1.311.60.2.1.3" => "jurisdictionC",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut parameters = CertificateParams::new(vec!["mx.example.test".to_owned()]).unwrap();
        change(&mut parameters);
        let made = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Certificate::read(made.der()).unwrap()
    }

    #[test]
    fn names_and_keys_are_read() {
        let certificate = made(|parameters| {
            parameters.distinguished_name.push(DnType::OrganizationName, "Lab");
            parameters.distinguished_name.push(DnType::CommonName, "cn.example.test");
            parameters.subject_alt_names.push(SanType::IpAddress("2001:db8::1".parse().unwrap()));
        });
        assert_eq!(certificate.common_name, "cn.example.test");
        assert!(certificate.subject.contains("/O=Lab") && certificate.subject.contains("/CN=cn.example.test"));
        assert_eq!(certificate.dns_names, ["mx.example.test"]);
        assert_eq!(certificate.addresses, ["2001:db8::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(certificate.key, Key::Ec("prime256v1".to_owned()));
        assert!(certificate.is_self_issued);
        assert_eq!(certificate.fingerprint(Digest::Sha256).len(), 95);
    }

    #[test]
    fn a_name_that_deceives_is_none_and_hides_the_common_name_all_the_same() {
        let deceiving = made(|parameters| {
            parameters.distinguished_name.push(DnType::CommonName, "cn.example.test");
            let name = "mx.example.test\0.other.test".to_owned().try_into().unwrap();
            parameters.subject_alt_names = vec![SanType::DnsName(name)];
        });
        assert_eq!((deceiving.dns_names.len(), deceiving.has_alternatives), (0, true));
        let address = made(|parameters| {
            parameters.subject_alt_names = vec![SanType::IpAddress("192.0.2.1".parse().unwrap())];
        });
        assert!(!address.has_alternatives);
    }

    #[test]
    fn a_name_that_is_too_long_or_has_a_nul_in_it_is_none_and_that_is_told() {
        let named = |name: &str| made(|parameters| parameters.distinguished_name.push(DnType::CommonName, name));
        let good = named(&"\u{e9}".repeat(127));
        assert_eq!((good.common_name.len(), good.issuer_name.len(), good.odd.len()), (254, 254, 0));
        let long = named(&"\u{e9}".repeat(128));
        assert_eq!((long.common_name.as_str(), long.issuer_name.as_str()), ("", ""));
        assert_eq!(long.odd, ["peer subject CN too long: 256", "peer issuer CN too long: 256"]);
        let deceiving = named("mx.example.test\0.other.test");
        assert_eq!(deceiving.common_name, "");
        assert_eq!(deceiving.odd, ["NULL character in peer subject CN", "NULL character in peer issuer CN"]);
    }

    #[test]
    fn bits_are_those_of_the_modulus_without_its_leading_zeros() {
        assert_eq!(modulus_bits(&[0, 0x80, 0]), 16);
        assert_eq!(modulus_bits(&[0x7f, 0]), 15);
        assert_eq!(modulus_bits(&[0]), 0);
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert_eq!(Certificate::read(b""), None);
        let mut longer = made(|_| {}).der;
        longer.push(0);
        assert_eq!(Certificate::read(&longer), None);
    }

    proptest::proptest! {
        /// A certificate with some bytes changed is another one or none.
        #[test]
        fn broken_certificates_do_no_harm(at in 0usize..400, byte: u8) {
            let mut der = made(|_| {}).der;
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
            let _ = Certificate::read(&der);
        }
    }
}
