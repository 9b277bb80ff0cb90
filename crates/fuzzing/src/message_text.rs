//! The text of messages: header fields, the parts of MIME, what of a stranger's words stands in lines of our own.

use address::token::{Kind, Token, tokens};
use message::header::{Field, fold, is_continuation, name_length, trim};
use message::mime::{BoundaryLine, ContentType, Encoding, Limits, boundary_line};
use message::received;
use message::refold::refold;
use message::seven_bit::Converter;

use crate::pieces::{assert_harmless, choices};

/// A field is its name and value, word for word; folded it has the same words in lines that are short enough.
pub fn header_field(data: &[u8]) {
    let (choice, field) = choices(data);
    if let Some(parsed) = Field::parse(field) {
        assert_eq!(name_length(field), Some(parsed.name.len()));
        assert!(!parsed.name.is_empty() && parsed.name.iter().all(u8::is_ascii_graphic));
        assert!(!is_continuation(field));
        assert!(field.starts_with(parsed.name) && field.ends_with(parsed.value));
        let between = &field[parsed.name.len()..field.len() - parsed.value.len()];
        assert_eq!(trim(between), b":");
        let anew = [parsed.name, b": ", parsed.trimmed()].concat();
        assert_eq!(
            Field::parse(&anew).map(|again| (again.name, again.trimmed(), again.kind())),
            Some((parsed.name, parsed.trimmed(), parsed.kind()))
        );
    }
    let width = 1 + usize::from(choice);
    let lines = fold(field, width, b"    ");
    assert_eq!(words(&lines.join(&b' ')), words(field));
    for line in &lines {
        assert!(line.len() <= width || words(line).len() <= 1, "a line that could have been broken");
    }
}

fn words(text: &[u8]) -> Vec<&[u8]> {
    text.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect()
}

/// A field that is written anew has the same words, in lines that are one field.
pub fn refolded_field(data: &[u8]) {
    let anew = refold(b"To", data);
    assert!(!anew.contains(&b'\r'));
    for (at, line) in anew.split(|byte| *byte == b'\n').enumerate() {
        assert!(at == 0 || is_continuation(line));
        assert!(!trim(line).is_empty(), "an empty line would end the header");
    }
    assert_eq!(meaning(&anew[b"To:".len()..]), meaning(data));
    let again = refold(b"To", &anew[b"To:".len()..]);
    assert_eq!(again, anew, "what is in order stays as it is");
}

/// What a field with addresses says: words without their quotes, and what stands for itself, but for commas.
fn meaning(text: &[u8]) -> Vec<Vec<u8>> {
    let says = |token: &Token| !matches!(token.kind, Kind::Space | Kind::Special(b','));
    let mut said: Vec<_> = tokens(text).iter().filter(|token| says(token)).map(|token| token.internal(text)).collect();
    said.iter_mut().flatten().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    said
}

/// What decides how a body is read is bounded, and a boundary that was read is one.
pub fn mime_fields(data: &[u8]) {
    let found = ContentType::parse(data);
    assert!(!found.kind.is_empty());
    for word in [&found.kind, &found.subtype] {
        assert!(
            !word.iter().any(|byte| byte.is_ascii_control() || b" ()\"".contains(byte) || byte.is_ascii_uppercase())
        );
    }
    if let Some(boundary) = &found.boundary {
        assert!((1..=data.len()).contains(&boundary.len()));
        let opens = [b"--", &boundary[..], b" \t"].concat();
        // A boundary that ends in two hyphens is its own end.
        assert!(boundary_line(&opens, boundary).is_some());
        let closes = [b"--", &boundary[..], b"--"].concat();
        assert_eq!(boundary_line(&closes, boundary), Some(BoundaryLine::Closes));
    }
    if let Some(encoding) = Encoding::parse(data) {
        assert_eq!(Encoding::parse(encoding.name().as_bytes()), Some(encoding));
    }
}

