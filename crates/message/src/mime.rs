//! As much of MIME (RFC 2045, 2046) as a relay must know: the content type, the transfer encoding, boundaries.

use std::fmt;

/// A transfer encoding (RFC 2045 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Lines of ASCII: the default.
    SevenBit,
    /// Lines with bytes above 127.
    EightBit,
    /// Not lines at all.
    Binary,
    /// ASCII that stands for other bytes.
    QuotedPrintable,
    /// ASCII that stands for other bytes.
    Base64,
}

impl Encoding {
    /// Reads the value of Content-Transfer-Encoding; `None` for an unknown encoding. What stands after it, though
    /// nothing should, does not matter.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut rest = value;
        let token = token_of(&mut rest, is_atom_byte)?;
        let known: [(&[u8], Encoding); 5] = [
            (b"7bit", Encoding::SevenBit),
            (b"8bit", Encoding::EightBit),
            (b"binary", Encoding::Binary),
            (b"quoted-printable", Encoding::QuotedPrintable),
            (b"base64", Encoding::Base64),
        ];
        known.iter().find(|(name, _)| name.eq_ignore_ascii_case(token)).map(|(_, encoding)| *encoding)
    }

    /// The name in the header.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::SevenBit => "7bit",
            Encoding::EightBit => "8bit",
            Encoding::Binary => "binary",
            Encoding::QuotedPrintable => "quoted-printable",
            Encoding::Base64 => "base64",
        }
    }

    /// The domain of the encoded bytes: whether a relay without 8BITMIME may carry them.
    pub fn is_seven_bit(self) -> bool {
        !matches!(self, Encoding::EightBit | Encoding::Binary)
    }
}

/// The value of a Content-Type field, as far as it decides how the body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// The type, lower case (`multipart`).
    pub kind: Vec<u8>,
    /// The subtype, lower case (`report`).
    pub subtype: Vec<u8>,
    /// The boundary parameter.
    pub boundary: Option<Vec<u8>>,
}

/// How far the structure of a message is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Multiparts within each other (mime_nesting_limit).
    pub nesting: usize,
    /// Bytes of a boundary by which it is known (mime_boundary_length_limit); RFC 2046 5.1.1 allows 70, and mail in the
    /// wild has more.
    pub boundary: usize,
}

impl Default for ContentType {
    /// RFC 2045 5.2.
    fn default() -> Self {
        ContentType { kind: b"text".to_vec(), subtype: b"plain".to_vec(), boundary: None }
    }
}

impl ContentType {
    /// Reads the value of a Content-Type field; what cannot be read is text/plain (RFC 2045 5.2).
    pub fn parse(value: &[u8]) -> Self {
        Self::try_parse(value).unwrap_or_default()
    }

    /// Whether the body is a sequence of parts.
    pub fn is_multipart(&self) -> bool {
        self.kind == b"multipart"
    }

    /// Whether the body is a part of a message, or a pointer to one: RFC 2046 5.2.2 and 5.2.3 want them in seven bits.
    pub fn is_fragment(&self) -> bool {
        self.kind == b"message" && (self.subtype == b"partial" || self.subtype == b"external-body")
    }

    /// Whether the body is itself a message with a header.
    pub fn is_message(&self) -> bool {
        self.kind == b"message" && (self.subtype == b"rfc822" || self.subtype == b"global")
    }

    /// The type of a part whose header names none (RFC 2046 5.1).
    fn of_part(is_in_digest: bool) -> Self {
        match is_in_digest {
            true => ContentType { kind: b"message".to_vec(), subtype: b"rfc822".to_vec(), boundary: None },
            false => ContentType::default(),
        }
    }

    fn try_parse(value: &[u8]) -> Option<Self> {
        let mut rest = value;
        let kind = token(&mut rest)?.to_ascii_lowercase();
        let subtype = eat(&mut rest, b'/').and_then(|()| token(&mut rest)).unwrap_or_default().to_ascii_lowercase();
        Some(ContentType { kind, subtype, boundary: boundary(rest) })
    }
}

/// Where a line of a multipart body stands to its boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundaryLine {
    /// `--boundary`: a part starts.
    Opens,
    /// `--boundary--`: the last part has ended.
    Closes,
}

/// Whether the line (without its end) is a boundary line for `boundary`. As Postfix does, what follows the boundary on
/// the line is not looked at: who reads mail more strictly or less strictly than RFC 2046 5.1.1 must not find another
/// structure.
pub fn boundary_line(line: &[u8], boundary: &[u8]) -> Option<BoundaryLine> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    Some(if rest.starts_with(b"--") { BoundaryLine::Closes } else { BoundaryLine::Opens })
}

/// The multiparts that are open at a place of a message, the outermost first.
#[derive(Clone, Debug, Default)]
pub struct Multiparts(Vec<Multipart>);

#[derive(Clone, Debug)]
struct Multipart {
    boundary: Vec<u8>,
    is_digest: bool,
}

