//! Replies: the server writes them, the client reads them.
//!
//! A reply keeps its lines as they are on the wire, enhanced status code included, because the client logs and returns
//! them verbatim. What is kept of a reply is bounded here, where it enters: it goes into log lines, logs of messages
//! and notifications, once for each recipient. A reply is written in one piece, so that a group of replies costs one
//! system call. Text that goes out is broken into lines and freed of control characters: nothing that a client said can
//! add a line to a reply.

use dsn::Status;

/// The longest line that is written, without CR LF. RFC 5321 4.5.3.1.5.
/// told: nobody; what is longer goes on in the next line.
pub const LINE_LIMIT: usize = 510;

/// The most bytes that a [`ReplyParser`] keeps of one line; and with this many bytes no further line is kept. So a
/// reply has at most twice as many, in at most [`TEXT_KEPT`] / 4 lines. Both are told by [`ReplyParser::excess`].
/// told: the log, by [`ReplyParser::excess`].
pub const TEXT_KEPT: usize = 2048;

/// The client is to answer a challenge. RFC 4954 4
const CHALLENGE: u16 = 334;

/// One reply: a code and at least one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    lines: Vec<Line>,
    /// The enhanced status code of the last line, if it has one.
    status: Option<Vec<u8>>,
}

/// A line without CR LF: its code, and what follows the separator.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    code: u16,
    text: Vec<u8>,
}

impl Reply {
    /// A reply of one line without an enhanced status code, as greetings and HELO have it.
    pub fn plain(code: u16, text: impl AsRef<[u8]>) -> Reply {
        Reply::lines_of(code, vec![text.as_ref().to_vec()])
    }

    /// The same "no" as one that may be tried again. soft_bounce
    #[must_use]
    pub fn softened(&self) -> Reply {
        let lines = self.lines().map(|line| match line.strip_prefix(b"5.") {
            Some(rest) => [&b"4."[..], rest].concat(),
            None => line.to_vec(),
        });
        Reply::lines_of(self.code() - 100, lines.collect())
    }

    /// A reply of one line with its enhanced status code (`5.1.1`), RFC 2034.
    pub fn with_status(code: u16, status: Status, text: impl AsRef<[u8]>) -> Reply {
        let mut line = format!("{status} ").into_bytes();
        line.extend_from_slice(text.as_ref());
        Reply::lines_of(code, vec![line])
    }

    /// A challenge of AUTH, in base64. It is one line, however long it is: RFC 4954 4.
    pub fn challenge(text: impl AsRef<[u8]>) -> Reply {
        Reply::plain(CHALLENGE, text)
    }

    /// A reply of several lines, such as that to EHLO. No lines are one empty line.
    pub fn lines_of(code: u16, lines: Vec<Vec<u8>>) -> Reply {
        let lines = if lines.is_empty() { vec![Vec::new()] } else { lines };
        let status = lines.last().and_then(|line| split_status(line)).map(|(status, _)| status.to_vec());
        Reply { code, lines: lines.into_iter().map(|text| Line { code, text }).collect(), status }
    }

    /// The reply code; of any class in replies that were parsed, since a server that says 150 or 999 has answered as
    /// well.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The first digit of the code.
    pub fn class(&self) -> u16 {
        self.code / 100
    }

