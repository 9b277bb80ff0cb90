//! The bytes of one session: a request that is read as it comes, and one answer.
//!
//! A client that says nothing holds no buffer here.

use std::io;
use std::time::Duration;

use smtp_protocol::Input;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

/// Bytes read at once.
const READ_SIZE: usize = 32 << 10;

/// Why a connection cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// The client closed it, or the network did.
    Lost,
    /// The client said nothing, or did not read, within qmqpd_timeout.
    TimedOut,
}

impl Gone {
    /// As log lines say it.
    pub fn text(self) -> &'static str {
        match self {
            Gone::Lost => "lost connection",
            Gone::TimedOut => "read/write timeout",
        }
    }
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    input: Input,
    limit: Duration,
}

impl Connection {
    /// `limit` (qmqpd_timeout) is what one read or the answer may take.
    pub fn new(stream: TcpStream, limit: Duration) -> Connection {
        Connection { stream, input: Input::new(), limit }
    }

    /// Bytes that the client has sent and that are not used yet.
    pub fn pending(&self) -> &[u8] {
        self.input.pending()
    }

    /// Takes pending bytes away.
    pub fn consume(&mut self, count: usize) {
        self.input.consume(count);
    }

    /// Waits for more bytes.
    ///
    /// # Errors
    /// The client is gone.
    pub async fn more(&mut self) -> Result<(), Gone> {
        self.input.release();
        let Connection { stream, input, limit } = self;
        let read = async {
            loop {
                // A client that always has more to say leaves time to others.
                consume_budget().await;
                stream.readable().await?;
                let room = input.room();
                room.reserve(READ_SIZE);
                match stream.try_read_buf(room) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => input.release(),
                    read => return read,
                }
            }
        };
        match timeout(*limit, read).await {
            Err(_) => Err(Gone::TimedOut),
            Ok(Ok(0) | Err(_)) => Err(Gone::Lost),
            Ok(Ok(_)) => Ok(()),
        }
    }

    /// Sends the answer, and ends the connection. A client that does not take it is none the wiser.
    pub async fn finish(mut self, answer: &[u8]) {
        let sent = async {
            self.stream.write_all(answer).await?;
            self.stream.shutdown().await
        };
        // A message that was taken stays taken, and is not announced a second time.
        let _ = timeout(self.limit, sent).await;
    }
}
