//! Mail that breaks the rules of MIME, for sites that refuse it.
//!
//! Only the content of others is judged, and only by what its own header says of it: a site that does not look for
//! parts (disable_mime_input_processing) has nothing to judge by.

use std::fmt;

use config::{FromValue, Reader, ValueError, param};
use message::mime::{ContentType, Encoding};

/// What is refused. strict_8bitmime asks for the first two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strictness {
    /// 8-bit text in a header (strict_7bit_headers).
    headers: bool,
    /// 8-bit text in a body that does not say so (strict_8bitmime_body).
    bodies: bool,
    /// An encoding of what contains parts (strict_mime_encoding_domain).
    domains: bool,
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 8-bit text in a header.
    Header,
    /// 8-bit text in a body.
    Body,
    /// An encoding of what contains parts.
    Domain,
    /// The header has ended in a line of text (non_empty_end_of_header_action).
    EndOfHeader,
}

impl Strictness {
    /// Reads what is asked for.
    pub fn read(from: &Reader<'_>) -> Result<Self, ValueError> {
        let both = from.config.get(param::STRICT_8BITMIME)?;
        Ok(Strictness {
            headers: from.config.get::<bool>(param::STRICT_7BIT_HEADERS)? || both,
            bodies: from.config.get::<bool>(param::STRICT_8BITMIME_BODY)? || both,
            domains: from.config.get(param::STRICT_MIME_ENCODING_DOMAIN)?,
        })
    }

    /// Whether anything is refused.
    pub fn is_asked(self) -> bool {
        self.headers || self.bodies || self.domains
    }

    /// What is wrong with a field.
    pub fn of_header(self, field: &[u8]) -> Option<Fault> {
        (self.headers && !field.is_ascii()).then_some(Fault::Header)
    }

    /// What is wrong with a line of a body in this encoding.
    pub fn of_body(self, encoding: Encoding, line: &[u8]) -> Option<Fault> {
        (self.bodies && encoding == Encoding::SevenBit && !line.is_ascii()).then_some(Fault::Body)
    }

    /// What is wrong with an encoding of a body of this type (RFC 2045 6.4).
    pub fn of_encoding(self, kind: &ContentType, encoding: Encoding) -> Option<Fault> {
        let is_encoded = matches!(encoding, Encoding::QuotedPrintable | Encoding::Base64);
        let contains_parts = kind.is_multipart() || (kind.is_message() && kind.subtype == b"rfc822");
        let is_wrong = (contains_parts && is_encoded) || (kind.is_fragment() && !encoding.is_seven_bit());
        (self.domains && is_wrong).then_some(Fault::Domain)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Fault::Header => "improper use of 8-bit data in message header",
            Fault::Body => "improper use of 8-bit data in message body",
            Fault::Domain => "invalid message/* or multipart/* encoding domain",
            Fault::EndOfHeader => "primary header was terminated with non-empty line",
        })
    }
}

/// What becomes of a message whose header ends in a line of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EndOfHeader {
    /// The line that lacks is added.
    #[default]
    Fix,
    /// So is a header that says so.
    Tell,
    /// It is refused.
    Reject,
}

impl FromValue<String> for EndOfHeader {
    fn from_value(word: String) -> Result<Self, String> {
        let known =
            [("fix_quietly", EndOfHeader::Fix), ("add_header", EndOfHeader::Tell), ("reject", EndOfHeader::Reject)];
        let found = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word)).map(|(_, action)| *action);
        found.ok_or_else(|| format!("unknown action '{word}'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Strictness = Strictness { headers: true, bodies: true, domains: true };

    #[test]
    fn only_a_body_that_says_nothing_of_its_bytes_is_refused_for_them() {
        for (encoding, fault) in [
            (Encoding::SevenBit, Some(Fault::Body)),
            (Encoding::EightBit, None),
            (Encoding::Binary, None),
            (Encoding::QuotedPrintable, None),
            (Encoding::Base64, None),
        ] {
            assert_eq!(ALL.of_body(encoding, b"\xe9"), fault);
            assert_eq!(ALL.of_body(encoding, b"e"), None);
        }
    }

    /// As Postfix 3.11 judges them.
    #[test]
    fn what_contains_parts_is_not_encoded_and_fragments_are_in_seven_bits() {
        for (kind, encoding, is_wrong) in [
            ("multipart/mixed", Encoding::QuotedPrintable, true),
            ("multipart/x", Encoding::Base64, true),
            ("multipart/mixed", Encoding::Binary, false),
            ("message/rfc822", Encoding::Base64, true),
            ("message/rfc822", Encoding::EightBit, false),
            ("message/global", Encoding::Base64, false),
            ("message/partial", Encoding::EightBit, true),
            ("message/partial", Encoding::QuotedPrintable, false),
            ("message/external-body", Encoding::EightBit, true),
            ("message/delivery-status", Encoding::Base64, false),
            ("text/plain", Encoding::Base64, false),
        ] {
            let kind = ContentType::parse(kind.as_bytes());
            assert_eq!(ALL.of_encoding(&kind, encoding).is_some(), is_wrong, "{kind:?} {encoding:?}");
        }
    }

    #[test]
    fn nothing_is_refused_unless_it_is_asked_for() {
        let none = Strictness::default();
        assert!(!none.is_asked() && none.of_header(b"\xe9").is_none());
        assert_eq!(none.of_body(Encoding::SevenBit, b"\xe9"), None);
        assert_eq!(none.of_encoding(&ContentType::parse(b"multipart/mixed"), Encoding::Base64), None);
    }
}
