//! Address literals: the syntax check that runs before any other parser sees an address from the network.
//!
//! The check accepts exactly what Postfix's accepts, loose spots included (`1:2:3:4:5:6:7` passes); the standard
//! library's parser stays the final authority on what an address is, so nothing here guards memory or trust.

use std::fmt;
use std::net::IpAddr;

use bstr::{BString, ByteSlice};

use crate::{Shown, address};

/// The longest content of a mail host literal, `IPv6:` included.
/// told: the caller; a longer one is no address.
const LONGEST_LITERAL: usize = 45;

/// Whether `text` has the form of an IPv4 address.
#[must_use]
pub fn is_valid_v4(text: &[u8]) -> bool {
    check_v4(text).is_ok()
}

/// Whether `text` has the form of an IPv6 address, without prefix, brackets or zone.
#[must_use]
pub fn is_valid_v6(text: &[u8]) -> bool {
    check_v6(text).is_ok()
}

/// Whether `text` has the form of a numeric address: IPv6 if it contains a colon.
///
/// # Errors
/// Prints as the warning that goes to the log.
pub fn check(text: &[u8]) -> Result<(), LiteralError> {
    match text {
        b"" => Err(LiteralError { checked: "valid_hostaddr", fault: Fault::Empty, text: BString::default() }),
        _ if text.contains(&b':') => check_v6(text),
        _ => check_v4(text),
    }
}

/// The address in `[1.2.3.4]` or `[IPv6:::1]` (RFC 5321 4.1.3; the prefix in any case); nothing else is one.
#[must_use]
pub fn mailhost(literal: &[u8]) -> Option<IpAddr> {
    check_mailhost(literal).ok().flatten()
}

/// As [`mailhost`], with the reason; `Ok(None)` is a well-formed literal that is no address (a loose spot above).
///
/// # Errors
/// Prints as the warning that goes to the log.
pub fn check_mailhost(literal: &[u8]) -> Result<Option<IpAddr>, LiteralError> {
    let fault = |fault| LiteralError { checked: "valid_mailhost_literal", fault, text: literal.into() };
    let rest = literal.strip_prefix(b"[").ok_or_else(|| fault(Fault::NoOpening))?;
    let (content, tail) = rest.split_once_str("]").ok_or_else(|| fault(Fault::NoClosing))?;
    if !tail.is_empty() {
        return Err(fault(Fault::Garbage));
    }
    if content.len() > LONGEST_LITERAL {
        return Err(fault(Fault::TooLong));
    }
    match without_v6_prefix(content) {
        Some(v6) => {
            check_v6(v6)?;
            Ok(address::parse(v6))
        }
        None => {
            check_v4(content)?;
            Ok(v4_with_leading_zeros(content))
        }
    }
}

/// `text` after `IPv6:` in any case.
#[must_use]
pub fn without_v6_prefix(text: &[u8]) -> Option<&[u8]> {
    let (prefix, rest) = text.split_at_checked(5)?;
    prefix.eq_ignore_ascii_case(b"IPv6:").then_some(rest)
}

/// The address as SMTP writes it inside brackets: `10.1.2.3`, `IPv6:2001:db8::1`.
#[must_use]
pub fn rfc(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(_) => format!("IPv6:{}", Shown(address)),
    }
}

/// As [`is_valid_v4`], with the reason.
///
/// # Errors
/// Prints as the warning that goes to the log.
pub fn check_v4(text: &[u8]) -> Result<(), LiteralError> {
    let fault = |fault| LiteralError { checked: "valid_ipv4_hostaddr", fault, text: text.into() };
    let mut octets = 0;
    let mut value: Option<u32> = None;
    for (at, byte) in text.iter().copied().enumerate() {
        match byte {
            b'0'..=b'9' => {
                if value.is_none() {
                    octets += 1;
                }
                let sum = value.unwrap_or(0) * 10 + u32::from(byte - b'0');
                if sum > 255 {
                    return Err(fault(Fault::OctetValue));
                }
                value = Some(sum);
            }
            b'.' if value.is_none() || at + 1 == text.len() => return Err(fault(Fault::Dot)),
            b'.' => {
                let all_zero = text.iter().all(|byte| matches!(byte, b'0' | b'.'));
                if octets == 1 && value == Some(0) && !all_zero {
                    return Err(fault(Fault::FirstOctet));
                }
                value = None;
            }
            _ => return Err(fault(Fault::Character(byte, ""))),
        }
    }
    if octets == 4 { Ok(()) } else { Err(fault(Fault::OctetCount)) }
}

