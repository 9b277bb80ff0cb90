//! The parameters after a path: SIZE (RFC 1870), BODY (RFC 6152), RET, ENVID, NOTIFY, ORCPT (RFC 3461),
//! SMTPUTF8 (RFC 6531), AUTH (RFC 4954), REQUIRETLS (RFC 8689).
//!
//! Only the syntax is judged here; whether a server offers what is asked for is its own business.

use std::fmt;

/// BODY of MAIL. RFC 6152.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// BODY=7BIT
    SevenBit,
    /// BODY=8BITMIME
    EightBitMime,
}

/// RET of MAIL. RFC 3461 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// The whole message comes back.
    Full,
    /// The headers come back.
    Headers,
}

/// NOTIFY of RCPT. RFC 3461 4.1. The default (nothing set) is no NOTIFY parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// NEVER: excludes all others.
    pub never: bool,
    /// SUCCESS
    pub success: bool,
    /// FAILURE
    pub failure: bool,
    /// DELAY
    pub delay: bool,
}

impl Notify {
    /// The bits of a queue file's notify_flags: 1 never, 2 success, 4 failure, 8 delay.
    pub fn bits(self) -> u32 {
        u32::from(self.never)
            | u32::from(self.success) << 1
            | u32::from(self.failure) << 2
            | u32::from(self.delay) << 3
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
    pub ret: Option<Ret>,
    /// ENVID, still in xtext.
    pub envid: Option<Vec<u8>>,
    /// SMTPUTF8
    pub smtputf8: bool,
    /// REQUIRETLS
    pub requiretls: bool,
    /// AUTH, still in xtext, `<>` included.
    pub auth: Option<Vec<u8>>,
}

/// The parameters of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters {
    /// NOTIFY
    pub notify: Option<Notify>,
    /// ORCPT: address type and address, the address still in xtext.
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
    /// NOTIFY list.
    Notify,
    /// ORCPT that is no `type;xtext`, or twice.
    Orcpt,
    /// A parameter that no server here knows, as it was written.
    Unsupported(Vec<u8>),
}

impl ParameterError {
    /// Code and enhanced status of the reply.
    pub fn code(&self) -> (u16, &'static str) {
        match self {
            ParameterError::Unsupported(_) => (555, "5.5.4"),
            _ => (501, "5.5.4"),
        }
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParameterError::Size => f.write_str("Bad message size syntax"),
            ParameterError::Ret => f.write_str("Error: Bad RET parameter syntax"),
            ParameterError::Envid => f.write_str("Bad ENVID parameter syntax"),
            ParameterError::Notify => f.write_str("Error: Bad NOTIFY parameter syntax"),
            ParameterError::Orcpt => f.write_str("Error: Bad ORCPT parameter syntax"),
            ParameterError::Unsupported(word) => {
                write!(f, "Unsupported option: {}", String::from_utf8_lossy(word))
            }
        }
    }
}

impl std::error::Error for ParameterError {}

/// Reads the parameters of MAIL.
pub fn mail<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<MailParameters, ParameterError> {
    let mut found = MailParameters::default();
    for word in words {
        let (name, value) = split(word);
        match (name.as_slice(), value) {
            (b"SIZE", Some(value)) => found.size = Some(number(value).ok_or(ParameterError::Size)?),
            (b"BODY", Some(value)) if value.eq_ignore_ascii_case(b"8BITMIME") => {
                found.body = Some(Body::EightBitMime);
            }
            (b"BODY", Some(value)) if value.eq_ignore_ascii_case(b"7BIT") => {
                found.body = Some(Body::SevenBit)
            }
            (b"RET", Some(value)) => {
                let ret = ret(value).filter(|_| found.ret.is_none());
                found.ret = Some(ret.ok_or(ParameterError::Ret)?);
            }
            (b"ENVID", Some(value)) => {
                if found.envid.is_some() || !is_xtext(value) || value.is_empty() {
                    return Err(ParameterError::Envid);
                }
                found.envid = Some(value.to_vec());
            }
            (b"AUTH", Some(value)) => found.auth = Some(value.to_vec()),
            (b"SMTPUTF8", None) => found.smtputf8 = true,
            (b"REQUIRETLS", None) => found.requiretls = true,
            _ => return Err(ParameterError::Unsupported(word.to_vec())),
        }
    }
    Ok(found)
}

