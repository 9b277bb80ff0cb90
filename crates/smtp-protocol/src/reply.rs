//! Replies: the server writes them, the client reads them.
//!
//! A reply keeps its lines as they are on the wire, enhanced status code included, because the client logs
//! and returns them verbatim. A reply is written in one piece, so that a group of replies costs one system
//! call. Text that goes out is cut and freed of control characters: nothing that a client said can add a
//! line to a reply.

use std::fmt;

/// The longest line that is written, without CR LF. RFC 5321 4.5.3.1.5.
pub const LINE_LIMIT: usize = 510;

/// The most lines that a [`ReplyParser`] keeps of one reply; later ones are dropped.
pub const LINES_KEPT: usize = 100;

/// The most bytes that a [`ReplyParser`] keeps of one line.
pub const LINE_KEPT: usize = 2048;

/// The most lines that a [`ReplyParser`] reads of one reply before it gives up.
pub const LINES_READ: usize = 1000;

/// One reply: a code and at least one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    lines: Vec<Vec<u8>>,
}

impl Reply {
    /// A reply of one line without an enhanced status code, as greetings and HELO have it.
    pub fn plain(code: u16, text: impl AsRef<[u8]>) -> Reply {
        Reply { code, lines: vec![text.as_ref().to_vec()] }
    }

    /// A reply of one line with its enhanced status code (`5.1.1`), RFC 2034.
    pub fn with_status(code: u16, status: &str, text: impl AsRef<[u8]>) -> Reply {
        let text = text.as_ref();
        let mut line = Vec::with_capacity(status.len() + 1 + text.len());
        line.extend_from_slice(status.as_bytes());
        line.push(b' ');
        line.extend_from_slice(text);
        Reply { code, lines: vec![line] }
    }

    /// A reply of several lines, such as that to EHLO. No lines are one empty line.
    pub fn lines_of(code: u16, lines: Vec<Vec<u8>>) -> Reply {
        let lines = if lines.is_empty() { vec![Vec::new()] } else { lines };
        Reply { code, lines }
    }

    /// The reply code; of any class in replies that were parsed, since a server that says 150 or 999 has answered as well.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The first digit of the code.
    pub fn class(&self) -> u16 {
        self.code / 100
    }

    /// 2xx or 3xx: the command did what it should.
    pub fn is_positive(&self) -> bool {
        matches!(self.class(), 2 | 3)
    }

    /// The lines without code and CR LF, enhanced status code included. Never empty.
    pub fn lines(&self) -> &[Vec<u8>] {
        &self.lines
    }

    /// The enhanced status code at the start of the first line, when its class is that of the reply code;
    /// and the text after it.
    pub fn enhanced(&self) -> Option<(&[u8], &[u8])> {
        let line = self.lines.first()?;
        let (status, rest) = split_status(line)?;
        (u16::from(status[0].wrapping_sub(b'0')) == self.class()).then_some((status, rest))
    }

    /// The reply as it was on the wire, lines separated by a blank: `550-5.1.1 a 550 5.1.1 b`. This is
    /// what log lines and reports quote.
    pub fn verbatim(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.each(|code, separator, line| {
            if !out.is_empty() {
                out.push(b' ');
            }
            out.extend_from_slice(code);
            if separator == b'-' || !line.is_empty() {
                out.push(separator);
            }
            out.extend_from_slice(line);
        });
        out
    }

    /// Appends the reply to `out`, each line at most [`LINE_LIMIT`] bytes and without control characters.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.each(|code, separator, line| {
            out.extend_from_slice(code);
            out.push(separator);
            push_clean(out, &line[..line.len().min(LINE_LIMIT - 4)]);
            out.extend_from_slice(b"\r\n");
        });
    }

    fn each(&self, mut visit: impl FnMut(&[u8], u8, &[u8])) {
        let code =
            [b'0' + (self.code / 100 % 10) as u8, b'0' + (self.code / 10 % 10) as u8, b'0' + (self.code % 10) as u8];
        let last = self.lines.len().saturating_sub(1);
        for (at, line) in self.lines.iter().enumerate() {
            visit(&code, if at == last { b' ' } else { b'-' }, line);
        }
    }
}

/// Splits `5.1.1 text` into the enhanced status code and the text after the blank. RFC 3463 2.
pub fn split_status(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let (status, rest) = line.split_at(end);
    let mut parts = status.split(|byte| *byte == b'.');
    let class = parts.next()?;
    let ok = matches!(class, b"2" | b"4" | b"5")
        && [parts.next()?, parts.next()?]
            .iter()
            .all(|part| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit))
        && parts.next().is_none();
    let rest = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t')).map_or(&rest[..0], |at| &rest[at..]);
    ok.then_some((status, rest))
}

