//! A handshake over a stream.
//!
//! What takes long in it - key exchange, signatures, and the wait for a signature by tlsmgr - takes a thread, and none
//! of the loop that serves other sessions.

use std::cell::Cell;
use std::fmt;
use std::io;

use rustls::Connection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::words::describe;

/// Bytes read at once.
const READ_SIZE: usize = 16 << 10;

/// Why there is no session. Display is what stands behind `SSL_accept error from NAME: `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// The peer has closed the connection.
    Lost,
    /// The connection has broken.
    Io(String),
    /// What was said makes no session; the reason is for a line of its own.
    Protocol(String),
    /// It took too long.
    TimedOut,
    /// Our own parameters forbid it: a warning.
    Refused(String),
    /// The server was asked for its public key alone, and may have none to show: another connection may go better.
    NoRawKey,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("lost connection"),
            Self::Io(reason) => f.write_str(reason),
            Self::Protocol(_) => f.write_str("-1"),
            Self::TimedOut => f.write_str("Connection timed out"),
            Self::Refused(why) => f.write_str(why),
            Self::NoRawKey => f.write_str("no raw public key"),
        }
    }
}

impl std::error::Error for HandshakeError {}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Lost,
            _ => Self::Io(text::system_error(&error)),
        }
    }
}

impl HandshakeError {
    pub(crate) fn of(error: &rustls::Error) -> Self {
        Self::Protocol(describe(error))
    }

    /// Logs it: `SSL_accept error from PEER: ...`, and the library's reason. `what`: up to the peer.
    pub(crate) fn log(&self, what: &str, peer: &str) {
        if let Self::Refused(why) = self {
            return logging::warning!("{why}");
        }
        logging::info!("{what} {peer}: {self}");
        if let Self::Protocol(reason) = self {
            logging::warning!("TLS library problem: {reason}");
        }
    }
}

/// A stream that carries TLS.
pub trait Carrier: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Carrier for S {}

/// Takes a connection to the end of its handshake. `heavy`: its steps take a thread.
pub(crate) async fn complete(
    stream: &mut impl Carrier,
    mut connection: Connection,
    heavy: bool,
) -> Result<Connection, HandshakeError> {
    let mut buffer = Vec::new();
    loop {
        send(stream, &mut connection).await?;
        if !connection.is_handshaking() {
            return Ok(connection);
        }
        read(stream, &mut buffer).await?;
        let (back, result) = step(connection, std::mem::take(&mut buffer), heavy).await?;
        connection = back;
        match result {
            Ok(Next::More) => {}
            Ok(Next::Farewell) if connection.is_handshaking() => return Err(HandshakeError::Lost),
            Ok(Next::Farewell) => return Ok(connection),
            Err(error) => {
                // The alert is a courtesy.
                let _ = send(stream, &mut connection).await;
                return Err(HandshakeError::of(&error));
            }
        }
    }
}

/// Sends what waits.
async fn send(stream: &mut impl Carrier, connection: &mut Connection) -> io::Result<()> {
    let mut wire = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut wire)?;
    }
    write(stream, &wire).await
}

/// Sends bytes.
pub(crate) async fn write(stream: &mut impl Carrier, wire: &[u8]) -> io::Result<()> {
    if wire.is_empty() { Ok(()) } else { stream.write_all(wire).await }
}

/// Reads once; the end is an error.
pub(crate) async fn read(stream: &mut impl Carrier, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.reserve(READ_SIZE);
    // The one error that is no error of the system.
    let end = io::Error::new(io::ErrorKind::UnexpectedEof, "the end");
    if stream.read_buf(buffer).await? == 0 { Err(end) } else { Ok(()) }
}

/// What a peer may still say.
enum Next {
    More,
    /// It has said that it will say nothing more.
    Farewell,
}

async fn step(
    mut connection: Connection,
    wire: Vec<u8>,
    heavy: bool,
) -> Result<(Connection, Result<Next, rustls::Error>), HandshakeError> {
    let take = move || {
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            if let Err(error) = connection.read_tls(&mut rest) {
                return (connection, Err(rustls::Error::General(text::system_error(&error))));
            }
            match connection.process_new_packets() {
                // What stands behind it does not count, and the library takes no more of it. RFC 8446 6.1
                Ok(state) if state.peer_has_closed() => return (connection, Ok(Next::Farewell)),
                Ok(_) => {}
                Err(error) => return (connection, Err(error)),
            }
        }
        (connection, Ok(Next::More))
    };
    if heavy { aside(take).await } else { Ok(take()) }
}

thread_local! {
    static IS_ASIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread may wait: the loop would wait for itself.
pub(crate) fn is_aside() -> bool {
    IS_ASIDE.get()
}

/// Does something in a thread.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, HandshakeError> {
    // A panic was logged, and ends this handshake alone.
    let failed = |_| HandshakeError::Protocol("internal error".to_owned());
    let work = move || {
        IS_ASIDE.set(true);
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)
}

#[cfg(test)]
mod tests;
