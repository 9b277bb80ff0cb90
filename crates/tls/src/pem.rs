//! PEM objects in the order of a file. RFC 7468
//!
//! What a file holds beside them is passed over. Keys are in it: objects are wiped when they are dropped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One object.
pub struct Object {
    /// What stands behind BEGIN: `CERTIFICATE`.
    pub kind: String,
    /// What it encodes; nothing if it is encrypted in the old way, or is no base64.
    pub der: Result<Zeroizing<Vec<u8>>, Unreadable>,
}

/// Why an object has no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It has headers: a key under a passphrase.
    Encrypted,
    /// Its text is no base64, or has no end.
    Text,
}

/// The objects of a text.
pub fn objects(text: &[u8]) -> Vec<Object> {
    let mut found = Vec::new();
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.trim_ascii());
    while let Some(line) = lines.next() {
        let Some(kind) = marked(line, b"-----BEGIN ") else { continue };
        let mut body = Zeroizing::new(Vec::new());
        let mut ended = false;
        for line in lines.by_ref() {
            if marked(line, b"-----END ").is_some() {
                ended = true;
                break;
            }
            body.extend_from_slice(line);
        }
        let der = if body.contains(&b':') {
            Err(Unreadable::Encrypted)
        } else {
            STANDARD.decode(&*body).ok().filter(|_| ended).map(Zeroizing::new).ok_or(Unreadable::Text)
        };
        found.push(Object { kind, der });
    }
    found
}

fn marked(line: &[u8], mark: &[u8]) -> Option<String> {
    let kind = line.strip_prefix(mark)?.strip_suffix(b"-----")?;
    Some(String::from_utf8_lossy(kind).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_in_their_order_and_text_between_them_is_passed_over() {
        let text = b"Bag Attributes\n-----BEGIN A-----\nQUJD\r\nREVG\n-----END A-----\nx\n-----BEGIN B-----\n?\n-----END B-----\n";
        let found = objects(text);
        assert_eq!(found.iter().map(|it| it.kind.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(found[0].der.as_ref().unwrap().as_slice(), b"ABCDEF");
        assert_eq!(found[1].der.as_ref().err(), Some(&Unreadable::Text));
        assert_eq!(objects(b"-----BEGIN A-----\nQUJD\n")[0].der.as_ref().err(), Some(&Unreadable::Text));
        let old = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nQUJD\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(objects(old)[0].der.as_ref().err(), Some(&Unreadable::Encrypted));
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_objects_or_none(text: Vec<u8>) {
            let _ = objects(&text);
        }
    }
}
