//! The connection to a filter: bytes in and out, each within a time.
//!
//! It may be a socket that another process of this mail system has opened, and goes on to use afterwards: nothing is
//! read beyond the packet at hand.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage, getsockname};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, timeout_at};

use crate::packet::{self, Head, LENGTH, LengthError};

/// Bytes read at once of a long packet.
const PIECE: usize = 64 << 10;

/// A connected socket of either kind.
#[derive(Debug)]
pub enum Link {
    /// Of this machine.
    Unix(UnixStream),
    /// Of the network.
    Tcp(TcpStream),
}

/// Why nothing can be read. Display is the reason.
#[derive(Debug)]
pub enum LinkError {
    /// The filter has closed the connection.
    Closed,
    /// It takes too long.
    TimedOut,
    /// The system says so.
    Io(io::Error),
    /// The length of a packet makes no sense.
    Length(LengthError),
}

impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LinkError::Closed => f.write_str("Application error"),
            LinkError::TimedOut => f.write_str("Connection timed out"),
            LinkError::Io(error) => f.write_str(&text::system_error(error)),
            LinkError::Length(error) => error.fmt(f),
        }
    }
}

impl Link {
    /// Takes a connected socket that does not block.
    ///
    /// # Errors
    /// The loop cannot watch it.
    pub fn new(socket: OwnedFd) -> io::Result<Link> {
        let address: SockaddrStorage = getsockname(socket.as_raw_fd())?;
        Ok(match address.family() {
            Some(AddressFamily::Unix) => Link::Unix(UnixStream::from_std(socket.into())?),
            _ => Link::Tcp(TcpStream::from_std(socket.into())?),
        })
    }

    /// The socket, for a process that goes on with it.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Link::Unix(stream) => stream.as_fd(),
            Link::Tcp(stream) => stream.as_fd(),
        }
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// The filter is gone, or takes nothing any more.
    pub async fn send(&self, mut bytes: &[u8], limit: Duration) -> Result<(), LinkError> {
        let until = Instant::now() + limit;
        while !bytes.is_empty() {
            // A filter that is always ready leaves time to others.
            consume_budget().await;
            waited(timeout_at(until, self.writable()).await)?;
            let sent = match self {
                Link::Unix(stream) => stream.try_write(bytes),
                Link::Tcp(stream) => stream.try_write(bytes),
            };
            match sent {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(LinkError::Io(error)),
            }
        }
        Ok(())
    }

    /// The start of the next packet.
    ///
    /// # Errors
    /// There is none.
    pub async fn head(&self, limit: Duration) -> Result<Head, LinkError> {
        let until = Instant::now() + limit;
        let mut head = [0; LENGTH];
        self.fill(&mut head, until).await?;
        // A packet without a command is waited for no longer.
        let length = packet::length(head).map_err(LinkError::Length)?;
        let mut command = [0];
        self.fill(&mut command, until).await?;
        Ok(Head { command: command[0], length: length - 1 })
    }

    /// The data of a packet, as a whole.
    ///
    /// # Errors
    /// It does not come, or is longer than is kept.
    pub async fn data(&self, head: Head, limit: Duration) -> Result<Vec<u8>, LinkError> {
        let head = head.bounded().map_err(LinkError::Length)?;
        let mut data = Vec::new();
        while data.len() < head.length {
            data.extend_from_slice(&self.piece(head.length - data.len(), limit).await?);
        }
        Ok(data)
    }

    /// Some of the next `left` bytes.
    ///
    /// # Errors
    /// They do not come.
    pub async fn piece(&self, left: usize, limit: Duration) -> Result<Vec<u8>, LinkError> {
        // told: nobody; the caller takes the rest.
        let mut piece = vec![0; left.min(PIECE)];
        self.fill(&mut piece, Instant::now() + limit).await?;
        Ok(piece)
    }

    async fn fill(&self, mut room: &mut [u8], until: Instant) -> Result<(), LinkError> {
        while !room.is_empty() {
            // As above.
            consume_budget().await;
            waited(timeout_at(until, self.readable()).await)?;
            let read = match self {
                Link::Unix(stream) => stream.try_read(room),
                Link::Tcp(stream) => stream.try_read(room),
            };
            match read {
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) => room = &mut room[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(LinkError::Io(error)),
            }
        }
        Ok(())
    }

    async fn readable(&self) -> io::Result<()> {
        // turns: who calls this counts
        match self {
            Link::Unix(stream) => stream.readable().await,
            Link::Tcp(stream) => stream.readable().await,
        }
    }

    async fn writable(&self) -> io::Result<()> {
        // turns: as above
        match self {
            Link::Unix(stream) => stream.writable().await,
            Link::Tcp(stream) => stream.writable().await,
        }
    }
}

fn waited<T>(result: Result<io::Result<T>, tokio::time::error::Elapsed>) -> Result<T, LinkError> {
    match result {
        Ok(result) => result.map_err(LinkError::Io),
        Err(_) => Err(LinkError::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn a_filter_that_always_has_more_to_say_leaves_time_to_others() {
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.write_all(&[0, 0, 0, 1, b'p'].repeat(300)).unwrap();
        let link = Link::new(ours.into()).unwrap();
        let other = tokio::spawn(async {});
        for _ in 0..300 {
            assert_eq!(link.head(Duration::from_secs(30)).await.unwrap().command, b'p');
        }
        assert!(other.is_finished());
        link.send(b"x", Duration::from_secs(30)).await.unwrap();
        let other = tokio::spawn(async {});
        for _ in 0..150 {
            link.send(b"x", Duration::from_secs(30)).await.unwrap();
        }
        assert!(other.is_finished());
    }
}
