//! The parameters after a path: SIZE (RFC 1870), BODY (RFC 6152), RET, ENVID, NOTIFY, ORCPT (RFC 3461), SMTPUTF8 (RFC
//! 6531), AUTH (RFC 4954), REQUIRETLS (RFC 8689).
//!
//! Only the syntax is judged here, and words that a server does not offer are none.

use std::fmt;

use dsn::{Notify, Return, Status};

/// Parameters of MAIL that not every server has for every client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// SMTPUTF8
    pub smtputf8: bool,
    /// REQUIRETLS
    pub requiretls: bool,
    /// XVERP
    pub verp: bool,
}

/// BODY of MAIL. RFC 6152.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// BODY=7BIT
    SevenBit,
    /// BODY=8BITMIME
    EightBitMime,
}

/// XVERP: each recipient sees a sender that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verp {
    /// By the delimiters of the server.
    Default,
    /// By these.
    Delimiters(Vec<u8>),
}

impl fmt::Display for Verp {
    /// As it stands in the command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verp::Default => f.write_str("XVERP"),
            Verp::Delimiters(delimiters) => write!(f, "XVERP={}", String::from_utf8_lossy(delimiters)),
        }
    }
}

/// The parameters of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// SIZE in bytes.
    pub size: Option<u64>,
    /// BODY
    pub body: Option<Body>,
    /// RET
    pub ret: Option<Return>,
    /// ENVID, decoded: printable ASCII.
    pub envid: Option<Vec<u8>>,
    /// SMTPUTF8
    pub smtputf8: bool,
    /// REQUIRETLS
    pub requiretls: bool,
    /// AUTH, still in xtext, `<>` included.
    pub auth: Option<Vec<u8>>,
    /// XVERP, which is Postfix's own.
    pub verp: Option<Verp>,
}

/// The parameters of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters {
    /// NOTIFY
    pub notify: Option<Notify>,
    /// ORCPT: address type and address, the address decoded: printable, perhaps empty.
    pub orcpt: Option<(Vec<u8>, Vec<u8>)>,
}

/// What is wrong with a parameter. Display is the text of the reply, without code and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterError {
    /// SIZE without a number.
    Size,
    /// RET other than FULL and HDRS, or twice.
    Ret,
    /// ENVID that is no xtext, or twice.
    Envid,
    /// NOTIFY, with this value, that is no list of its words, or twice.
    Notify(Vec<u8>),
    /// ORCPT that is no `type;xtext`, or twice.
    Orcpt,
    /// AUTH, more than once.
    MultipleAuth,
    /// A parameter that no server here knows, as it was written.
    Unsupported(Vec<u8>),
}

impl ParameterError {
    /// Code and enhanced status of the reply.
    pub fn code(&self) -> (u16, Status) {
        let status = Status::new(5, 5, 4);
        match self {
            ParameterError::Unsupported(_) => (555, status),
            ParameterError::MultipleAuth => (503, status),
            _ => (501, status),
        }
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParameterError::Size => f.write_str("Bad message size syntax"),
            ParameterError::Ret => f.write_str("Bad RET parameter syntax"),
            ParameterError::Envid => f.write_str("Bad ENVID parameter syntax"),
            ParameterError::Notify(_) => f.write_str("Error: Bad NOTIFY parameter syntax"),
            ParameterError::Orcpt => f.write_str("Error: Bad ORCPT parameter syntax"),
            ParameterError::MultipleAuth => f.write_str("Error: multiple AUTH= options"),
            ParameterError::Unsupported(word) => {
                write!(f, "Unsupported option: {}", String::from_utf8_lossy(word))
            }
        }
    }
}

impl std::error::Error for ParameterError {}

