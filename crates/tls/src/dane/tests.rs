//! Records and chains as zones and servers have them, right, wrong and unusable.

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

use super::*;

const PEER: &str = "mx.dest.test[192.0.2.1]:25";
/// In 2030.
const NOW: u64 = 1_900_000_000;

/// A root, an authority between and a server, with their keys.
struct Lab {
    root: CertificateDer<'static>,
    root_key: KeyPair,
    between: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
}

fn parameters(name: &str, is_authority: bool) -> CertificateParams {
    let names = if is_authority { Vec::new() } else { vec![name.to_owned()] };
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_after = date_time_ymd(2100, 1, 1);
    if is_authority {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    }
    parameters
}

/// The leaf may be changed before it is signed.
fn lab(change: impl FnOnce(&mut CertificateParams)) -> Lab {
    let [root_key, between_key, leaf_key] = [(); 3].map(|()| KeyPair::generate().unwrap());
    let of_root = parameters("Root", true);
    let root = of_root.self_signed(&root_key).unwrap().der().clone();
    let pem = root_key.serialize_pem();
    let issuer = Issuer::new(of_root, KeyPair::from_pem(&pem).unwrap());
    let of_between = parameters("Between", true);
    let between = of_between.signed_by(&between_key, &issuer).unwrap().der().clone();
    let issuer = Issuer::new(of_between, between_key);
    let mut of_leaf = parameters("mx.dest.test", false);
    change(&mut of_leaf);
    let leaf = of_leaf.signed_by(&leaf_key, &issuer).unwrap().der().clone();
    Lab { root, root_key, between, leaf }
}

fn record(usage: u8, selector: u8, matching_type: u8, data: &[u8]) -> Association {
    Association { usage, selector, matching_type, data: data.to_vec(), length: data.len() + 3 }
}

/// The record of a certificate.
fn of(usage: u8, selector: u8, matching_type: u8, certificate: &CertificateDer<'_>) -> Association {
    let selected = selected(selector, certificate).unwrap();
    let data = match matching_type {
        FULL => selected.to_vec(),
        SHA256 => Digest::Sha256.of(selected),
        _ => Digest::Sha512.of(selected),
    };
    record(usage, selector, matching_type, &data)
}

fn digests(list: &str) -> Digests {
    Digests::parse(list.split(' ').filter(|word| !word.is_empty())).0
}

/// What comes of records and a chain: the line of the match, or that of the fault.
fn judged(records: &[Association], chain: &[&CertificateDer<'static>], names: &[&str]) -> String {
    let (matcher, warnings) = Matcher::new(records, &digests("sha512 sha256"), PEER, true);
    assert_eq!(warnings, Vec::<String>::new());
    let chain: Vec<_> = chain.iter().map(|it| (*it).clone()).collect();
    let wanted: Vec<_> = names.iter().filter_map(|name| Wanted::parse(name)).collect();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
    match matcher.judge(&chain, &wanted, 9, now) {
        Ok(found) => format!("P: {}", found.told().pop().unwrap_or_default()),
        Err(fault) => fault.line("P", Role::Server),
    }
}

const NO_MATCH: &str = "num=65:no matching DANE TLSA records";

#[test]
fn a_record_of_the_servers_own_certificate_or_key_needs_neither_name_nor_date_nor_authority() {
    let lab = lab(|leaf| leaf.not_after = date_time_ymd(2020, 1, 1));
    for (selector, matching_type) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
        let record = of(3, selector, matching_type, &lab.leaf);
        let expected = format!("P: Matched DANE EE certificate at depth 0: {record}");
        assert_eq!(judged(&[record], &[&lab.leaf], &[]), expected);
    }
}

#[test]
fn a_record_of_another_certificate_does_not_match_and_one_right_one_suffices() {
    let lab = lab(|_| {});
    let wrong = of(3, 1, 1, &lab.root);
    let chain = [&lab.leaf, &lab.between, &lab.root];
    let failed = format!("server certificate verification failed for P: {NO_MATCH}");
    assert_eq!(judged(std::slice::from_ref(&wrong), &chain, &["mx.dest.test"]), failed);
    assert!(judged(&[wrong, of(3, 1, 1, &lab.leaf)], &chain, &[]).contains("Matched DANE EE"));
}

