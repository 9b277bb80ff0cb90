//! The content of a message, from the connection to cleanup, while it comes.

use smtp_protocol::Chunk;
use smtp_server::{BareNewline, Chunks, Data, Received};

use crate::connection::{Connection, Gone};
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
        let mut data = Data::new(&self.settings.dialogue, self.bare_newline);
        self.connection.begin_request();
        loop {
            let (used, ended) = data.feed(self.connection.pending(), self.incoming.records());
            self.used(used);
            let received = data.received();
            self.flow(received).await;
            if ended {
                return Ok(self.known(received));
            }
            self.connection.more().await?;
        }
    }

    /// A chunk of BDAT, to its end.
    pub async fn chunk(mut self, chunk: Chunk) -> Result<Received, Gone> {
        let begin = || Box::new(Chunks::new(&self.settings.dialogue, self.bare_newline));
        let mut chunks = self.incoming.chunks.take().unwrap_or_else(begin);
        self.connection.begin_request();
        *self.progress = chunks.received().size;
        let mut left = chunk.length;
        while left > 0 {
            let count = self.here(left).await?;
            chunks.feed(&self.connection.pending()[..count], self.incoming.records());
            self.used(count);
            left -= count as u64;
            self.flow(chunks.received()).await;
        }
        if chunk.last {
            chunks.finish(self.incoming.records());
        }
        let received = self.known(chunks.received());
        self.incoming.chunks = Some(chunks).filter(|_| !chunk.last);
        Ok(received)
    }

    async fn flow(&mut self, received: Received) {
        *self.progress = received.size;
        self.incoming.flow(received.too_large).await;
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

    fn known(&self, received: Received) -> Received {
        Received { lost: self.incoming.is_lost(), ..received }
    }
}
