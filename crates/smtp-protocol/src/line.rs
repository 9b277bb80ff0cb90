//! The input of one session: bytes as they arrive, taken out line by line.
//!
//! A line ends at LF. What happens to a missing or surplus CR is [`Newline`]'s choice, because accepting a bare LF as
//! an end of line is what "SMTP smuggling" lives on. The buffer has no size of its own: it is allocated with the first
//! byte and given back when it is empty, so an idle session costs nothing.

use bstr::ByteSlice;
use zeroize::Zeroize;

/// How the CR before an LF counts. smtpd_forbid_bare_newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newline {
    /// All CRs before the LF are removed; a bare LF is not noticed.
    Lenient,
    /// Exactly one CR is removed; a line without it is marked.
    Strict,
}

/// One line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The bytes before CR LF.
    pub bytes: &'a [u8],
    /// The line ended in LF alone ([`Newline::Strict`] only).
    pub bare_lf: bool,
}

impl Newline {
    /// Cuts the line end off `raw`, which ends in LF.
    pub fn cut<'a>(self, raw: &'a [u8]) -> Line<'a> {
        let text = raw.strip_suffix(b"\n").unwrap_or(raw);
        match (self, text.strip_suffix(b"\r")) {
            (Newline::Strict, Some(text)) => Line { bytes: text, bare_lf: false },
            (Newline::Strict, None) => Line { bytes: text, bare_lf: true },
            (Newline::Lenient, _) => {
                let end = text.iter().rposition(|byte| *byte != b'\r').map_or(0, |at| at + 1);
                Line { bytes: &text[..end], bare_lf: false }
            }
        }
    }
}

/// What the bytes of a content begin with, of lines of any length in memory that is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A line, with its end: so many bytes.
    Line(usize),
    /// A piece of a line that is longer than the limit: so many bytes.
    Piece(usize),
}

impl Part {
    /// The first part, where a piece has at most `limit` bytes; `None` where more bytes have to come. What it is
    /// depends on the first `limit` + 3 bytes alone, and so not on how many have arrived.
    pub(crate) fn first(bytes: &[u8], limit: usize) -> Option<Part> {
        // told: nobody; the rest is the next part.
        let window = &bytes[..bytes.len().min(limit + 3)];
        if let Some(at) = window.find_byte(b'\n') {
            return Some(Part::Line(at + 1));
        }
        if window.len() < limit + 3 {
            return None;
        }
        // A CR stays with what follows it.
        // told: nobody; the rest is the next part.
        let end = window[..limit].iter().rposition(|byte| *byte != b'\r').map_or(limit, |at| at + 1);
        Some(Part::Piece(end))
    }
}

/// Bytes that have arrived and are not yet used.
#[derive(Debug, Default)]
pub struct Input {
    buffer: Vec<u8>,
    start: usize,
    /// How far the search for an LF has come, counted from `start`.
    searched: usize,
}

impl Input {
    /// An empty input without an allocation.
    pub fn new() -> Input {
        Input::default()
    }

    /// The bytes that wait.
    pub fn pending(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }

    /// Appends what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.compact();
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer to read into: append to it, never remove.
    pub fn room(&mut self) -> &mut Vec<u8> {
        self.compact();
        &mut self.buffer
    }

    /// Takes `count` bytes away from the front.
    pub fn consume(&mut self, count: usize) {
        // told: nobody; there is no more.
        self.start = (self.start + count).min(self.buffer.len());
        self.searched = 0;
    }

    /// The next whole line, or `None` when its LF has not arrived.
    pub fn line(&mut self, newline: Newline) -> Option<Line<'_>> {
        let from = self.start + self.searched;
        let Some(at) = self.buffer[from..].find_byte(b'\n') else {
            self.searched = self.buffer.len() - self.start;
            return None;
        };
        let begin = self.start;
        self.start = from + at + 1;
        self.searched = 0;
        Some(newline.cut(&self.buffer[begin..self.start]))
    }

    /// Gives the memory back when nothing waits.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Input::default();
        }
    }

    /// Overwrites what was used and is still in memory, and no more than that.
    pub fn wipe_used(&mut self) {
        self.buffer[..self.start].zeroize();
        self.compact();
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strict_removes_one_cr_and_marks_a_bare_lf() {
        let mut input = Input::new();
        input.push(b"a\r\nb\nc\r\r\n");
        let strict = Newline::Strict;
        assert_eq!(input.line(strict), Some(Line { bytes: b"a", bare_lf: false }));
        assert_eq!(input.line(strict), Some(Line { bytes: b"b", bare_lf: true }));
        assert_eq!(input.line(strict), Some(Line { bytes: b"c\r", bare_lf: false }));
        assert_eq!(input.line(strict), None);
        assert!(input.is_empty());
    }

    #[test]
    fn lenient_removes_all_crs_and_marks_nothing() {
        assert_eq!(Newline::Lenient.cut(b"c\r\r\n"), Line { bytes: b"c", bare_lf: false });
        assert_eq!(Newline::Lenient.cut(b"\r\n"), Line { bytes: b"", bare_lf: false });
        assert_eq!(Newline::Lenient.cut(b"b\n"), Line { bytes: b"b", bare_lf: false });
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(
            bytes in prop::collection::vec(prop::sample::select(b"ab\r\n".to_vec()), 0..60),
            piece in 1usize..7,
        ) {
            let mut whole = Input::new();
            whole.push(&bytes);
            let mut expected = Vec::new();
            while let Some(line) = whole.line(Newline::Strict) {
                expected.push((line.bytes.to_vec(), line.bare_lf));
            }
            let mut pieces = Input::new();
            let mut found = Vec::new();
            for part in bytes.chunks(piece) {
                pieces.push(part);
                while let Some(line) = pieces.line(Newline::Strict) {
                    found.push((line.bytes.to_vec(), line.bare_lf));
                }
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(pieces.pending(), whole.pending());
        }
    }
}
