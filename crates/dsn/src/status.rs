//! Enhanced status codes.

use std::fmt;
use std::str::FromStr;

/// An enhanced status code, `5.1.1` (RFC 3463): class 2, 4 or 5; subject and detail up to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status {
    class: u8,
    subject: u16,
    detail: u16,
}

impl Status {
    /// A code known when the program is written; a class that does not exist becomes 4, so that no mail is lost over
    /// it, and larger numbers than 999 become 999.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        let class = if class == 2 || class == 5 { class } else { 4 };
        let subject = if subject > 999 { 999 } else { subject };
        let detail = if detail > 999 { 999 } else { detail };
        Status { class, subject, detail }
    }

    /// 2 (done), 4 (not yet) or 5 (never).
    pub const fn class(self) -> u8 {
        self.class
    }

    /// What the code is about: 1 address, 2 mailbox, 3 system, 4 network, 5 protocol, 6 contents, 7 policy.
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The detail within the subject.
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// The same subject and detail with another class: `soft_bounce` makes 5 a 4.
    pub const fn with_class(self, class: u8) -> Self {
        Status::new(class, self.subject, self.detail)
    }

    /// Whether trying again is pointless.
    pub const fn is_permanent(self) -> bool {
        self.class == 5
    }

    /// Reads a code at the start of a text such as `4.3.2 come back later`; gives the code and the text after it. Where
    /// no code stands there, `default` and the whole text (blanks at its start removed).
    pub fn split_bytes(text: &[u8], default: Status) -> (Status, &[u8]) {
        let text = text.trim_ascii_start();
        match Self::prefix(text) {
            Some((status, length)) => (status, text[length..].trim_ascii_start()),
            None => (default, text),
        }
    }

    /// Reads exactly one code.
    pub fn parse(text: &[u8]) -> Option<Status> {
        Self::prefix(text).and_then(|(status, length)| (length == text.len()).then_some(status))
    }

    /// A code at the start of the text, followed by a blank or the end, and its length.
    pub fn prefix(text: &[u8]) -> Option<(Status, usize)> {
        let end = text.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(text.len());
        let mut parts = text[..end].split(|&b| b == b'.');
        let class = number(parts.next()?, 1)?;
        let subject = number(parts.next()?, 3)?;
        let detail = number(parts.next()?, 3)?;
        let known = matches!(class, 2 | 4 | 5) && parts.next().is_none();
        known.then_some((Status { class: class as u8, subject, detail }, end))
    }
}

fn number(digits: &[u8], longest: usize) -> Option<u16> {
    let readable = !digits.is_empty() && digits.len() <= longest && digits.iter().all(u8::is_ascii_digit);
    readable.then(|| digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0')))
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl FromStr for Status {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        Status::parse(text.as_bytes()).ok_or_else(|| NotAStatus(text.to_owned()))
    }
}

/// A text that is no enhanced status code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAStatus(pub String);

impl fmt::Display for NotAStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not an enhanced status code such as 5.1.1", text::printable(self.0.as_bytes()))
    }
}

impl std::error::Error for NotAStatus {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEFAULT: Status = Status::new(5, 0, 0);

    #[test]
    fn a_code_before_a_text_is_split_off() {
        let code = Status::new(4, 3, 2);
        for (text, status, rest) in [
            ("4.3.2 come back", code, "come back"),
            ("4.3.2", code, ""),
            (" come back", DEFAULT, "come back"),
            ("4.3.2x come", DEFAULT, "4.3.2x come"),
            ("3.3.2 x", DEFAULT, "3.3.2 x"),
            ("5.1234.1 x", DEFAULT, "5.1234.1 x"),
        ] {
            assert_eq!(Status::split_bytes(text.as_bytes(), DEFAULT), (status, rest.as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_read_back(class in prop::sample::select(vec![2u8, 4, 5]), subject in 0u16..1000, detail in 0u16..1000) {
            let status = Status::new(class, subject, detail);
            prop_assert_eq!(status.to_string().parse(), Ok(status));
        }

        #[test]
        fn any_text_is_split_without_loss(text in any::<String>()) {
            let (status, rest) = Status::split_bytes(text.as_bytes(), DEFAULT);
            prop_assert!(text.as_bytes().ends_with(rest));
            if rest.len() != text.as_bytes().trim_ascii_start().len() {
                prop_assert!(text.split('.').count() >= 3);
                prop_assert!(matches!(status.class(), 2 | 4 | 5));
            }
        }
    }
}