    /// The lines without code and CR LF, enhanced status code included. Never empty.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| line.text.as_slice())
    }

    /// The enhanced status code at the start of the last line, when its class is that of the reply code.
    pub fn enhanced(&self) -> Option<&[u8]> {
        let status = self.status.as_deref()?;
        (u16::from(status[0].wrapping_sub(b'0')) == self.class()).then_some(status)
    }

    /// The reply as it was on the wire, lines separated by a blank: `550-5.1.1 a 550 5.1.1 b`. This is what log lines
    /// and reports quote.
    pub fn verbatim(&self) -> Vec<u8> {
        self.joined(b' ')
    }

    /// The reply as it was on the wire, lines separated by this byte.
    pub fn joined(&self, between: u8) -> Vec<u8> {
        let mut out = Vec::new();
        self.each(|code, separator, line| {
            if !out.is_empty() {
                out.push(between);
            }
            out.extend_from_slice(code);
            if separator == b'-' || !line.is_empty() {
                out.push(separator);
            }
            out.extend_from_slice(line);
        });
        out
    }

    /// Appends the reply to `out`, each line at most [`LINE_LIMIT`] bytes and without control characters. What does not
    /// fit a line goes on in the next one, but for a challenge.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.each(|code, separator, line| {
            let status = split_status(line).map_or(&b""[..], |(status, _)| status);
            let mut rest = clean(line);
            while rest.len() > LINE_LIMIT - 4 && self.code != CHALLENGE {
                let (head, tail) = broken(&rest, status.len() + 1);
                out.extend_from_slice(code);
                out.push(b'-');
                out.extend_from_slice(head);
                out.extend_from_slice(b"\r\n");
                rest = if status.is_empty() { tail.to_vec() } else { [status, b" ", tail].concat() };
            }
            out.extend_from_slice(code);
            out.push(separator);
            out.extend_from_slice(&rest);
            out.extend_from_slice(b"\r\n");
        });
    }

    fn each(&self, mut visit: impl FnMut(&[u8], u8, &[u8])) {
        let digits =
            |code: u16| [b'0' + (code / 100 % 10) as u8, b'0' + (code / 10 % 10) as u8, b'0' + (code % 10) as u8];
        let last = self.lines.len().saturating_sub(1);
        for (at, line) in self.lines.iter().enumerate() {
            visit(&digits(line.code), if at == last { b' ' } else { b'-' }, &line.text);
        }
    }
}

/// Splits `5.1.1 text` into the enhanced status code and the text after the blank. RFC 3463 2.
pub fn split_status(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, length) = Status::prefix(line)?;
    Some((&line[..length], line[length..].trim_ascii_start()))
}

/// `text`, control characters replaced by a blank, and 8-bit bytes too unless they are UTF-8.
fn clean(text: &[u8]) -> Vec<u8> {
    let eight_bit = std::str::from_utf8(text).is_ok();
    let clean = |byte: &u8| match byte {
        b' '..=b'~' => *byte,
        0x80.. if eight_bit => *byte,
        _ => b' ',
    };
    text.iter().map(clean).collect()
}

/// What fits a line, and the rest: broken at a blank behind the first `least` bytes, or between characters.
fn broken(text: &[u8], least: usize) -> (&[u8], &[u8]) {
    // told: nobody; the next line has the rest.
    let window = &text[..LINE_LIMIT - 4];
    match window.iter().rposition(|byte| *byte == b' ').filter(|at| *at > least) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => {
            let inside = |at: &usize| text[*at] & 0xc0 == 0x80;
            let end = (1..window.len() + 1).rev().find(|at| !inside(at)).unwrap_or(window.len());
            text.split_at(end)
        }
    }
}

/// Reads one reply, line by line. However long it is, a bounded part is kept; how long it may take is up to the caller.
#[derive(Debug, Default)]
pub struct ReplyParser {
    lines: Vec<Line>,
    /// Bytes of the lines, with codes, separators and line ends.
    kept: usize,
    excess: Vec<String>,
    long_line: bool,
    long_reply: bool,
}

/// A line that is not part of a reply: it does not begin with three digits and a blank, a hyphen or its end. Its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub Vec<u8>);

impl ReplyParser {
    /// A parser before the first line of a reply.
    pub fn new() -> ReplyParser {
        ReplyParser::default()
    }

    /// Takes the next line (without CR LF). The whole reply after its last line, else `None`; the parser is then ready
    /// for the next reply. The code of the last line is the code of the reply.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, Malformed> {
        let Some((code, last, text)) = parse_line(line) else {
            *self = ReplyParser::default();
            // told: who reads the log; what is no reply is quoted there, and nothing else is done with it.
            return Err(Malformed(line[..line.len().min(TEXT_KEPT)].to_vec()));
        };
        self.keep(code, line, text);
        if !last {
            return Ok(None);
        }
        let status = split_status(text).map(|(status, _)| status.to_vec());
        let lines = std::mem::take(&mut self.lines);
        (self.kept, self.long_line, self.long_reply) = (0, false, false);
        Ok(Some(Reply { code, lines, status }))
    }

    /// What the log should hear of a reply that was not kept whole: `response longer than 2048: ...`. Once for each.
    pub fn excess(&mut self) -> Vec<String> {
        std::mem::take(&mut self.excess)
    }

    fn keep(&mut self, code: u16, line: &[u8], text: &[u8]) {
        if line.len() > TEXT_KEPT && !std::mem::replace(&mut self.long_line, true) {
            self.excess.push(format!("response longer than {TEXT_KEPT}: {}...", start_of(line)));
        }
        if self.kept < TEXT_KEPT {
            let text = &text[..text.len().min(TEXT_KEPT - 4)];
            self.lines.push(Line { code, text: text.to_vec() });
            self.kept += usize::from(self.kept > 0) + (line.len()).min(TEXT_KEPT);
        } else if !std::mem::replace(&mut self.long_reply, true) {
            let mut kept = Vec::new();
            for line in &self.lines {
                kept.extend_from_slice(format!("{}-", line.code).as_bytes());
                kept.extend_from_slice(&line.text[..line.text.len().min(QUOTED)]);
                kept.push(b'\n');
            }
            self.excess.push(format!("multi-line response longer than {TEXT_KEPT} {}...", start_of(&kept)));
        }
    }
}

