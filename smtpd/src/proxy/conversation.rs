//! The dialogue with a filter: lines go out, replies come back, each within its time.

use std::io;
use std::time::Duration;

use smtp_protocol::{Reply, ReplyParser};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::reach::Stream;

/// Bytes of a line that a filter may send.
/// told: the log; the filter counts as broken.
const MAX_LINE: usize = 32 << 10;
/// Lines of a reply that a filter may send.
/// told: as above.
const MAX_LINES: usize = 1000;

/// A connection to a filter.
pub struct Conversation {
    stream: Box<dyn Stream>,
    input: Vec<u8>,
    parser: ReplyParser,
}

/// Why a conversation is over.
#[derive(Debug)]
pub enum Trouble {
    /// The connection is gone.
    Lost,
    /// It took too long.
    TimedOut,
    /// What came is no reply: its start.
    Garbage(Vec<u8>),
    /// The message cannot be stored.
    Storage(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Storage(error)
    }
}

impl Trouble {
    /// The line of the log.
    pub fn log(&self, filter: &str) {
        match self {
            Trouble::Lost => logging::warning!("lost connection with proxy {filter}"),
            Trouble::TimedOut => logging::warning!("timeout talking to proxy {filter}"),
            Trouble::Garbage(line) => {
                logging::warning!("received garbage from proxy {filter}: {}", text::printable(line));
            }
            Trouble::Storage(error) => logging::warning!("before-queue content file: {}", text::system_error(error)),
        }
    }
}

/// What a command is answered when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// 2xx
    Success,
    /// 3xx
    Content,
}

impl Expected {
    /// Whether this is such an answer.
    pub fn is_met_by(self, reply: &Reply) -> bool {
        reply.class() == if self == Expected::Content { 3 } else { 2 }
    }
}

impl Conversation {
    /// Over a new connection.
    pub fn new(stream: Box<dyn Stream>) -> Conversation {
        Conversation { stream, input: Vec::new(), parser: ReplyParser::new() }
    }

    /// Says a command; the reply.
    ///
    /// # Errors
    /// The conversation is over.
    pub async fn command(&mut self, line: &[u8], limit: Duration) -> Result<Reply, Trouble> {
        let clean: Vec<u8> = line.iter().map(|&b| if b < b' ' { b'?' } else { b }).collect();
        self.write(&[clean.as_slice(), b"\r\n"].concat(), limit).await?;
        self.reply(limit).await
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The conversation is over.
    pub async fn write(&mut self, bytes: &[u8], limit: Duration) -> Result<(), Trouble> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match timeout(limit, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Trouble::Lost),
            Err(_) => Err(Trouble::TimedOut),
        }
    }

    /// The next reply.
    ///
    /// # Errors
    /// The conversation is over.
    pub async fn reply(&mut self, limit: Duration) -> Result<Reply, Trouble> {
        match timeout(limit, self.whole_reply()).await {
            Ok(reply) => reply,
            Err(_) => Err(Trouble::TimedOut),
        }
    }

    async fn whole_reply(&mut self) -> Result<Reply, Trouble> {
        for _ in 0..MAX_LINES {
            let line = self.line().await?;
            match self.parser.line(&line) {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(malformed) => return Err(Trouble::Garbage(malformed.0)),
            }
        }
        Err(Trouble::Garbage(b"a reply of too many lines".to_vec()))
    }

    async fn line(&mut self) -> Result<Vec<u8>, Trouble> {
        loop {
            if let Some(end) = self.input.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                return Ok(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
            }
            if self.input.len() > MAX_LINE {
                return Err(Trouble::Garbage(b"a line without end".to_vec()));
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return Err(Trouble::Lost),
                Ok(_) => {}
            }
        }
    }

    /// Says goodbye, and waits for nothing.
    pub async fn leave(mut self, limit: Duration) {
        // Whoever is gone already hears nothing.
        let _ = self.write(b"QUIT\r\n", limit).await;
    }
}
