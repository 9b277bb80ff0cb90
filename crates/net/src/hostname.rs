//! Host name syntax, for names that strangers or operators write.
//!
//! A valid name is safe to put into a log line, a DNS query or a header; it says nothing about existence.

use std::fmt;

use bstr::{BString, ByteSlice};

/// The longest name, without a final dot.
/// told: the caller; a longer one is no name.
const LONGEST_NAME: usize = 255;
/// The longest part between dots.
/// told: the caller; a longer one is no name.
const LONGEST_LABEL: usize = 63;

/// Whether `name` is a host name: labels of letters, digits, `_` and inner hyphens, separated by single dots, and not
/// all numeric.
#[must_use]
pub fn is_valid(name: &[u8]) -> bool {
    check(name).is_ok()
}

/// As [`is_valid`], with the reason.
///
/// # Errors
/// Prints as the warning that goes to the log, `valid_hostname: ` included.
pub fn check(name: &[u8]) -> Result<(), HostnameError> {
    let fault = |fault| HostnameError { fault, name: name.into() };
    if name.is_empty() {
        return Err(fault(Fault::Empty));
    }
    let mut label = 0;
    let mut numeric = true;
    let mut previous = b'.';
    for (at, byte) in name.iter().copied().enumerate() {
        let next = name.get(at + 1).copied();
        match byte {
            b'0'..=b'9' => label += 1,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                label += 1;
                numeric = false;
            }
            b'.' if at == 0 || previous == b'.' || next.is_none() => {
                return Err(fault(Fault::Delimiter));
            }
            b'.' => label = 0,
            b'-' if previous == b'.' || matches!(next, None | Some(b'.')) => {
                return Err(fault(Fault::Hyphen));
            }
            b'-' => {
                label += 1;
                numeric = false;
            }
            _ => return Err(fault(Fault::Character(byte))),
        }
        if label > LONGEST_LABEL {
            return Err(fault(Fault::Label));
        }
        previous = byte;
    }
    if numeric {
        return Err(fault(Fault::Numeric));
    }
    if name.len() > LONGEST_NAME {
        return Err(fault(Fault::Length));
    }
    Ok(())
}

/// Why a name is no host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostnameError {
    fault: Fault,
    name: BString,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Empty,
    Delimiter,
    Hyphen,
    Character(u8),
    Label,
    Numeric,
    Length,
}

impl fmt::Display for HostnameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        out.write_str("valid_hostname: ")?;
        match self.fault {
            Fault::Empty => out.write_str("empty hostname"),
            Fault::Delimiter => write!(out, "misplaced delimiter: {name}"),
            Fault::Hyphen => write!(out, "misplaced hyphen: {name}"),
            Fault::Character(byte) => write!(out, "invalid character {byte}(decimal): {name}"),
            Fault::Label => write!(out, "hostname label too long: {name}"),
            Fault::Numeric => write!(out, "numeric hostname: {name}"),
            Fault::Length => {
                let start = name.get(..100).unwrap_or(name).as_bstr();
                write!(out, "bad length {} for {start}...", name.len())
            }
        }
    }
}

impl std::error::Error for HostnameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_with_postfix_words() {
        for (name, text) in [
            ("", "empty hostname"),
            ("bad host", "invalid character 32(decimal): bad host"),
            ("b\u{fc}cher.de", "invalid character 195(decimal): b\u{fc}cher.de"),
            ("::1", "invalid character 58(decimal): ::1"),
            ("[::1]", "invalid character 91(decimal): [::1]"),
            ("-foo.bar", "misplaced hyphen: -foo.bar"),
            ("foo-.bar", "misplaced hyphen: foo-.bar"),
            ("a-", "misplaced hyphen: a-"),
            ("-", "misplaced hyphen: -"),
            ("1.2.3", "numeric hostname: 1.2.3"),
            ("1", "numeric hostname: 1"),
            (".foo", "misplaced delimiter: .foo"),
            ("foo..bar", "misplaced delimiter: foo..bar"),
            ("foo.", "misplaced delimiter: foo."),
            (".", "misplaced delimiter: ."),
        ] {
            let error = check(name.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("valid_hostname: {text}"));
        }
    }

    #[test]
    fn underscores_and_digits_with_a_hyphen_are_names() {
        for name in ["a_b.c", "_", "1a", "1.2-3", "1-2", "localhost", "mx.example.test"] {
            assert!(is_valid(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let label = "b".repeat(63);
        assert!(is_valid(label.as_bytes()));
        let error = check("a".repeat(64).as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("valid_hostname: hostname label too long: aaa"));
        let long = format!("a.{label}.{label}.{label}.{label}");
        let error = check(long.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, format!("valid_hostname: bad length 257 for {}...", &long[..100]));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = check(&bytes).map_err(|error| error.to_string());
        }
    }
}
