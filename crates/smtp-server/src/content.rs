//! The content of a message: from SMTP lines to queue file records.
//!
//! Lines are found here; how they are records is `queue::Lines`' matter.

use queue::Lines;
use smtp_protocol::{ChunkDecoder, Content, Decoder};

use crate::services::Received;
use crate::settings::{BareNewline, Settings};

/// The content of DATA, while it comes.
#[derive(Debug)]
pub struct Data {
    decoder: Decoder,
    lines: Lines,
}

impl Data {
    /// `bare_newline`: smtpd_forbid_bare_newline, for this client.
    pub fn new(settings: &Settings, bare_newline: BareNewline) -> Data {
        Data {
            decoder: Decoder::new(bare_newline.newline(), settings.line_length_limit),
            lines: Lines::new(settings.message_size_limit),
        }
    }

    /// Takes what has arrived: how many bytes of it are used up, and whether that was the end.
    pub fn feed(&mut self, pending: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let mut used = 0;
        loop {
            let (count, content) = self.decoder.step(&pending[used..]);
            used += count;
            match content {
                Some(Content::Text { bytes, ended }) => self.lines.text(bytes, ended, out),
                Some(Content::End) => return (used, true),
                None => return (used, false),
            }
        }
    }

    /// What is known so far.
    pub fn received(&self) -> Received {
        received(&self.lines, self.decoder.saw_bare_lf())
    }
}

/// The content of a message in BDAT chunks.
#[derive(Debug)]
pub struct Chunks {
    decoder: ChunkDecoder,
    lines: Lines,
}

impl Chunks {
    /// As [`Data::new`].
    pub fn new(settings: &Settings, bare_newline: BareNewline) -> Chunks {
        Chunks {
            decoder: ChunkDecoder::new(bare_newline.newline(), settings.line_length_limit),
            lines: Lines::verbatim(settings.message_size_limit),
        }
    }

    /// Takes bytes of a chunk.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let lines = &mut self.lines;
        self.decoder.push(bytes, &mut |bytes, ended| lines.text(bytes, ended, out));
    }

    /// The last chunk is over.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let lines = &mut self.lines;
        self.decoder.finish(&mut |bytes, ended| lines.text(bytes, ended, out));
    }

    /// What is known so far. A line whose end has not come counts as far as it has.
    pub fn received(&self) -> Received {
        let received = received(&self.lines, self.decoder.saw_bare_lf());
        Received { size: received.size.saturating_add(self.decoder.open() as u64), ..received }
    }
}

fn received(lines: &Lines, bare_lf: bool) -> Received {
    Received { size: lines.size(), too_large: lines.is_too_large(), bare_lf, lost: false }
}
