//! The lines of a content as records, for the programs that take mail in.
//!
//! Nothing is decided about the content here but its size; what is in it is cleanup's matter.

use crate::record::{Type, encode};

/// Turns the lines of one content into records.
#[derive(Debug)]
pub struct Lines {
    limit: Option<u64>,
    /// Bytes so far, each record with two for a line end, as message_size_limit counts.
    size: u64,
    first: bool,
    within_line: bool,
}

impl Lines {
    /// `limit` is message_size_limit; `None` for no limit.
    pub fn new(limit: Option<u64>) -> Lines {
        Lines { limit, size: 0, first: true, within_line: false }
    }

    /// The same for a content whose first line is taken as it is (BDAT).
    pub fn verbatim(limit: Option<u64>) -> Lines {
        Lines { first: false, ..Lines::new(limit) }
    }

    /// Appends a line, or with `ended` false a piece of one, as a record. Beyond the limit nothing is written.
    pub fn text(&mut self, bytes: &[u8], ended: bool, out: &mut Vec<u8>) {
        self.size += bytes.len() as u64 + 2;
        let start = !std::mem::replace(&mut self.within_line, !ended);
        if self.is_too_large() {
            return;
        }
        if start && std::mem::replace(&mut self.first, false) {
            first_line(bytes, out);
        }
        encode(out, if ended { Type::LINE } else { Type::PARTIAL }, bytes);
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// message_size_limit is exceeded.
    pub fn is_too_large(&self) -> bool {
        self.limit.is_some_and(|limit| self.size > limit)
    }
}

/// A mailbox separator becomes a header; a continuation of nothing begins the body.
fn first_line(bytes: &[u8], out: &mut Vec<u8>) {
    let after_quotes = bytes.iter().position(|byte| *byte != b'>').map_or(&bytes[..0], |at| &bytes[at..]);
    if after_quotes.starts_with(b"From ") {
        encode(out, Type::PARTIAL, b"X-Mailbox-Line: ");
    } else if matches!(bytes.first(), Some(b' ' | b'\t')) {
        encode(out, Type::LINE, b"");
    }
}

/// Finds the lines of a content that has them as files do: a line ends at LF alone, and a CR is a byte like any other.
/// What has no end yet is kept here, never more than the longest piece of a line.
#[derive(Debug)]
pub struct Cutter {
    limit: usize,
    open: Vec<u8>,
}

impl Cutter {
    /// `limit` is the longest piece of a line, in bytes (line_length_limit).
    pub fn new(limit: usize) -> Cutter {
        Cutter { limit: limit.max(1), open: Vec::new() }
    }

    /// Takes bytes of the content. `text` is given lines without their ends and, with `false`, pieces of longer ones.
    pub fn push(&mut self, mut bytes: &[u8], text: &mut impl FnMut(&[u8], bool)) {
        while !bytes.is_empty() {
            let room = self.limit - self.open.len();
            // told: nobody; the rest is the next piece.
            let window = &bytes[..bytes.len().min(room + 1)];
            let (count, rest, ended) = match window.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at, at + 1, true),
                None if window.len() > room => (room, room, false),
                None => return self.open.extend_from_slice(bytes),
            };
            if self.open.is_empty() {
                text(&bytes[..count], ended);
            } else {
                self.open.extend_from_slice(&bytes[..count]);
                text(&self.open, ended);
                self.open.clear();
            }
            bytes = &bytes[rest..];
        }
    }

    /// The content is complete: a last line without an end is one all the same.
    pub fn finish(self, text: &mut impl FnMut(&[u8], bool)) {
        if !self.open.is_empty() {
            text(&self.open, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(limit: usize, pieces: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let (mut cutter, mut found) = (Cutter::new(limit), Vec::new());
        let mut text = |bytes: &[u8], ended: bool| found.push((bytes.to_vec(), ended));
        for piece in pieces {
            cutter.push(piece, &mut text);
            assert!(cutter.open.len() <= limit, "what is kept is bounded");
        }
        cutter.finish(&mut text);
        found
    }

    #[test]
    fn a_line_ends_at_a_line_feed_alone_and_a_last_one_needs_none() {
        let owned = |lines: &[&str]| lines.iter().map(|line| (line.as_bytes().to_vec(), true)).collect::<Vec<_>>();
        assert_eq!(cut(9, &[b"a\r\n\nb\rc\n.\nd"]), owned(&["a\r", "", "b\rc", ".", "d"]));
        assert_eq!(cut(9, &[b"a\n"]), owned(&["a"]));
        assert_eq!(cut(9, &[b""]), owned(&[]));
    }

    #[test]
    fn a_line_of_the_longest_length_is_whole_and_a_longer_one_is_in_pieces() {
        assert_eq!(cut(4, &[b"abcd\n"]), [(b"abcd".to_vec(), true)]);
        assert_eq!(cut(4, &[b"abcd\r\n"]), [(b"abcd".to_vec(), false), (b"\r".to_vec(), true)]);
        assert_eq!(cut(4, &[b"abcdefgh"]), [(b"abcd".to_vec(), false), (b"efgh".to_vec(), true)]);
    }

    proptest! {
        #[test]
        fn where_the_content_is_cut_makes_no_difference(
            content in prop::collection::vec(prop::sample::select(b"a\r\n\0".to_vec()), 0..80),
            limit in 1usize..9,
            size in 1usize..9,
        ) {
            let pieces: Vec<&[u8]> = content.chunks(size).collect();
            prop_assert_eq!(cut(limit, &pieces), cut(limit, &[&content]));
        }
    }

    fn records(lines: &[(&[u8], bool)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Lines::new(None);
        for (bytes, ended) in lines {
            writer.text(bytes, *ended, &mut out);
        }
        out
    }

    #[test]
    fn a_mailbox_separator_in_front_becomes_a_header() {
        assert_eq!(records(&[(b">From x", true)]), b"L\x10X-Mailbox-Line: N\x07>From x");
        assert_eq!(records(&[(b"a", true), (b"From x", true)]), b"N\x01aN\x06From x");
    }

    #[test]
    fn a_continuation_line_in_front_begins_the_body() {
        assert_eq!(records(&[(b" x", true)]), b"N\x00N\x02 x");
    }

    #[test]
    fn a_long_line_is_several_records() {
        assert_eq!(records(&[(b"ab", false), (b"From ", false), (b"", true)]), b"L\x02abL\x05From N\x00");
    }

    #[test]
    fn nothing_is_written_beyond_the_limit() {
        let mut out = Vec::new();
        let mut writer = Lines::new(Some(5));
        writer.text(b"abc", true, &mut out);
        assert!(!writer.is_too_large());
        writer.text(b"", true, &mut out);
        assert!(writer.is_too_large());
        assert_eq!(out, b"N\x03abc");
    }
}