/// Reads the parameters of MAIL.
pub fn mail<'a>(words: impl Iterator<Item = &'a [u8]>, offers: Offers) -> Result<MailParameters, ParameterError> {
    let mut found = MailParameters::default();
    for word in words {
        let (name, value) = split(word);
        match (name.as_slice(), value) {
            (b"SIZE", Some(value)) => found.size = Some(number(value).ok_or(ParameterError::Size)?),
            (b"BODY", Some(value)) if value.eq_ignore_ascii_case(b"8BITMIME") => {
                found.body = Some(Body::EightBitMime);
            }
            (b"BODY", Some(value)) if value.eq_ignore_ascii_case(b"7BIT") => found.body = Some(Body::SevenBit),
            (b"RET", Some(value)) => {
                let ret = Return::parse(value).filter(|_| found.ret.is_none());
                found.ret = Some(ret.ok_or(ParameterError::Ret)?);
            }
            (b"ENVID", Some(value)) => {
                let envid = decode(value).filter(|text| !text.is_empty() && text.is_ascii());
                let envid = envid.filter(|_| found.envid.is_none());
                found.envid = Some(envid.ok_or(ParameterError::Envid)?);
            }
            (b"AUTH", Some(_)) if found.auth.as_deref().is_some_and(|sender| sender != b"<>") => {
                return Err(ParameterError::MultipleAuth);
            }
            (b"AUTH", Some(value)) => found.auth = Some(value.to_vec()),
            (b"SMTPUTF8", None) if offers.smtputf8 => found.smtputf8 = true,
            (b"REQUIRETLS", None) if offers.requiretls => found.requiretls = true,
            (b"XVERP", None) if offers.verp => found.verp = Some(Verp::Default),
            (b"XVERP", Some(value)) if offers.verp => found.verp = Some(Verp::Delimiters(value.to_vec())),
            _ => return Err(ParameterError::Unsupported(word.to_vec())),
        }
    }
    Ok(found)
}

/// Whether a parameter is one of RFC 3461.
pub fn is_about_dsn(word: &[u8]) -> bool {
    matches!(split(word), (name, Some(_)) if matches!(name.as_slice(), b"RET" | b"ENVID" | b"NOTIFY" | b"ORCPT"))
}

/// Reads the parameters of RCPT.
pub fn rcpt<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<RcptParameters, ParameterError> {
    let mut found = RcptParameters::default();
    for word in words {
        let (name, value) = split(word);
        match (name.as_slice(), value) {
            (b"NOTIFY", Some(value)) => {
                let notify = Notify::parse(value).filter(|_| found.notify.is_none());
                found.notify = Some(notify.ok_or_else(|| ParameterError::Notify(value.to_vec()))?);
            }
            (b"ORCPT", Some(value)) => {
                let orcpt = orcpt(value).filter(|_| found.orcpt.is_none());
                found.orcpt = Some(orcpt.ok_or(ParameterError::Orcpt)?);
            }
            _ => return Err(ParameterError::Unsupported(word.to_vec())),
        }
    }
    Ok(found)
}

/// Name in upper case and value of `NAME=VALUE`.
fn split(word: &[u8]) -> (Vec<u8>, Option<&[u8]>) {
    match word.iter().position(|byte| *byte == b'=') {
        Some(at) => (word[..at].to_ascii_uppercase(), Some(&word[at + 1..])),
        None => (word.to_ascii_uppercase(), None),
    }
}