/// Reads the parameters of RCPT.
pub fn rcpt<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<RcptParameters, ParameterError> {
    let mut found = RcptParameters::default();
    for word in words {
        let (name, value) = split(word);
        match (name.as_slice(), value) {
            (b"NOTIFY", Some(value)) => {
                let notify = notify(value).filter(|_| found.notify.is_none());
                found.notify = Some(notify.ok_or(ParameterError::Notify)?);
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
    digits.then(|| {
        value.iter().fold(0u64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

fn ret(value: &[u8]) -> Option<Ret> {
    match value.to_ascii_uppercase().as_slice() {
        b"FULL" => Some(Ret::Full),
        b"HDRS" => Some(Ret::Headers),
        _ => None,
    }
}

fn notify(value: &[u8]) -> Option<Notify> {
    let mut found = Notify::default();
    for item in value.split(|byte| *byte == b',') {
        let flag = match item.to_ascii_uppercase().as_slice() {
            b"NEVER" => &mut found.never,
            b"SUCCESS" => &mut found.success,
            b"FAILURE" => &mut found.failure,
            b"DELAY" => &mut found.delay,
            _ => return None,
        };
        if std::mem::replace(flag, true) {
            return None;
        }
    }
    (!found.never || found.bits() == 1).then_some(found)
}

fn orcpt(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let at = value.iter().position(|byte| *byte == b';')?;
    let (kind, address) = (&value[..at], &value[at + 1..]);
    let ok = !kind.is_empty() && !address.is_empty() && is_xtext(address);
    ok.then(|| (kind.to_vec(), address.to_vec()))
}

/// xtext of RFC 3461 4: printable, and `+` only before two upper-case hex digits.
fn is_xtext(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => {
                let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
                if tail.len() < 2 || !tail[..2].iter().all(hex) {
                    return false;
                }
                rest = &tail[2..];
            }
            b'!'..=b'~' | 0x80.. => {}
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verb::words;
    use proptest::prelude::*;

    #[test]
    fn the_parameters_of_mail_are_read_in_any_case_and_order() {
        let found = mail(words(
            b"body=8bitmime SIZE=10 RET=hdrs ENVID=a+2Bb SMTPUTF8",
        ))
        .unwrap();
        assert_eq!(found.size, Some(10));
        assert_eq!(found.body, Some(Body::EightBitMime));
        assert_eq!(found.ret, Some(Ret::Headers));
        assert_eq!(found.envid.as_deref(), Some(&b"a+2Bb"[..]));
        assert!(found.smtputf8);
    }

    #[test]
    fn a_size_beyond_all_measure_is_the_largest_number() {
        assert_eq!(
            mail(words(b"SIZE=99999999999999999999999")).unwrap().size,
            Some(u64::MAX)
        );
        assert_eq!(mail(words(b"SIZE=1x")), Err(ParameterError::Size));
    }

    #[test]
    fn an_unknown_parameter_is_quoted_as_it_was_written() {
        let error = mail(words(b"Foo=Bar")).unwrap_err();
        assert_eq!(error.to_string(), "Unsupported option: Foo=Bar");
        assert_eq!(error.code(), (555, "5.5.4"));
    }

    #[test]
    fn never_stands_alone() {
        assert_eq!(
            rcpt(words(b"NOTIFY=NEVER")).unwrap().notify.unwrap().bits(),
            1
        );
        assert_eq!(
            rcpt(words(b"NOTIFY=success,DELAY"))
                .unwrap()
                .notify
                .unwrap()
                .bits(),
            10
        );
        for bad in [
            &b"NOTIFY=NEVER,DELAY"[..],
            b"NOTIFY=",
            b"NOTIFY=DELAY,DELAY",
            b"NOTIFY=BAD",
        ] {
            assert_eq!(rcpt(words(bad)), Err(ParameterError::Notify));
        }
    }

    #[test]
    fn orcpt_is_a_type_and_an_xtext() {
        let found = rcpt(words(b"ORCPT=rfc822;a@b")).unwrap();
        assert_eq!(found.orcpt, Some((b"rfc822".to_vec(), b"a@b".to_vec())));
        for bad in [
            &b"ORCPT=a@b"[..],
            b"ORCPT=;a",
            b"ORCPT=rfc822;",
            b"ORCPT=rfc822;a+zz",
        ] {
            assert_eq!(rcpt(words(bad)), Err(ParameterError::Orcpt));
        }
    }

    proptest! {
        #[test]
        fn no_words_make_the_parsers_panic(text in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = mail(words(&text));
            let _ = rcpt(words(&text));
        }
    }
}
