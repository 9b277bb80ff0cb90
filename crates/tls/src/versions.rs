//! Lists of protocol versions: smtpd_tls_protocols and its like, and the policy attribute `protocols`.

use std::fmt;

/// The versions that lists can name, oldest first, with their numbers on the wire. SSLv2 means nothing.
const NAMES: [(&str, u16); 5] =
    [("SSLv3", 0x300), ("TLSv1", 0x301), ("TLSv1.1", 0x302), ("TLSv1.2", 0x303), ("TLSv1.3", 0x304)];

/// Which versions a session may use. Those before TLS 1.2 can be asked for, and are never spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Versions {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
    /// An older one.
    pub older: bool,
}

/// A list that cannot be read. Display is the list as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadProtocolList(String);

impl fmt::Display for BadProtocolList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::printable(self.0.as_bytes()))
    }
}

impl std::error::Error for BadProtocolList {}

impl Versions {
    /// Reads a list: names, `!name`, `>=name` and `<=name`, with blanks, commas or colons between them. Names may be
    /// numbers such as 0x303. An empty list allows everything.
    ///
    /// # Errors
    /// A word that is none of these.
    pub fn parse(list: &str) -> Result<Versions, BadProtocolList> {
        let bad = || BadProtocolList(list.to_owned());
        let (mut floor, mut ceiling) = (0, u16::MAX);
        let (mut only, mut never) = (Vec::new(), Vec::new());
        for word in list.split([',', ':', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()) {
            if let Some(name) = word.strip_prefix(">=") {
                floor = bound(name).ok_or_else(bad)?.unwrap_or(0);
            } else if let Some(name) = word.strip_prefix("<=") {
                ceiling = bound(name).ok_or_else(bad)?.unwrap_or(u16::MAX);
            } else if let Some(name) = word.strip_prefix('!') {
                never.push(named(name).ok_or_else(bad)?);
            } else {
                only.push(named(word).ok_or_else(bad)?);
            }
        }
        let allowed = |number: u16| {
            (only.is_empty() || only.contains(&number))
                && !never.contains(&number)
                && (floor..=ceiling).contains(&number)
        };
        Ok(Versions {
            tls12: allowed(0x303),
            tls13: allowed(0x304),
            older: NAMES.iter().any(|(_, number)| *number < 0x303 && allowed(*number)),
        })
    }

    /// Nothing is left that can be spoken here.
    pub fn is_empty(self) -> bool {
        !self.tls12 && !self.tls13
    }
}

/// The number of a version's name; 0 for SSLv2.
fn named(name: &str) -> Option<u16> {
    if name.eq_ignore_ascii_case("SSLv2") {
        return Some(0);
    }
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, number)| *number)
}

/// A bound; `Some(None)` is none.
fn bound(name: &str) -> Option<Option<u16>> {
    if name.eq_ignore_ascii_case("none") {
        return Some(None);
    }
    let number = name.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok());
    number.or_else(|| named(name)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(list: &str) -> Option<(bool, bool, bool)> {
        Versions::parse(list).ok().map(|found| (found.older, found.tls12, found.tls13))
    }

    #[test]
    fn lists_mean_what_they_mean_to_postfix() {
        assert_eq!(parsed(""), Some((true, true, true)));
        assert_eq!(parsed(">=TLSv1"), Some((true, true, true)));
        assert_eq!(parsed(">=tlsv1.2"), Some((false, true, true)));
        assert_eq!(parsed("!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"), Some((false, true, true)));
        assert_eq!(parsed("TLSv1.2"), Some((false, true, false)));
        assert_eq!(parsed("TLSv1:TLSv1.1"), Some((true, false, false)));
        assert_eq!(parsed(">=TLSv1.1,<=0x0303"), Some((true, true, false)));
        assert_eq!(parsed(">=None !TLSv1.2"), Some((true, false, true)));
        for bad in ["TLSv1.9", "!", ">=", ">=0xg", "TLSv1.2;TLSv1.3", "foo"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_list_or_an_error(list in "\\PC{0,40}") {
            let _ = Versions::parse(&list);
        }
    }
}