/// Multiparts stand within each other deeper than a limit allows (mime_nesting_limit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooDeep;

impl fmt::Display for TooDeep {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("MIME nesting exceeds safety limit")
    }
}

impl std::error::Error for TooDeep {}

impl Multiparts {
    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A header with this type has ended: if it is that of a multipart, its parts follow.
    ///
    /// # Errors
    /// As many as the limit are open; this one is not followed.
    pub fn enter(&mut self, kind: ContentType, limits: Limits) -> Result<(), TooDeep> {
        let is_digest = kind.subtype == b"digest";
        let Some(mut boundary) = kind.boundary.filter(|_| kind.kind == b"multipart") else { return Ok(()) };
        if self.0.len() >= limits.nesting {
            return Err(TooDeep);
        }
        // told: nobody; boundaries are compared by their beginning, so that no part is missed.
        boundary.truncate(limits.boundary);
        self.0.push(Multipart { boundary, is_digest });
        Ok(())
    }

    /// What a line of a body is if it is a boundary of an open multipart, the innermost first, and the type that a part
    /// which begins there has without a word of its own. The multiparts within it end there.
    pub fn line(&mut self, line: &[u8]) -> Option<(BoundaryLine, ContentType)> {
        if !line.starts_with(b"--") {
            return None;
        }
        let of = |part: &Multipart| Some((boundary_line(line, &part.boundary)?, part.is_digest));
        let (at, (found, is_digest)) = self.0.iter().enumerate().rev().find_map(|(at, part)| Some((at, of(part)?)))?;
        // told: nobody; the parts within this one have ended with it.
        self.0.truncate(at + usize::from(found == BoundaryLine::Opens));
        Some((found, ContentType::of_part(is_digest)))
    }
}

/// The last boundary among the parameters; what is no parameter is passed over up to the next semicolon.
fn boundary(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    while skip_to_parameter(&mut rest).is_some() {
        let name = token(&mut rest).unwrap_or_default();
        if name.eq_ignore_ascii_case(b"boundary")
            && eat(&mut rest, b'=').is_some()
            && let Some(value) = value(&mut rest)
        {
            found = (!value.is_empty()).then_some(value);
        }
    }
    found
}

/// Goes on behind the next semicolon that is in no comment and no quoted string.
fn skip_to_parameter(rest: &mut &[u8]) -> Option<()> {
    while eat(rest, b';').is_none() {
        if rest.first() == Some(&b'"') {
            value(rest);
        } else {
            *rest = rest.split_first()?.1;
        }
    }
    Some(())
}

/// Skips blanks and comments, then the one byte, if it is there.
fn eat(rest: &mut &[u8], byte: u8) -> Option<()> {
    skip_blanks(rest);
    *rest = rest.strip_prefix(&[byte])?;
    Some(())
}

fn token<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    token_of(rest, is_token_byte)
}

fn token_of<'a>(rest: &mut &'a [u8], takes: fn(u8) -> bool) -> Option<&'a [u8]> {
    skip_blanks(rest);
    let end = rest.iter().position(|b| !takes(*b)).unwrap_or(rest.len());
    let (token, after) = rest.split_at(end);
    *rest = after;
    (!token.is_empty()).then_some(token)
}

/// A token or a quoted string.
fn value(rest: &mut &[u8]) -> Option<Vec<u8>> {
    skip_blanks(rest);
    if rest.first() != Some(&b'"') {
        return token(rest).map(<[u8]>::to_vec);
    }
    let mut out = Vec::new();
    let mut bytes = rest.iter().enumerate().skip(1);
    while let Some((index, &byte)) = bytes.next() {
        match byte {
            b'"' => {
                *rest = &rest[index + 1..];
                return Some(out);
            }
            b'\\' => out.extend(bytes.next().map(|(_, b)| *b)),
            b'\r' | b'\n' => {}
            _ => out.push(byte),
        }
    }
    *rest = &[];
    Some(out)
}

/// Blanks, line breaks and (nested) comments.
fn skip_blanks(rest: &mut &[u8]) {
    let mut depth = 0usize;
    let mut escaped = false;
    let end = rest.iter().position(|&b| {
        if depth > 0 {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            return false;
        }
        if b == b'(' {
            depth = 1;
            return false;
        }
        !b.is_ascii_whitespace()
    });
    *rest = &rest[end.unwrap_or(rest.len())..];
}