/// A message for a server without 8BITMIME is the same wherever its lines were cut, grows by little more than its 8-bit
/// bytes, and is not converted again; a part that was converted is ASCII in short lines and decodes to what it was.
pub fn seven_bit_message(data: &[u8]) {
    let (choice, message) = choices(data);
    let Some(converted) = converted(message, usize::MAX) else { return };
    // A piece has room for the name of a field, and for a boundary.
    let has_long_boundary = message.split(|byte| *byte == b'\n').any(|line| line.len() > PIECE && line.contains(&b'='));
    if !has_long_boundary {
        let piece = PIECE + 16 * usize::from(choice);
        assert_eq!(self::converted(message, piece).as_ref(), Some(&converted), "pieces make no difference");
    }
    let size: usize = converted.iter().map(|line| line.len() + 1).sum();
    assert!(size <= 4 * message.len() + 64 * (converted.len() + 1));

    let declared = [b"Content-Transfer-Encoding: 8bit\n\n", message].concat();
    let Some(quoted) = self::converted(&declared, PIECE + usize::from(choice)) else { return };
    assert_eq!(self::converted(&quoted.join(&b'\n'), usize::MAX).as_ref(), Some(&quoted), "once is enough");
    let body = &quoted[2..];
    assert!(body.iter().all(|line| line.len() <= 76 && line.is_ascii()));
    assert_eq!(decoded(body), message.split(|byte| *byte == b'\n').collect::<Vec<_>>());
}

/// How far structure is followed: the defaults of mime_nesting_limit and mime_boundary_length_limit.
const LIMITS: Limits = Limits { nesting: 102, boundary: 2048 };
/// The shortest piece of a line.
const PIECE: usize = 400;

/// The lines of a converted message.
fn converted(message: &[u8], piece: usize) -> Option<Vec<Vec<u8>>> {
    let (mut lines, mut open) = (Vec::new(), Vec::new());
    let mut emit = |piece: &[u8], ends: bool| {
        open.extend_from_slice(piece);
        if ends {
            lines.push(std::mem::take(&mut open));
        }
    };
    let mut converter = Converter::new(LIMITS);
    for line in message.split(|byte| *byte == b'\n') {
        let pieces: Vec<&[u8]> = line.chunks(piece).collect();
        let (last, before) = pieces.split_last().map_or((&b""[..], &[][..]), |(last, before)| (*last, before));
        for piece in before {
            converter.text(piece, false, &mut emit).ok()?;
        }
        converter.text(last, true, &mut emit).ok()?;
    }
    converter.end(&mut emit).ok()?;
    assert!(open.is_empty(), "every line ends");
    Some(lines)
}

/// What quoted-printable lines stand for (RFC 2045 6.7).
fn decoded(lines: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for line in lines {
        let (text, goes_on) = line.strip_suffix(b"=").map_or((&line[..], false), |text| (text, true));
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            let mut digit =
                || bytes.next().and_then(|digit| char::from(*digit).to_digit(16)).expect("two digits behind =");
            open.push(if *byte == b'=' { (digit() * 16 + digit()) as u8 } else { *byte });
        }
        if !goes_on {
            found.push(std::mem::take(&mut open));
        }
    }
    assert!(open.is_empty(), "the last line ends");
    found
}

/// A comment in a Received field is one comment, whatever was said.
pub fn received_comment(data: &[u8]) {
    let comment = received::comment(data);
    assert_harmless(&comment);
    assert!(comment.is_ascii() && comment.len() <= 2 * data.len());
    let depth = comment.bytes().try_fold(0usize, |depth, byte| match byte {
        b'(' => Some(depth + 1),
        b')' => depth.checked_sub(1),
        _ => Some(depth),
    });
    assert_eq!(depth, Some(0), "parentheses are in pairs: {comment}");
    assert!(!comment.contains('\\'));
    let tokens = address::token::tokens(format!("({comment})").as_bytes());
    assert_eq!(tokens.len(), 1);
}