/// Bytes of a reply that a warning about its length shows.
/// told: nobody; a warning shows the start.
const QUOTED: usize = 30;

fn start_of(bytes: &[u8]) -> String {
    text::printable(&bytes[..bytes.len().min(QUOTED)])
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
        fn any_text_goes_out_whole_in_lines_within_the_limit(
            text in prop_oneof![prop::collection::vec(any::<u8>(), 0..2000), "(5\\.7\\.1 )?[ -~é€]{0,2000}".prop_map(String::into_bytes)],
        ) {
            let mut wire = Vec::new();
            Reply::plain(550, &text).write(&mut wire);
            let lines: Vec<&[u8]> = wire.split_inclusive(|byte| *byte == b'\n').collect();
            prop_assert!(lines.iter().all(|line| line.len() <= LINE_LIMIT + 2 && line.ends_with(b"\r\n")));
            prop_assert_eq!(wire.iter().filter(|byte| **byte < b' ').count(), 2 * lines.len());
            prop_assert_eq!(parse(&wire).len(), 1);
            let status = split_status(&text).map_or(&b""[..], |(status, _)| status);
            // Blanks aside, every byte is there once, and each line has the status.
            let bytes = |text: &[u8]| text.iter().copied().filter(|byte| *byte != b' ').collect::<Vec<_>>();
            let mut found = bytes(status);
            for line in lines.iter().map(|line| &line[4..line.len() - 2]) {
                prop_assert!(line.starts_with(status));
                found.extend(bytes(&line[status.len()..]));
                prop_assert!(std::str::from_utf8(&clean(&text)).is_err() || std::str::from_utf8(line).is_ok());
            }
            prop_assert_eq!(found, bytes(&clean(&text)));
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
        assert_eq!(Reply::plain(550, "5.1.1 no").enhanced(), Some(&b"5.1.1"[..]));
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
    fn the_last_line_decides_over_code_and_status() {
        let replies = parse(b"450-4.1.1 a\r\n550-5.1.3\r\n550 5.1.2 b\r\n550-5.1.1 a\r\n550 b\r\n");
        assert_eq!((replies[0].code(), replies[0].enhanced()), (550, Some(&b"5.1.2"[..])));
        assert_eq!(replies[0].verbatim(), b"450-4.1.1 a 550-5.1.3 550 5.1.2 b");
        assert_eq!(replies[1].enhanced(), None);
    }

    proptest! {
        #[test]
        fn a_reply_of_any_length_is_kept_in_part_and_that_is_told(lines in prop::collection::vec(0usize..5000, 1..3000)) {
            let mut parser = ReplyParser::new();
            for length in &lines {
                prop_assert_eq!(parser.line(&[b"250-", "x".repeat(*length).as_bytes()].concat()), Ok(None));
            }
            let reply = parser.line(b"550 5.1.2 end").unwrap().unwrap();
            let kept = reply.verbatim();
            prop_assert!(kept.len() <= 2 * TEXT_KEPT + 4);
            let is_cut = lines.iter().map(|length| length + 5).sum::<usize>() > kept.len();
            prop_assert_eq!(!parser.excess().is_empty(), is_cut);
            prop_assert_eq!((reply.code(), reply.enhanced()), (550, Some(&b"5.1.2"[..])));
        }
    }

    #[test]
    fn what_was_not_kept_is_told_as_postfix_does() {
        let mut parser = ReplyParser::new();
        parser.line(&[b"550-", "y".repeat(3000).as_bytes()].concat()).unwrap();
        assert_eq!(parser.excess(), [format!("response longer than 2048: 550-{}...", "y".repeat(26))]);
        parser.line(b"550 no").unwrap();
        assert_eq!(parser.excess(), [format!("multi-line response longer than 2048 550-{}...", "y".repeat(26))]);
    }
}