/// RFC 2045 5.1: printable ASCII without blanks and tspecials; and bytes above it, which nobody should use.
fn is_token_byte(byte: u8) -> bool {
    (byte.is_ascii_graphic() || byte >= 0x80) && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

/// RFC 5322 3.2.3, where a transfer encoding ends for who does not know MIME's own tokens.
fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\".[]".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_boundary_is_found_among_parameters_and_comments() {
        let parsed = ContentType::parse(
            b" Multipart/Report (c;omment); report-type=delivery-status;\n\tboundary=\"A.1/h\\\"x\"",
        );
        assert_eq!((parsed.kind.as_slice(), parsed.subtype.as_slice()), (&b"multipart"[..], &b"report"[..]));
        assert_eq!(parsed.boundary.as_deref(), Some(&b"A.1/h\"x"[..]));
    }

    #[test]
    fn an_unreadable_type_is_plain_text() {
        assert_eq!(ContentType::parse(b"???"), ContentType::default());
        assert_eq!(ContentType::parse(b"\"multipart/mixed\"; boundary=b"), ContentType::default());
    }

    #[test]
    fn the_last_boundary_counts_and_what_is_no_parameter_does_not() {
        for (value, boundary) in [
            ("multipart/mixed; boundary=a; boundary=b", Some("b")),
            ("multipart/mixed; charset; ; boundary = b", Some("b")),
            ("multipart/mixed junk; a b=c; boundary=b x", Some("b")),
            ("multipart/mixed; x=\"a;boundary=q\"; boundary=b", Some("b")),
            ("multipart; boundary=b", Some("b")),
            ("multipart/mixed boundary=b", None),
            ("multipart/mixed; boundary=\"\"", None),
            ("multipart/mixed; boundary*=b", None),
            ("multipart/mixed; boundary=\"a b", Some("a b")),
        ] {
            let parsed = ContentType::parse(value.as_bytes());
            assert!(parsed.is_multipart());
            assert_eq!(parsed.boundary.as_deref(), boundary.map(str::as_bytes), "{value}");
        }
    }

    #[test]
    fn a_boundary_ends_what_stands_within_its_multipart_and_begins_a_part_of_the_default_type() {
        let limits = Limits { nesting: 2, boundary: 70 };
        let mut open = Multiparts::default();
        open.enter(ContentType::parse(b"multipart/digest; boundary=a"), limits).unwrap();
        open.enter(ContentType::parse(b"multipart/mixed; boundary=b"), limits).unwrap();
        assert_eq!(open.enter(ContentType::parse(b"multipart/mixed; boundary=c"), limits), Err(TooDeep));
        assert_eq!(open.enter(ContentType::parse(b"text/plain; boundary=d"), limits), Ok(()));
        assert_eq!(open.line(b"--b"), Some((BoundaryLine::Opens, ContentType::default())));
        let (found, kind) = open.line(b"--a").unwrap();
        assert!(found == BoundaryLine::Opens && kind.is_message());
        assert_eq!(open.line(b"--b"), None);
        assert_eq!(open.line(b"--a--").map(|(found, _)| found), Some(BoundaryLine::Closes));
        assert!(open.is_empty());
    }

    #[test]
    fn a_boundary_is_known_by_as_much_of_it_as_the_limit_says() {
        let mut open = Multiparts::default();
        let kind = ContentType::parse(b"multipart/mixed; boundary=abcdef");
        open.enter(kind, Limits { nesting: 1, boundary: 3 }).unwrap();
        assert_eq!(open.line(b"--abx").map(|(found, _)| found), None);
        assert_eq!(open.line(b"--abcxyz").map(|(found, _)| found), Some(BoundaryLine::Opens));
        assert_eq!(open.line(b"--abc--ef").map(|(found, _)| found), Some(BoundaryLine::Closes));
    }

    #[test]
    fn boundary_lines_open_and_close() {
        assert_eq!(boundary_line(b"--x", b"x"), Some(BoundaryLine::Opens));
        assert_eq!(boundary_line(b"--x-- \t", b"x"), Some(BoundaryLine::Closes));
        assert_eq!(boundary_line(b"--xy", b"x"), Some(BoundaryLine::Opens));
        assert_eq!(boundary_line(b"-- x", b"x"), None);
    }

    #[test]
    fn encodings_have_names_in_any_case() {
        assert_eq!(Encoding::parse(b" (c) 8BIT"), Some(Encoding::EightBit));
        assert_eq!(Encoding::parse(b"8bit; x"), Some(Encoding::EightBit));
        assert_eq!(Encoding::parse(b"8bit.x"), Some(Encoding::EightBit));
        for unknown in [&b"x-uuencode"[..], b"8bit/x", b"\"8bit\"", b"8bitx"] {
            assert_eq!(Encoding::parse(unknown), None);
        }
        assert!(!Encoding::Binary.is_seven_bit());
    }

    proptest! {
        #[test]
        fn any_value_has_a_content_type(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ContentType::parse(&value);
            let _ = Encoding::parse(&value);
        }

        #[test]
        fn a_quoted_boundary_survives(boundary in "[ -!#-\\[\\]-~]{1,70}") {
            let parsed = ContentType::parse(format!("multipart/mixed; boundary=\"{boundary}\"").as_bytes());
            prop_assert_eq!(parsed.boundary, Some(boundary.into_bytes()));
        }
    }
}