/// A decimal number; one that is too large for u64 is the largest.
fn number(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| value.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

fn orcpt(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let at = value.iter().position(|byte| *byte == b';')?;
    let (kind, address) = (&value[..at], &value[at + 1..]);
    let address = if kind.eq_ignore_ascii_case(UTF8) { text::uxtext::decode(address) } else { decode(address) }?;
    (!kind.is_empty() && is_printable(&address)).then(|| (kind.to_vec(), address))
}

/// The address type of RFC 6533 3.
const UTF8: &[u8] = b"utf-8";

/// The text that an xtext stands for, if all of it can be printed.
fn decode(value: &[u8]) -> Option<Vec<u8>> {
    text::xtext::decode(value).filter(|text| is_printable(text))
}

/// Nothing that a terminal or a line of a report obeys.
fn is_printable(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| !text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verb::words;
    use proptest::prelude::*;

    #[test]
    fn the_parameters_of_mail_are_read_in_any_case_and_order() {
        let offers = Offers { smtputf8: true, ..Offers::default() };
        let found = mail(words(b"body=8bitmime SIZE=10 RET=hdrs ENVID=a+2Bb smtputf8"), offers).unwrap();
        assert_eq!(found.size, Some(10));
        assert_eq!(found.body, Some(Body::EightBitMime));
        assert_eq!(found.ret, Some(Return::Headers));
        assert_eq!(found.envid.as_deref(), Some(&b"a+b"[..]));
        assert!(found.smtputf8);
    }

    #[test]
    fn a_size_beyond_all_measure_is_the_largest_number() {
        assert_eq!(mail(words(b"SIZE=99999999999999999999999"), Offers::default()).unwrap().size, Some(u64::MAX));
        assert_eq!(mail(words(b"SIZE=1x"), Offers::default()), Err(ParameterError::Size));
    }

    #[test]
    fn an_unknown_parameter_is_quoted_as_it_was_written() {
        for word in ["Foo=Bar", "smtpUTF8", "SMTPUTF8=1", "requiretls"] {
            let error = mail(words(word.as_bytes()), Offers::default()).unwrap_err();
            assert_eq!(error.to_string(), format!("Unsupported option: {word}"));
            assert_eq!(error.code(), (555, Status::new(5, 5, 4)));
        }
    }

    #[test]
    fn never_stands_alone() {
        assert_eq!(rcpt(words(b"NOTIFY=NEVER")).unwrap().notify.unwrap().bits(), 1);
        assert_eq!(rcpt(words(b"NOTIFY=success,DELAY")).unwrap().notify.unwrap().bits(), 10);
        for bad in [&b"NOTIFY=NEVER,DELAY"[..], b"NOTIFY=", b"NOTIFY=DELAY NOTIFY=DELAY", b"NOTIFY=BAD"] {
            assert!(matches!(rcpt(words(bad)), Err(ParameterError::Notify(_))));
        }
    }

    #[test]
    fn orcpt_is_a_type_and_an_xtext() {
        let found = rcpt(words(b"ORCPT=rfc822;a@b")).unwrap();
        assert_eq!(found.orcpt, Some((b"rfc822".to_vec(), b"a@b".to_vec())));
        for bad in [&b"ORCPT=a@b"[..], b"ORCPT=;a", b"ORCPT=rfc822;a+zz", "ORCPT=rfc822;\u{87}".as_bytes()] {
            assert_eq!(rcpt(words(bad)), Err(ParameterError::Orcpt));
        }
    }

    #[test]
    fn orcpt_of_an_address_in_utf8_has_its_own_encoding() {
        for (written, address) in [
            ("utf-8;j\\x{FC}@d", "j\u{fc}@d"),
            ("UTF-8;j\u{fc}+2B@d", "j\u{fc}+2B@d"),
            ("utf-8;a\\b\\x{5C}c", "a\\b\\c"),
        ] {
            let found = rcpt(words(format!("ORCPT={written}").as_bytes())).unwrap();
            assert_eq!(found.orcpt.unwrap().1, address.as_bytes(), "{written}");
        }
        for bad in ["\\x{A}@d", "\\x{85}@d", "\\x{D800}@d", "\\x{110000}@d", "\\x{}@d", "\\x{FC@d"] {
            assert_eq!(rcpt(words(format!("ORCPT=utf-8;j{bad}").as_bytes())), Err(ParameterError::Orcpt), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_words_make_the_parsers_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = mail(words(&text), Offers::default());
            let _ = rcpt(words(&text));
        }
    }
}