/// As [`is_valid_v6`], with the reason.
///
/// # Errors
/// Prints as the warning that goes to the log.
pub fn check_v6(text: &[u8]) -> Result<(), LiteralError> {
    let fault = |fault| LiteralError { checked: "valid_ipv6_hostaddr", fault, text: text.into() };
    let mut colons = 0;
    let mut doubles = 0;
    let mut group = 0;
    for (at, byte) in text.iter().copied().enumerate() {
        let next = text.get(at + 1).copied();
        match byte {
            b':' => {
                if at == 0 && next != Some(b':') {
                    return Err(fault(Fault::NullFirst));
                }
                colons += 1;
                if colons > 7 {
                    return Err(fault(Fault::ManyColons));
                }
                if next == Some(b':') {
                    doubles += 1;
                    if doubles > 1 {
                        return Err(fault(Fault::ManyDoubles));
                    }
                } else if next.is_none() && !text[..at].ends_with(b":") {
                    return Err(fault(Fault::NullLast));
                }
                group = 0;
            }
            b'.' => {
                let placed = (2..=6).contains(&colons) && group > 0;
                return if placed { check_v4(&text[at - group..]) } else { Err(fault(Fault::DottedTail)) };
            }
            b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => {
                group += 1;
                if group > 4 {
                    return Err(fault(Fault::Group));
                }
            }
            _ => return Err(fault(Fault::Character(byte, " in IPv6 address"))),
        }
    }
    if colons < 2 { Err(fault(Fault::FewColons)) } else { Ok(()) }
}

/// The syntax check allows leading zeros in octets, which the standard library refuses (C reads them as octal).
fn v4_with_leading_zeros(text: &[u8]) -> Option<IpAddr> {
    let mut octets = [0; 4];
    for (octet, digits) in octets.iter_mut().zip(text.split_str(".")) {
        *octet = std::str::from_utf8(digits).ok()?.parse().ok()?;
    }
    Some(IpAddr::from(octets))
}

/// Why a text is no address literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiteralError {
    checked: &'static str,
    fault: Fault,
    text: BString,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Empty,
    OctetValue,
    OctetCount,
    Dot,
    FirstOctet,
    Character(u8, &'static str),
    FewColons,
    ManyColons,
    ManyDoubles,
    NullFirst,
    NullLast,
    Group,
    DottedTail,
    NoOpening,
    NoClosing,
    Garbage,
    TooLong,
}

impl fmt::Display for LiteralError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        write!(out, "{}: ", self.checked)?;
        match self.fault {
            Fault::Empty => out.write_str("empty address"),
            Fault::OctetValue => write!(out, "invalid octet value: {text}"),
            Fault::OctetCount => write!(out, "invalid octet count: {text}"),
            Fault::Dot => write!(out, "misplaced dot: {text}"),
            Fault::FirstOctet => write!(out, "bad initial octet value: {text}"),
            Fault::Character(byte, place) => {
                write!(out, "invalid character {byte}(decimal){place}: {text}")
            }
            Fault::FewColons => write!(out, "too few `:' in IPv6 address: {text}"),
            Fault::ManyColons => write!(out, "too many `:' in IPv6 address: {text}"),
            Fault::ManyDoubles => write!(out, "too many `::' in IPv6 address: {text}"),
            Fault::NullFirst => write!(out, "bad null first field in IPv6 address: {text}"),
            Fault::NullLast => write!(out, "bad null last field in IPv6 address: {text}"),
            Fault::Group => write!(out, "malformed IPv6 address: {text}"),
            Fault::DottedTail => write!(out, "malformed IPv4-in-IPv6 address: {text}"),
            Fault::NoOpening => write!(out, "missing '[' character: {text}"),
            Fault::NoClosing => write!(out, "']' expected at end: {text}"),
            Fault::Garbage => write!(out, "unexpected text after ']': {text}"),
            Fault::TooLong => write!(out, "too much text: {text}"),
        }
    }
}