#[test]
fn an_authority_that_was_sent_makes_a_chain_good_with_the_right_name_alone() {
    let lab = lab(|_| {});
    let whole = [&lab.leaf, &lab.between, &lab.root];
    for (certificate, depth) in [(&lab.between, 1), (&lab.root, 2)] {
        for (selector, matching_type) in [(0, 0), (0, 1), (1, 1), (1, 2)] {
            let record = of(2, selector, matching_type, certificate);
            let expected = format!("P: Matched DANE TA certificate at depth {depth}: {record}");
            let records = std::slice::from_ref(&record);
            assert_eq!(judged(records, &whole, &["other.test", "MX.dest.test"]), expected);
            let mismatch = "server certificate verification failed for P: num=62:hostname mismatch";
            assert_eq!(judged(records, &whole, &["other.test"]), mismatch);
        }
    }
}

#[test]
fn an_authority_that_was_not_sent_is_known_from_the_record_alone() {
    let lab = lab(|_| {});
    let sent = [&lab.leaf, &lab.between];
    let failed = format!("CA certificate verification failed for P: {NO_MATCH}");
    assert_eq!(judged(&[of(2, 0, 1, &lab.root)], &sent, &["mx.dest.test"]), failed);
    assert!(judged(&[of(2, 0, 0, &lab.root)], &sent, &["mx.dest.test"]).contains("Matched DANE TA certificate"));
    let key = record(2, 1, 0, &rcgen::PublicKeyData::subject_public_key_info(&lab.root_key));
    assert!(judged(&[key], &sent, &["mx.dest.test"]).contains("Matched DANE TA certificate"));
    let failed = format!("server certificate verification failed for P: {NO_MATCH}");
    assert_eq!(judged(&[of(2, 0, 1, &lab.root)], &[&lab.leaf], &["mx.dest.test"]), failed);
}

#[test]
fn an_authority_has_to_have_signed_and_to_be_one_and_dates_count() {
    let (lab, other) = (lab(|_| {}), self::lab(|_| {}));
    // Sent beside a chain that it has nothing to do with.
    let judged_so = judged(&[of(2, 0, 1, &other.root)], &[&lab.leaf, &lab.between, &other.root], &["mx.dest.test"]);
    assert!(!judged_so.contains("Matched"), "{judged_so}");
    // The server's own certificate is no authority.
    assert!(!judged(&[of(2, 0, 1, &lab.leaf)], &[&lab.leaf, &lab.leaf], &["mx.dest.test"]).contains("Matched"));
    assert!(!judged(&[of(2, 0, 0, &lab.leaf)], &[&lab.leaf], &["mx.dest.test"]).contains("Matched"));
    let expired = self::lab(|leaf| leaf.not_after = date_time_ymd(2020, 1, 1));
    let failed = "server certificate verification failed for P: certificate has expired";
    let chain = [&expired.leaf, &expired.between];
    assert_eq!(judged(&[of(2, 1, 1, &expired.between)], &chain, &["mx.dest.test"]), failed);
}

#[test]
fn who_is_no_authority_vouches_for_nobody() {
    let key = KeyPair::generate().unwrap();
    let of_signer = parameters("signer.test", false);
    let signer = of_signer.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(of_signer, key);
    let leaf = parameters("mx.dest.test", false).signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    let record = of(2, 0, 1, &signer);
    assert!(!judged(&[record], &[leaf.der(), &signer], &["mx.dest.test"]).contains("Matched"));
}

#[test]
fn only_the_strongest_digest_of_a_kind_counts_and_what_is_whole_always_does() {
    let lab = lab(|_| {});
    let right = of(3, 1, 1, &lab.leaf);
    let wrong = of(3, 1, 2, &lab.root);
    assert!(judged(&[right.clone(), wrong.clone()], &[&lab.leaf], &[]).contains(NO_MATCH));
    // Another selector is another kind.
    assert!(judged(&[of(3, 0, 1, &lab.leaf), wrong.clone()], &[&lab.leaf], &[]).contains("Matched"));
    assert!(judged(&[of(3, 1, 0, &lab.leaf), wrong.clone()], &[&lab.leaf], &[]).contains("Matched"));
    let weak_first = Matcher::new(&[right, wrong], &digests("sha256 sha512"), PEER, true).0;
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
    assert!(weak_first.judge(&[lab.leaf], &[], 9, now).is_ok());
}

