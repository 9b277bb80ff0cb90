//! The content of a message: from SMTP lines to queue file records.
//!
//! Nothing is decided about the content here but its size; what is in it is cleanup's matter.

use queue::record::{Type, encode};
use smtp_protocol::{ChunkDecoder, Content, Decoder};

use crate::services::Received;
use crate::settings::{BareNewline, Settings};

/// Turns decoded content into records.
#[derive(Debug)]
struct ContentWriter {
    limit: Option<u64>,
    /// Bytes so far, each record with two for a line end, as message_size_limit counts.
    size: u64,
    first: bool,
    within_line: bool,
}

impl ContentWriter {
    /// `limit` is message_size_limit; `None` for no limit.
    fn new(limit: Option<u64>) -> ContentWriter {
        ContentWriter { limit, size: 0, first: true, within_line: false }
    }

    /// The same for the content of BDAT, whose first line is taken as it is.
    fn of_chunks(limit: Option<u64>) -> ContentWriter {
        ContentWriter { first: false, ..ContentWriter::new(limit) }
    }

    /// Appends a line, or with `ended` false a piece of one, as a record. Beyond the limit nothing is written.
    fn text(&mut self, bytes: &[u8], ended: bool, out: &mut Vec<u8>) {
        self.size += bytes.len() as u64 + 2;
        let start = !std::mem::replace(&mut self.within_line, !ended);
        if self.is_too_large() {
            return;
        }
        if start && std::mem::replace(&mut self.first, false) {
            self.first_line(bytes, out);
        }
        encode(out, if ended { Type::LINE } else { Type::PARTIAL }, bytes);
    }

    /// A mailbox separator becomes a header; a continuation of nothing begins the body.
    fn first_line(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let after_quotes = bytes.iter().position(|byte| *byte != b'>').map_or(&bytes[..0], |at| &bytes[at..]);
        if after_quotes.starts_with(b"From ") {
            encode(out, Type::PARTIAL, b"X-Mailbox-Line: ");
        } else if matches!(bytes.first(), Some(b' ' | b'\t')) {
            encode(out, Type::LINE, b"");
        }
    }

    fn received(&self, bare_lf: bool) -> Received {
        Received { size: self.size, too_large: self.is_too_large(), bare_lf, lost: false }
    }

    /// message_size_limit is exceeded.
    fn is_too_large(&self) -> bool {
        self.limit.is_some_and(|limit| self.size > limit)
    }
}

/// The content of DATA, while it comes.
#[derive(Debug)]
pub struct Data {
    decoder: Decoder,
    writer: ContentWriter,
}

impl Data {
    /// `bare_newline`: smtpd_forbid_bare_newline, for this client.
    pub fn new(settings: &Settings, bare_newline: BareNewline) -> Data {
        Data {
            decoder: Decoder::new(bare_newline.newline(), settings.line_length_limit),
            writer: ContentWriter::new(settings.message_size_limit),
        }
    }

    /// Takes what has arrived: how many bytes of it are used up, and whether that was the end.
    pub fn feed(&mut self, pending: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let mut used = 0;
        loop {
            let (count, content) = self.decoder.step(&pending[used..]);
            used += count;
            match content {
                Some(Content::Text { bytes, ended }) => self.writer.text(bytes, ended, out),
                Some(Content::End) => return (used, true),
                None => return (used, false),
            }
        }
    }

    /// What is known so far.
    pub fn received(&self) -> Received {
        self.writer.received(self.decoder.saw_bare_lf())
    }
}

/// The content of a message in BDAT chunks.
#[derive(Debug)]
pub struct Chunks {
    decoder: ChunkDecoder,
    writer: ContentWriter,
}

impl Chunks {
    /// As [`Data::new`].
    pub fn new(settings: &Settings, bare_newline: BareNewline) -> Chunks {
        Chunks {
            decoder: ChunkDecoder::new(bare_newline.newline(), settings.line_length_limit),
            writer: ContentWriter::of_chunks(settings.message_size_limit),
        }
    }

    /// Takes bytes of a chunk.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let writer = &mut self.writer;
        self.decoder.push(bytes, &mut |bytes, ended| writer.text(bytes, ended, out));
    }

    /// The last chunk is over.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let writer = &mut self.writer;
        self.decoder.finish(&mut |bytes, ended| writer.text(bytes, ended, out));
    }

    /// What is known so far.
    pub fn received(&self) -> Received {
        self.writer.received(self.decoder.saw_bare_lf())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(lines: &[(&[u8], bool)]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = ContentWriter::new(None);
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
        let mut writer = ContentWriter::new(Some(5));
        writer.text(b"abc", true, &mut out);
        assert!(!writer.is_too_large());
        writer.text(b"", true, &mut out);
        assert!(writer.is_too_large());
        assert_eq!(out, b"N\x03abc");
    }
}
