//! The content of a message, from the connection to cleanup, while it comes.

use smtp_protocol::{Chunk, ChunkDecoder, Content, Decoder};
use smtp_server::{BareNewline, Received};

use crate::connection::{Connection, Gone};
use crate::content::{Chunks, ContentWriter};
use crate::incoming::Incoming;
use crate::settings::Settings;

/// What is read, where from and where to.
pub struct Receiver<'a> {
    /// main.cf
    pub settings: &'a Settings,
    /// smtpd_forbid_bare_newline, for this client.
    pub bare_newline: BareNewline,
    /// Where it comes from.
    pub connection: &'a mut Connection,
    /// Where it goes.
    pub incoming: &'a mut Incoming,
    /// Bytes of content that were read, for the line about a connection that breaks meanwhile.
    pub progress: &'a mut u64,
}

impl Receiver<'_> {
    /// The content of DATA, to its end.
    pub async fn content(mut self) -> Result<Received, Gone> {
        let rules = &self.settings.dialogue;
        let mut decoder = Decoder::new(self.bare_newline.newline(), rules.line_length_limit);
        let mut writer = ContentWriter::new(rules.message_size_limit);
        self.connection.begin_request();
        loop {
            let ended = self.take(&mut decoder, &mut writer);
            *self.progress = writer.size();
            self.incoming.flow(writer.is_too_large()).await;
            if ended {
                return Ok(self.received(&writer, decoder.saw_bare_lf()));
            }
            self.connection.more().await?;
        }
    }

    /// Takes all the content that has arrived. True at its end.
    fn take(&mut self, decoder: &mut Decoder, writer: &mut ContentWriter) -> bool {
        let (out, pending) = (self.incoming.records(), self.connection.pending());
        let mut used = 0;
        let ended = loop {
            let (count, content) = decoder.step(&pending[used..]);
            used += count;
            match content {
                Some(Content::Text { bytes, ended }) => writer.text(bytes, ended, out),
                Some(Content::End) => break true,
                None => break false,
            }
        };
        self.used(used);
        ended
    }

    /// A chunk of BDAT, to its end.
    pub async fn chunk(mut self, chunk: Chunk) -> Result<Received, Gone> {
        let rules = &self.settings.dialogue;
        let mut chunks = self.incoming.chunks.take().unwrap_or_else(|| {
            let decoder = ChunkDecoder::new(self.bare_newline.newline(), rules.line_length_limit);
            Box::new(Chunks { decoder, writer: ContentWriter::of_chunks(rules.message_size_limit) })
        });
        let Chunks { decoder, writer } = &mut *chunks;
        self.connection.begin_request();
        *self.progress = writer.size();
        let mut left = chunk.length;
        while left > 0 {
            let count = self.here(left).await?;
            let (out, pending) = (self.incoming.records(), self.connection.pending());
            decoder.push(&pending[..count], &mut |bytes, ended| writer.text(bytes, ended, out));
            self.used(count);
            left -= count as u64;
            *self.progress = writer.size();
            self.incoming.flow(writer.is_too_large()).await;
        }
        if chunk.last {
            let out = self.incoming.records();
            decoder.finish(&mut |bytes, ended| writer.text(bytes, ended, out));
        }
        let received = self.received(writer, decoder.saw_bare_lf());
        self.incoming.chunks = Some(chunks).filter(|_| !chunk.last);
        Ok(received)
    }

    /// Bytes that mean nothing.
    pub async fn discard(mut self, mut left: u64) -> Result<(), Gone> {
        self.connection.begin_request();
        while left > 0 {
            let count = self.here(left).await?;
            self.used(count);
            left -= count as u64;
        }
        Ok(())
    }

    /// Waits for bytes; how many of the next `left` have arrived.
    async fn here(&mut self, left: u64) -> Result<usize, Gone> {
        while self.connection.pending().is_empty() {
            self.connection.more().await?;
        }
        // told: nobody; the rest of what waits is no part of the chunk.
        Ok(self.connection.pending().len().min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    fn used(&mut self, count: usize) {
        self.connection.consume(count);
        self.connection.earn_time(count, self.settings.min_data_rate);
    }

    fn received(&self, writer: &ContentWriter, bare_lf: bool) -> Received {
        let lost = self.incoming.message.is_none();
        Received { size: writer.size(), too_large: writer.is_too_large(), bare_lf, lost }
    }
}
