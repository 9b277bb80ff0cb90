//! Chains of certificates that were made for the purpose, good ones and others.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::*;

/// An authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
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

fn root(name: &str) -> Authority {
    authority(of_authority(name), None)
}

fn authority(parameters: CertificateParams, above: Option<&Authority>) -> Authority {
    let key = KeyPair::generate().unwrap();
    let certificate = match above {
        None => parameters.self_signed(&key),
        Some(above) => parameters.signed_by(&key, &above.issuer),
    };
    let pem = key.serialize_pem();
    let issuer = Issuer::new(parameters, KeyPair::from_pem(&pem).unwrap());
    Authority { issuer, certificate: certificate.unwrap().der().clone(), key }
}

fn leaf(authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut parameters = parameters("mx1.dest.test");
    change(&mut parameters);
    parameters.signed_by(&KeyPair::generate().unwrap(), &authority.issuer).unwrap().der().clone()
}

fn trusting(certificates: &[&CertificateDer<'static>]) -> Anchors {
    let mut anchors = Anchors::default();
    certificates.iter().for_each(|it| assert!(anchors.add((*it).clone())));
    anchors
}

fn verdict(anchors: &Anchors, chain: &[&CertificateDer<'static>]) -> Result<usize, Fault> {
    let chain: Vec<_> = chain.iter().map(|it| (*it).clone()).collect();
    anchors.verify(&chain, Role::Server, 9, UnixTime::now())
}

fn line(fault: &Fault) -> String {
    fault.line("mx1.dest.test[127.0.1.10]:2510", Role::Server)
}

#[test]
fn a_chain_to_a_trusted_root_is_good_and_one_to_another_names_it() {
    let (ours, other) = (root("Lab Root CA"), root("Other Root CA"));
    let inter = authority(of_authority("Lab Intermediate CA"), Some(&ours));
    let good = leaf(&inter, |_| {});
    let anchors = trusting(&[&ours.certificate]);
    assert_eq!(verdict(&anchors, &[&good, &inter.certificate]), Ok(2));
    let foreign = leaf(&other, |_| {});
    let fault = verdict(&anchors, &[&foreign, &other.certificate]).unwrap_err();
    assert_eq!(
        line(&fault),
        "certificate verification failed for mx1.dest.test[127.0.1.10]:2510: untrusted issuer /O=Lab/CN=Other Root CA"
    );
    let fault = verdict(&Anchors::default(), &[&good, &inter.certificate]).unwrap_err();
    assert_eq!(fault, Fault::UntrustedIssuer { issuer: "/O=Lab/CN=Lab Root CA".to_owned(), sent: false });
}

#[test]
fn a_certificate_of_its_own_is_good_only_where_it_is_trusted_itself() {
    let own = root("mx1.dest.test").certificate;
    assert_eq!(verdict(&Anchors::default(), &[&own]), Err(Fault::SelfSigned));
    assert_eq!(verdict(&trusting(&[&own]), &[&own]), Ok(0));
}

#[test]
fn what_is_signed_by_another_is_no_end_of_a_chain_but_may_stand_in_one() {
    let ours = root("Lab Root CA");
    let inter = authority(of_authority("Lab Intermediate CA"), Some(&ours));
    let good = leaf(&inter, |_| {});
    let fault = verdict(&trusting(&[&inter.certificate]), &[&good, &inter.certificate]).unwrap_err();
    assert!(line(&fault).ends_with("num=2:unable to get issuer certificate"));
    assert!(verdict(&trusting(&[&good]), &[&good]).is_err());
    assert_eq!(verdict(&trusting(&[&ours.certificate, &inter.certificate]), &[&good]), Ok(2));
}

#[test]
fn an_issuer_of_the_right_name_with_another_key_is_not_trusted() {
    let (real, fake) = (root("Lab Root CA"), root("Lab Root CA"));
    let forged = leaf(&fake, |_| {});
    assert!(verdict(&trusting(&[&real.certificate]), &[&forged]).is_err());
    assert!(verdict(&trusting(&[&real.certificate]), &[&forged, &fake.certificate]).is_err());
}

#[test]
fn validity_and_purpose_are_told() {
    let ours = root("Lab Root CA");
    let anchors = trusting(&[&ours.certificate]);
    let expired = leaf(&ours, |it| it.not_after = date_time_ymd(2020, 1, 1));
    assert_eq!(verdict(&anchors, &[&expired]), Err(Fault::Expired(Place::Leaf)));
    let early = leaf(&ours, |it| it.not_before = date_time_ymd(2099, 1, 1));
    assert_eq!(verdict(&anchors, &[&early]), Err(Fault::NotYetValid(Place::Leaf)));
    let clients = leaf(&ours, |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let fault = verdict(&anchors, &[&clients]).unwrap_err();
    assert!(line(&fault).ends_with(": not designated for use as a server certificate"));
    assert!(anchors.verify(std::slice::from_ref(&clients), Role::Client, 9, UnixTime::now()).is_ok());
}

#[test]
fn a_root_whose_time_is_over_is_not_trusted() {
    let mut parameters = of_authority("Lab Root CA");
    parameters.not_after = date_time_ymd(2020, 1, 1);
    let old = authority(parameters, None);
    let fault = verdict(&trusting(&[&old.certificate]), &[&leaf(&old, |_| {})]);
    assert_eq!(fault, Err(Fault::Expired(Place::Authority)));
}

#[test]
fn a_chain_longer_than_the_limit_says_so_and_one_is_allowed_more() {
    let ours = root("Lab Root CA");
    let mut chain = vec![ours];
    for number in 1..=3 {
        chain.push(authority(of_authority(&format!("Lab {number}")), chain.last()));
    }
    let end = leaf(chain.last().unwrap(), |_| {});
    let anchors = trusting(&[&chain[0].certificate]);
    let sent = [end, chain[3].certificate.clone(), chain[2].certificate.clone(), chain[1].certificate.clone()];
    let verify = |limit| anchors.verify(&sent, Role::Server, limit, UnixTime::now());
    assert_eq!(verify(1), Err(Fault::TooLong(2)));
    assert_eq!(verify(2), Ok(4));
}

#[test]
fn a_trust_anchor_file_holds_certificates_of_any_kind_and_keys() {
    let ours = root("Lab Root CA");
    let inter = authority(of_authority("Lab Intermediate CA"), Some(&ours));
    let good = leaf(&inter, |_| {});
    let with = |text: &str| {
        let mut anchors = Anchors::pinned();
        anchors.pin(text.as_bytes()).then_some(anchors)
    };
    let armour = |der: &[u8], label: &str| {
        let body: String =
            base64(der).as_bytes().chunks(64).map(|it| format!("{}\n", str::from_utf8(it).unwrap())).collect();
        format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
    };
    for certificate in [&ours.certificate, &inter.certificate, &good] {
        let anchors = with(&armour(certificate, "CERTIFICATE")).unwrap();
        assert!(verdict(&anchors, &[&good, &inter.certificate]).is_ok());
    }
    let anchors = with(&inter.key.public_key_pem()).unwrap();
    assert!(verdict(&anchors, &[&good, &inter.certificate]).is_ok());
    let anchors = with(&armour(&root("Other").certificate, "CERTIFICATE")).unwrap();
    let fault = verdict(&anchors, &[&good, &inter.certificate]).unwrap_err();
    assert!(line(&fault).starts_with("CA certificate verification failed"));
    assert!(line(&fault).ends_with("num=65:no matching DANE TLSA records"));
    assert!(with("nothing").is_none());
}

#[test]
fn a_directory_holds_certificates_by_hash_and_number() {
    assert!(is_hashed(Path::new("/etc/ca/0123abcd.0")));
    for path in ["/etc/ca/ca.pem", "/etc/ca/0123abcd.r0", "/etc/ca/0123abcd.", "/etc/ca/0123abc.0"] {
        assert!(!is_hashed(Path::new(path)), "{path}");
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, at| word << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * at) & 63) as usize] as char;
            text.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

proptest! {
    #[test]
    fn garbage_is_no_chain(chain in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..4)) {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        prop_assert!(Anchors::default().verify(&chain, Role::Server, 9, UnixTime::now()).is_err());
    }
}
