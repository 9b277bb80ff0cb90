//! The content after DATA: end of data found, dots removed, lines of any length in bounded pieces.
//!
//! The decoder owns no bytes: it looks at what the caller has buffered and says how much of it is used. It must never
//! take anything for the end of data but a line of one dot between two CR LF, unless the caller asked for
//! [`Newline::Lenient`]. RFC 5321 4.5.2.

use crate::line::{Newline, Part};

/// What one step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A line without its end, or, when `ended` is false, a piece of a line that is longer than the limit.
    Text {
        /// The bytes, leading dot removed.
        bytes: &'a [u8],
        /// The line ends here.
        ended: bool,
    },
    /// The line of one dot.
    End,
}

/// Decodes one message. Make a new one for each.
#[derive(Debug)]
pub struct Decoder {
    newline: Newline,
    limit: usize,
    within_line: bool,
    previous_bare: bool,
    bare_lf: bool,
}

impl Decoder {
    /// `limit` is the longest piece of a line, in bytes (line_length_limit); at least 2.
    pub fn new(newline: Newline, limit: usize) -> Decoder {
        Decoder { newline, limit: limit.max(2), within_line: false, previous_bare: false, bare_lf: false }
    }

    /// A line of the content ended in a bare LF.
    pub fn saw_bare_lf(&self) -> bool {
        self.bare_lf
    }

    /// Looks at the bytes that wait: how many of them are used up, and what they are. `None` means that more bytes are
    /// needed, after the used ones are taken away; the caller never has to buffer more than `limit` + 2 bytes.
    pub fn step<'a>(&mut self, input: &'a [u8]) -> (usize, Option<Content<'a>>) {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match Part::first(rest, self.limit) {
                None => return (used, None),
                Some(Part::Piece(length)) => return (used + length, Some(self.piece(&rest[..length]))),
                Some(Part::Line(length)) => {
                    used += length;
                    if let Some(content) = self.whole_line(&rest[..length]) {
                        return (used, Some(content));
                    }
                }
            }
        }
    }

    /// A line that is all there. `None` for a dot that is dropped.
    fn whole_line<'a>(&mut self, raw: &'a [u8]) -> Option<Content<'a>> {
        let line = self.newline.cut(raw);
        let first = !std::mem::replace(&mut self.within_line, false);
        let after_bare = std::mem::replace(&mut self.previous_bare, line.bare_lf);
        self.bare_lf |= line.bare_lf;
        if first && line.bytes == b"." {
            // smtpd_forbid_bare_newline: a lone dot next to a bare LF is neither an end nor content.
            return (!line.bare_lf && !after_bare).then_some(Content::End);
        }
        let bytes = if first { line.bytes.strip_prefix(b".").unwrap_or(line.bytes) } else { line.bytes };
        Some(Content::Text { bytes, ended: true })
    }

    /// A piece of a line whose end is not in sight.
    fn piece<'a>(&mut self, bytes: &'a [u8]) -> Content<'a> {
        let first = !std::mem::replace(&mut self.within_line, true);
        let bytes = if first { bytes.strip_prefix(b".").unwrap_or(bytes) } else { bytes };
        Content::Text { bytes, ended: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stuffing::Stuffer;
    use proptest::prelude::*;

    /// The lines of the content, whether its end was found, and the bytes that are left.
    fn decode(newline: Newline, limit: usize, wire: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool, Vec<u8>) {
        let mut decoder = Decoder::new(newline, limit);
        let mut buffer = Vec::new();
        let (mut lines, mut open) = (Vec::new(), Vec::new());
        let mut rest = wire;
        loop {
            let (used, content) = decoder.step(&buffer);
            match content {
                Some(Content::Text { bytes, ended }) => {
                    open.extend_from_slice(bytes);
                    if ended {
                        lines.push(std::mem::take(&mut open));
                    }
                }
                Some(Content::End) => {
                    buffer.drain(..used);
                    buffer.extend_from_slice(rest);
                    return (lines, true, buffer);
                }
                None => {}
            }
            let starved = content.is_none();
            buffer.drain(..used);
            if starved {
                if rest.is_empty() {
                    return (lines, false, buffer);
                }
                let (now, later) = rest.split_at(rest.len().min(piece));
                buffer.extend_from_slice(now);
                rest = later;
                assert!(buffer.len() < limit + 3 + piece, "the buffer stays bounded");
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_stuffed_is_decoded_as_itself(
            lines in prop::collection::vec("[.a\r ]{0,30}", 0..12),
            limit in 2usize..20,
            piece in 1usize..40,
        ) {
            // A CR at the end of a line is part of the line end in every sensible reading.
            let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.trim_end_matches('\r').as_bytes().to_vec()).collect();
            let mut wire = Vec::new();
            let mut stuffer = Stuffer::new(None);
            for line in &lines {
                stuffer.text(line, true, &mut wire);
            }
            stuffer.end(&mut wire);
            wire.extend_from_slice(b"QUIT\r\n");
            let (found, ended, rest) = decode(Newline::Strict, limit, &wire, piece);
            prop_assert_eq!(found, lines);
            prop_assert!(ended);
            prop_assert_eq!(rest, b"QUIT\r\n".to_vec());
        }

        #[test]
        fn no_bytes_make_the_decoder_panic_or_grow(
            wire in prop::collection::vec(prop::sample::select(b"a.\r\n\0\xff".to_vec()), 0..200),
            piece in 1usize..9,
            lenient in any::<bool>(),
        ) {
            let newline = if lenient { Newline::Lenient } else { Newline::Strict };
            decode(newline, 8, &wire, piece);
        }
    }

    #[test]
    fn a_dot_next_to_a_bare_lf_neither_ends_the_message_nor_stays_in_it() {
        for wire in [&b"a\r\n.\nb\r\n.\r\n"[..], b"a\n.\r\nb\r\n.\r\n", b"a\n.\nb\r\n.\r\n"] {
            let (lines, ended, rest) = decode(Newline::Strict, 100, wire, 100);
            assert_eq!(lines, [b"a".to_vec(), b"b".to_vec()], "{wire:?}");
            assert!(ended && rest.is_empty());
        }
    }

    #[test]
    fn lenient_takes_a_dot_between_bare_lfs_for_the_end() {
        let (lines, ended, rest) = decode(Newline::Lenient, 100, b"a\n.\nrest", 100);
        assert_eq!((lines, ended, rest), (vec![b"a".to_vec()], true, b"rest".to_vec()));
    }

    #[test]
    fn a_long_line_comes_in_pieces_and_loses_its_dot_once() {
        let mut decoder = Decoder::new(Newline::Strict, 4);
        let wire = b"..bcdefgh\r\n.\r\n";
        assert_eq!(decoder.step(wire), (4, Some(Content::Text { bytes: b".bc", ended: false })));
        assert_eq!(decoder.step(&wire[4..]), (7, Some(Content::Text { bytes: b"defgh", ended: true })));
        assert_eq!(decoder.step(&wire[11..]), (3, Some(Content::End)));
    }
}