impl std::error::Error for LiteralError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v4_forms_are_refused_with_postfix_words() {
        for (input, text) in [
            ("256.1.1.1", "invalid octet value"),
            ("1.2.3", "invalid octet count"),
            ("1.2.3.4.5", "invalid octet count"),
            ("", "invalid octet count"),
            ("1..2.3", "misplaced dot"),
            (".1.2.3", "misplaced dot"),
            ("1.2.3.", "misplaced dot"),
            ("0.1.2.3", "bad initial octet value"),
            ("::1", "invalid character 58(decimal)"),
        ] {
            let error = check_v4(input.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("valid_ipv4_hostaddr: {text}: {input}"));
        }
        for good in ["127.0.0.1", "0.0.0.0", "01.2.3.4", "000000010.0.0.1"] {
            assert!(is_valid_v4(good.as_bytes()), "{good}");
        }
    }

    #[test]
    fn v6_forms_are_refused_with_postfix_words() {
        for (input, text) in [
            ("1:2", "too few `:' in IPv6 address"),
            ("", "too few `:' in IPv6 address"),
            ("1:2:3:4:5:6:7:8:9", "too many `:' in IPv6 address"),
            ("1:2:3:4:5:6:7::", "too many `:' in IPv6 address"),
            ("1:2:3:4::5:6:7:8", "too many `:' in IPv6 address"),
            ("::2:3:4:5:6:7:8", "too many `:' in IPv6 address"),
            ("1::2::3", "too many `::' in IPv6 address"),
            (":::1", "too many `::' in IPv6 address"),
            (":1::2", "bad null first field in IPv6 address"),
            ("1::2:", "bad null last field in IPv6 address"),
            ("12345::1", "malformed IPv6 address"),
            ("::.1.2.3.4", "malformed IPv4-in-IPv6 address"),
            ("1:1.2.3.4", "malformed IPv4-in-IPv6 address"),
            ("fe80::1%e0", "invalid character 37(decimal) in IPv6 address"),
        ] {
            let error = check_v6(input.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("valid_ipv6_hostaddr: {text}: {input}"));
        }
        for good in ["::", "::1", "1:2:3:4:5:6:7", "1:2:3:4:5:1.2.3.4", "::ffff:10.1.2.3", "1::"] {
            assert!(is_valid_v6(good.as_bytes()), "{good}");
        }
    }

    #[test]
    fn a_bad_dotted_tail_is_a_bad_ipv4_address() {
        let error = check_v6(b"::1.2.3.256").unwrap_err().to_string();
        assert_eq!(error, "valid_ipv4_hostaddr: invalid octet value: 1.2.3.256");
    }

    #[test]
    fn a_mailhost_literal_is_a_v4_address_or_a_prefixed_v6_address() {
        for (literal, expected) in [
            ("[127.0.0.1]", Some("127.0.0.1")),
            ("[01.2.3.4]", Some("1.2.3.4")),
            ("[IPv6:::1]", Some("::1")),
            ("[ipv6:0:0:0:0:0:0:0:1]", Some("::1")),
            ("[IPV6:::ffff:10.1.2.3]", Some("::ffff:10.1.2.3")),
            ("[IPv6:1:2:3:4:5:6:7]", None),
            ("[::1]", None),
            ("[IPv6:127.0.0.1]", None),
            ("[IPv4:127.0.0.1]", None),
            ("[IPv6:]", None),
            ("[]", None),
            ("[host]", None),
            ("[IPv6:::1]x", None),
            ("[IPv6:::1", None),
            ("127.0.0.1", None),
            ("[IPv6:0000:0000:0000:0000:0000:ffff:255.255.255.255]", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(mailhost(literal.as_bytes()), expected, "{literal}");
        }
    }

    #[test]
    fn a_loose_spot_is_well_formed_and_no_address() {
        assert_eq!(check_mailhost(b"[IPv6:1:2:3:4:5:6:7]"), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text in "[0-9a-f:.]{0,45}") {
            for input in [bytes.as_slice(), text.as_bytes(), format!("[IPv6:{text}]").as_bytes()] {
                let _ = check(input).map_err(|error| error.to_string());
                let _ = check_v4(input);
                let _ = check_v6(input);
                let _ = check_mailhost(input);
            }
        }

        #[test]
        fn every_address_survives_its_literal_form(bits: u128) {
            for address in [IpAddr::from(bits.to_be_bytes()), IpAddr::from((bits as u32).to_be_bytes())] {
                // Refused by the check: an initial octet of zero.
                if matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 0) {
                    continue;
                }
                let literal = format!("[{}]", rfc(address));
                proptest::prop_assert_eq!(mailhost(literal.as_bytes()), Some(address));
            }
        }
    }
}
