//! Self-signed certificates, and requests for other ones, as Postfix's script has them made. RFC 5280, RFC 2986

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod,
};

use crate::tls::key::Key;

/// How long certificates are valid: nobody asks for a date where DANE decides.
const LIFETIME: Duration = Duration::from_secs(36_525 * 86_400);

/// Subject Key Identifier. RFC 5280 4.2.1.2
const KEY_IDENTIFIER: [u64; 4] = [2, 5, 29, 14];

/// A certificate for names, the first of which is its subject, signed by its own key; PEM.
///
/// # Errors
/// A name that cannot stand in a certificate.
pub(super) fn self_signed(key: &Key, names: &[String]) -> Result<String, String> {
    let made = |names: &[String]| -> Result<String, Error> {
        let mut wanted = wanted(names)?;
        if let Some(first) = names.first() {
            wanted.distinguished_name.push(DnType::CommonName, first.as_str());
        }
        wanted.is_ca = IsCa::ExplicitNoCa;
        wanted.key_identifier_method = KeyIdMethod::PreSpecified(key.identifier());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        wanted.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.as_secs());
        wanted.not_after = wanted.not_before + LIFETIME;
        Ok(wanted.self_signed(key.pair())?.pem())
    };
    made(names).map_err(|error| format!("error generating self-signed SSL certificate: {error}"))
}

/// A request for a certificate with these names; PEM.
///
/// # Errors
/// As above.
pub(super) fn request(key: &Key, names: &[String]) -> Result<String, String> {
    let made = || -> Result<String, Error> {
        let mut wanted = wanted(names)?;
        // An octet string of 20 bytes.
        let identifier = [&[4, 20][..], &key.identifier()].concat();
        wanted.custom_extensions = vec![CustomExtension::from_oid_content(&KEY_IDENTIFIER, identifier)];
        wanted.serialize_request(key.pair())?.pem()
    };
    made().map_err(|error| format!("error generating CSR: {error}"))
}

/// What both have.
fn wanted(names: &[String]) -> Result<CertificateParams, Error> {
    let mut wanted = CertificateParams::default();
    let dns = |name: &String| name.as_str().try_into().map(rcgen::SanType::DnsName);
    wanted.subject_alt_names = names.iter().map(dns).collect::<Result<_, _>>()?;
    wanted.distinguished_name = DistinguishedName::new();
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::key::Kind;

    #[test]
    fn a_certificate_is_for_its_key_and_its_names() {
        let names = ["mx.test".to_owned(), "192.0.2.1".to_owned()];
        for kind in [Kind::Rsa, Kind::Ecdsa] {
            let key = Key::generate(kind, None).unwrap();
            let text = self_signed(&key, &names).unwrap();
            let object = tls::pem::objects(text.as_bytes()).remove(0);
            let certificate = tls::Certificate::read(object.der.as_ref().unwrap()).unwrap();
            assert_eq!(certificate.public_key, key.public());
            assert_eq!((certificate.common_name.as_str(), &certificate.dns_names[..]), ("mx.test", &names[..]));
            assert_eq!(certificate.not_after - certificate.not_before, 36_525 * 86_400);
            assert!(request(&key, &names).unwrap().starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"));
        }
    }

    #[test]
    fn a_name_that_no_certificate_can_have_is_refused() {
        let key = Key::generate(Kind::Ecdsa, None).unwrap();
        assert!(self_signed(&key, &["b\u{fc}cher.test".to_owned()]).is_err());
    }
}
