//! The content in BDAT chunks: lines found across chunks, no dot means anything. RFC 3030.
//!
//! A line may begin in one chunk and end in another: what has no end yet is kept here, never more than the longest
//! piece of a line and the bytes at hand. Where a chunk ends is the caller's matter.

use crate::line::{Newline, Part};

/// What a BDAT command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Bytes that follow the command.
    pub length: u64,
    /// It is the last one of the message.
    pub last: bool,
}

impl Chunk {
    /// Reads `COUNT [LAST]`. `None`: nobody knows where the next command begins.
    pub fn parse<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Option<Chunk> {
        let count = words.next().filter(|word| word.iter().all(u8::is_ascii_digit))?;
        let length: i64 = std::str::from_utf8(count).ok()?.parse().ok()?;
        let last = match words.next() {
            None => false,
            Some(word) if word.eq_ignore_ascii_case(b"LAST") => true,
            Some(_) => return None,
        };
        match words.next() {
            None => Some(Chunk { length: length.unsigned_abs(), last }),
            Some(_) => None,
        }
    }
}

/// Finds the lines of one message. Make a new one for each.
#[derive(Debug)]
pub struct ChunkDecoder {
    newline: Newline,
    limit: usize,
    open: Vec<u8>,
    within_line: bool,
    bare_lf: bool,
}

impl ChunkDecoder {
    /// `limit` is the longest piece of a line, in bytes (line_length_limit); at least 2.
    pub fn new(newline: Newline, limit: usize) -> ChunkDecoder {
        ChunkDecoder { newline, limit: limit.max(2), open: Vec::new(), within_line: false, bare_lf: false }
    }

    /// A line of the content ended in a bare LF.
    pub fn saw_bare_lf(&self) -> bool {
        self.bare_lf
    }

    /// Bytes of a line whose end has not come, beyond those that were given away.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes bytes of the content. `text` is given lines without their ends and, with `false`, pieces of longer ones.
    pub fn push(&mut self, bytes: &[u8], text: &mut impl FnMut(&[u8], bool)) {
        if self.open.is_empty() {
            let used = self.take(bytes, text);
            self.open.extend_from_slice(&bytes[used..]);
        } else {
            let mut open = std::mem::take(&mut self.open);
            open.extend_from_slice(bytes);
            let used = self.take(&open, text);
            open.drain(..used);
            self.open = open;
        }
    }

    /// The content is complete: a last line without an end is one all the same.
    pub fn finish(&mut self, text: &mut impl FnMut(&[u8], bool)) {
        if !self.open.is_empty() || self.within_line {
            let open = std::mem::take(&mut self.open);
            self.within_line = false;
            text(&open, true);
        }
    }

    /// Gives away what has ended and what is too long to wait for its end; how much that was.
    fn take(&mut self, bytes: &[u8], text: &mut impl FnMut(&[u8], bool)) -> usize {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            match Part::first(rest, self.limit) {
                Some(Part::Line(length)) => {
                    let line = self.newline.cut(&rest[..length]);
                    self.bare_lf |= line.bare_lf;
                    self.within_line = false;
                    text(line.bytes, true);
                    used += length;
                }
                Some(Part::Piece(length)) => {
                    self.within_line = true;
                    text(&rest[..length], false);
                    used += length;
                }
                None => return used,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verb::words;
    use proptest::prelude::*;

    fn decode(newline: Newline, limit: usize, chunks: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
        let mut decoder = ChunkDecoder::new(newline, limit);
        let (mut lines, mut open) = (Vec::new(), Vec::new());
        let mut take = |bytes: &[u8], ended: bool| {
            open.extend_from_slice(bytes);
            if ended {
                lines.push(std::mem::take(&mut open));
            }
        };
        for chunk in chunks {
            decoder.push(chunk, &mut take);
            assert!(decoder.open.len() <= limit + 2, "the buffer stays bounded");
        }
        decoder.finish(&mut take);
        assert!(open.is_empty(), "every line ends");
        (lines, decoder.saw_bare_lf())
    }

    #[test]
    fn a_count_is_digits_and_the_only_other_word_is_last() {
        let parse = |text: &'static [u8]| Chunk::parse(words(text));
        assert_eq!(parse(b"12"), Some(Chunk { length: 12, last: false }));
        assert_eq!(parse(b"003 last"), Some(Chunk { length: 3, last: true }));
        for bad in [&b""[..], b"x", b"-1", b"+3", b"5 FOO", b"5 LAST x", b"99999999999999999999999", b"1x"] {
            assert_eq!(parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn a_line_goes_on_in_the_next_chunk_whatever_part_of_its_end_was_in_the_first() {
        let (lines, bare) = decode(Newline::Strict, 100, &[b"part", b"ial\r", b"\nlast"]);
        assert_eq!((lines, bare), (vec![b"partial".to_vec(), b"last".to_vec()], false));
    }

    #[test]
    fn dots_are_content_and_a_bare_lf_ends_a_line_and_is_noticed() {
        let (lines, bare) = decode(Newline::Strict, 100, &[b".\r\n..\r\nlf\n\r\r\n."]);
        assert_eq!(lines, [&b"."[..], b"..", b"lf", b"\r", b"."]);
        assert!(bare);
        let (lines, bare) = decode(Newline::Lenient, 100, &[b"lf\n\r\r\n"]);
        assert_eq!((lines, bare), (vec![b"lf".to_vec(), b"".to_vec()], false));
    }

    proptest! {
        #[test]
        fn where_the_chunks_are_cut_makes_no_difference(
            wire in prop::collection::vec(prop::sample::select(b"a.\r\n\0\xff".to_vec()), 0..120),
            limit in 2usize..12,
            size in 1usize..9,
            lenient in any::<bool>(),
        ) {
            let newline = if lenient { Newline::Lenient } else { Newline::Strict };
            let chunks: Vec<&[u8]> = wire.chunks(size).collect();
            prop_assert_eq!(decode(newline, limit, &chunks), decode(newline, limit, &[&wire]));
        }

        #[test]
        fn lines_come_out_as_they_went_in(lines in prop::collection::vec("[.a ]{0,30}", 0..12), size in 1usize..40) {
            let wire: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
            let chunks: Vec<&[u8]> = wire.chunks(size).collect();
            let (found, bare) = decode(Newline::Strict, 8, &chunks);
            let expected: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(!bare);
        }
    }
}
