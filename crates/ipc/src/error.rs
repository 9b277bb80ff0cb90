//! Why a channel cannot be used any more, for all services alike.

use std::fmt;
use std::io;

/// Why a channel cannot be used any more. Display is the reason alone; callers name the service.
#[derive(Debug)]
pub enum IpcError {
    /// The operating system reports an error.
    Io(io::Error),
    /// The peer has closed the channel in the middle of an exchange.
    Closed,
    /// The peer has closed the channel without having read what was sent last: it did nothing about it.
    Reset,
    /// A message is larger than it may be. Nothing of it was sent, and the channel is as it was.
    TooLarge(String),
    /// The peer sent what the protocol does not allow.
    Malformed(String),
    /// The peer greets as another service or version.
    WrongService(String),
    /// Nothing came within the time limit.
    TimedOut,
}

impl fmt::Display for IpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}", error = text::system_error(error)),
            Self::Closed => f.write_str("premature disconnect"),
            Self::Reset => f.write_str("connection reset by peer"),
            Self::TooLarge(why) => write!(f, "message too large: {why}"),
            Self::Malformed(why) => write!(f, "malformed message: {why}"),
            Self::WrongService(name) => write!(f, "unexpected service \"{name}\" at the other end"),
            Self::TimedOut => f.write_str("Connection timed out"),
        }
    }
}

impl std::error::Error for IpcError {}

impl From<io::Error> for IpcError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Reset,
            _ => Self::Io(error),
        }
    }
}