#[test]
fn records_that_no_client_uses_are_told_and_set_aside() {
    let truncated = Association { length: 3, ..record(3, 1, 1, b"") };
    let good = record(3, 1, 9, b"\x01");
    let records =
        vec![record(9, 9, 9, b"\0"), record(1, 1, 255, b"\0"), record(3, 1, 255, b"\0"), truncated, good.clone()];
    let (kept, warnings) = supported("_25._tcp.mx.test", records);
    assert_eq!(kept, [good]);
    assert_eq!(
        warnings,
        [
            "_25._tcp.mx.test unsupported TLSA certificate usage: 9 9 9 00",
            "_25._tcp.mx.test unsupported TLSA certificate usage: 1 1 255 00",
            "_25._tcp.mx.test reserved private-use matching type: 3 1 255 00",
            "_25._tcp.mx.test: truncated TLSA RR length == 3",
        ]
    );
}

#[test]
fn records_that_make_no_sense_are_told_and_without_another_nothing_is_verified() {
    let lab = lab(|_| {});
    let bad = [record(3, 1, 9, b"\0"), record(3, 9, 1, &[0; 32]), record(3, 1, 1, b"\0\x11"), record(2, 0, 0, b"0")];
    for optional in [true, false] {
        let (matcher, warnings) = Matcher::new(&bad, &digests("sha512 sha256"), PEER, optional);
        assert!(matcher.is_unusable());
        let all = format!("{PEER}: all TLSA records unusable");
        let instead = if optional { ", fallback to unauthenticated TLS" } else { "" };
        assert_eq!(warnings.len(), 5);
        assert_eq!(warnings[0], format!("{PEER}: unusable TLSA RR: 3 1 9 00"));
        assert_eq!(warnings[4], format!("{all}{instead}"));
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
        assert_eq!(matcher.judge(std::slice::from_ref(&lab.leaf), &[], 9, now), Err(Fault::Unspecified));
    }
    let some = [bad[0].clone(), of(3, 1, 1, &lab.leaf)];
    let (matcher, warnings) = Matcher::new(&some, &digests("sha512 sha256"), PEER, true);
    assert!(!matcher.is_unusable() && warnings.len() == 1);
    // tls_dane_digests
    assert!(Matcher::new(&some, &digests(""), PEER, true).0.is_unusable());
}

#[test]
fn each_word_of_tls_dane_digests_has_its_number_and_faults_are_told() {
    let words = "sha256 foo sha1=3 sha384=1 sha256 md5=0 md5=256 foo=9 sha1=255 sha512=x sha512";
    let (known, warnings) = Digests::parse(words.split(' '));
    assert_eq!(known, Digests(vec![(1, Digest::Sha256), (3, Digest::Sha1), (2, Digest::Sha512)]));
    assert_eq!(
        warnings,
        [
            "tls_dane_digests: digest algorithm foo needs an explicit number",
            "tls_dane_digests: matching type 1 can only be sha256",
            "tls_dane_digests: matching type 1 specified more than once",
            "Reserved matching type number in tls_dane_digests: md5=0",
            "Invalid matching type number in tls_dane_digests: md5=256",
            "tls_dane_digests: digest algorithm \"foo\"(9) unknown",
            "Reserved matching type number in tls_dane_digests: sha1=255",
            "Invalid matching type number in tls_dane_digests: sha512=x",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// No record and no certificate of a stranger does harm, and what does not hold the certificate does not match it.
    #[test]
    fn random_records_match_nothing(records: Vec<(u8, u8, u8, Vec<u8>)>, chain: Vec<Vec<u8>>) {
        let of = |(usage, selector, kind, data): (u8, u8, u8, Vec<u8>)| record(usage % 5, selector % 3, kind % 4, &data);
        let records: Vec<_> = records.into_iter().map(of).collect();
        let (kept, _) = supported("_25._tcp.mx.test", records);
        let (matcher, _) = Matcher::new(&kept, &digests("sha512 sha256"), PEER, true);
        let mut chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        chain.insert(0, lab(|_| {}).leaf);
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
        prop_assert!(matcher.judge(&chain, &[], 9, now).is_err());
    }
}
