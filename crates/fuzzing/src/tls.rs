//! TLS: lists of parameters, certificates that strangers send, and files of keys and certificates.

use tls::chain::{chains, legacy};
use tls::{Certificate, Digest, Grades, Groups, Suites, Versions};

use crate::pieces::choices;

/// Lists of versions and suites are read or refused, and refused in one line; a longer list of exclusions leaves no
/// more.
pub fn tls_lists(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (one, other) = text.split_once('\n').unwrap_or((&text, ""));
    match Versions::parse(one) {
        Ok(versions) => {
            // A name that is taken away is away.
            let without = Versions::parse(&format!("{one},!TLSv1.3")).expect("a list and one more item");
            assert!(!without.tls13 && without.tls12 == versions.tls12);
        }
        Err(bad) => assert!(!bad.to_string().contains(['\r', '\n'])),
    }
    if let Some(groups) = Groups::parse(other) {
        let names = groups.names();
        assert!(names.iter().enumerate().all(|(at, name)| !names[..at].contains(name)));
        assert!(Groups::parse(&names.join(":")).is_some_and(|again| again.names() == names));
    }
    let grades = Grades { medium: one.to_owned(), ..Grades::default() };
    match Suites::select(&grades, "medium", other, true) {
        Ok(suites) => {
            let fewer = Suites::select(&grades, "medium", &format!("{other},aRSA"), true).expect("TLS 1.3 is left");
            assert!(fewer.count() <= suites.count());
        }
        Err(bad) => assert!(!bad.to_string().contains(['\r', '\n'])),
    }
}

/// What is read of a certificate is no larger than it, and the same whoever reads it.
pub fn certificates(data: &[u8]) {
    let Some(certificate) = Certificate::read(data) else { return };
    assert_eq!(certificate.der, data);
    assert!(certificate.public_key.len() < data.len());
    assert!(certificate.dns_names.iter().map(String::len).sum::<usize>() <= data.len());
    assert!(certificate.dns_names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_graphic())));
    assert!(!certificate.common_name.contains('\0'));
    // Four characters for a byte, and the names of attributes.
    assert!(certificate.subject.len() <= 40 * data.len());
    assert!(certificate.subject.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
    assert_eq!(certificate.fingerprint(Digest::Sha256).len(), 95);
    assert_eq!(Certificate::read(&certificate.der), Some(certificate));
}

/// A file of keys and certificates gives pairs, or the reasons why not; never both, and no reason with a line end.
pub fn key_files(data: &[u8]) {
    let (choice, text) = choices(data);
    let (one, other) = text.split_at(text.len() / 2);
    let loaded = match choice & 3 {
        0 => chains(&[("one", Ok(text))], "one", "disabling TLS support"),
        1 => chains(&[("one", Ok(one)), ("other", Ok(other))], "one other", "disabling TLS support"),
        2 => legacy("RSA", ("one", Ok(text)), ("one", Ok(text))),
        _ => legacy("RSA", ("one", Ok(one)), ("other", Ok(other))),
    };
    assert!(!loaded.failed || loaded.pairs.is_empty() && !loaded.warnings.is_empty());
    assert!(loaded.pairs.iter().all(|pair| !pair.chain.is_empty()));
    assert!(loaded.warnings.iter().all(|warning| !warning.contains(['\r', '\n'])));
}