/// Appends `text`, control characters replaced by a blank, and 8-bit bytes too unless they are UTF-8.
fn push_clean(out: &mut Vec<u8>, text: &[u8]) {
    let eight_bit = std::str::from_utf8(text).is_ok();
    out.extend(text.iter().map(|byte| match byte {
        b' '..=b'~' => *byte,
        0x80.. if eight_bit => *byte,
        _ => b' ',
    }));
}

/// Reads one reply, line by line.
#[derive(Debug, Default)]
pub struct ReplyParser {
    code: Option<u16>,
    lines: Vec<Vec<u8>>,
    seen: usize,
}

/// Why a line is not part of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// The line does not begin with three digits and a blank, a hyphen or its end.
    Malformed(Vec<u8>),
    /// More than [`LINES_READ`] lines.
    TooManyLines,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyError::Malformed(line) => {
                write!(f, "non-SMTP response: {}", String::from_utf8_lossy(line))
            }
            ReplyError::TooManyLines => write!(f, "reply of more than {LINES_READ} lines"),
        }
    }
}

impl std::error::Error for ReplyError {}

impl ReplyParser {
    /// A parser before the first line of a reply.
    pub fn new() -> ReplyParser {
        ReplyParser::default()
    }

    /// Takes the next line (without CR LF). The whole reply after its last line, else `None`; the parser is
    /// then ready for the next reply. The code of the last line is the code of the reply.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, ReplyError> {
        let Some((code, last, text)) = parse_line(line) else {
            let quoted = line[..line.len().min(LINE_KEPT)].to_vec();
            *self = ReplyParser::default();
            return Err(ReplyError::Malformed(quoted));
        };
        self.code = Some(code);
        self.seen += 1;
        if self.lines.len() < LINES_KEPT {
            self.lines.push(text[..text.len().min(LINE_KEPT)].to_vec());
        }
        if last {
            let parser = std::mem::take(self);
            return Ok(Some(Reply { code, lines: parser.lines }));
        }
        if self.seen >= LINES_READ {
            *self = ReplyParser::default();
            return Err(ReplyError::TooManyLines);
        }
        Ok(None)
    }
}

/// Code, whether this is the last line, and text of one reply line.
fn parse_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let digits = line.get(..3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match line.get(3) {
        None => Some((code, true, b"")),
        Some(b' ') => Some((code, true, &line[4..])),
        Some(b'-') => Some((code, false, &line[4..])),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(wire: &[u8]) -> Vec<Reply> {
        let mut parser = ReplyParser::new();
        wire.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .filter_map(|line| parser.line(line.strip_suffix(b"\r").unwrap_or(line)).unwrap())
            .collect()
    }

    proptest! {
        #[test]
        fn a_reply_that_was_written_is_read_as_itself(
            code in 0u16..1000,
            lines in prop::collection::vec("[ -~]{0,500}", 1..5),
        ) {
            let reply = Reply::lines_of(code, lines.into_iter().map(String::into_bytes).collect());
            let mut wire = Vec::new();
            reply.write(&mut wire);
            prop_assert_eq!(parse(&wire), vec![reply]);
        }

        #[test]
        fn any_text_goes_out_as_one_line_within_the_limit(text in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut wire = Vec::new();
            Reply::plain(550, &text).write(&mut wire);
            prop_assert!(wire.len() <= LINE_LIMIT + 2);
            prop_assert_eq!(wire.iter().filter(|byte| **byte < b' ').count(), 2);
            prop_assert!(wire.ends_with(b"\r\n"));
        }

        #[test]
        fn no_line_makes_the_parser_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
            let mut parser = ReplyParser::new();
            for line in lines {
                let _ = parser.line(&line);
            }
        }
    }

    #[test]
    fn the_enhanced_status_counts_only_in_the_class_of_the_code() {
        assert_eq!(Reply::plain(550, "5.1.1 no").enhanced(), Some((&b"5.1.1"[..], &b"no"[..])));
        assert_eq!(Reply::plain(450, "5.1.1 no").enhanced(), None);
        assert_eq!(Reply::plain(550, "5.1 no").enhanced(), None);
        assert_eq!(Reply::plain(550, "5.1.1234 no").enhanced(), None);
    }

    #[test]
    fn verbatim_joins_the_lines_with_blanks() {
        let reply = Reply::lines_of(550, vec![b"5.1.1 a".to_vec(), b"5.1.1 b".to_vec()]);
        assert_eq!(reply.verbatim(), b"550-5.1.1 a 550 5.1.1 b");
    }

    #[test]
    fn a_reply_without_end_is_given_up_after_a_bound() {
        let mut parser = ReplyParser::new();
        let error = (0..LINES_READ + 1).find_map(|_| parser.line(b"250-more").err());
        assert_eq!(error, Some(ReplyError::TooManyLines));
    }
}
