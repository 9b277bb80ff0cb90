//! Waking services up: one `W` at start and every so many seconds.
//!
//! The connection is kept until the service closes it or 101 seconds have passed; master writes at most two bytes to it
//! and never reads more than its end.

use std::io::{self, Write};
use std::time::Duration;

use config::master_cf::ServiceKind;
use mio::net::{TcpStream, UnixStream};
use socket2::{Domain, Socket, Type};

use crate::listener::Place;
use crate::service::Service;

/// Longest life of a wakeup connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(101);

/// A wakeup that the service has not taken yet.
pub(crate) enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Sends the wakeup; `None` when there is nothing to wait for.
pub(crate) fn send(service: &Service) -> io::Result<Option<Connection>> {
    let Some(listener) = service.listeners.first() else { return Ok(None) };
    match (&listener.place, service.entry.kind) {
        // What has its name now may be something else, and is mail_owner's to put there.
        (Place::Path(_), ServiceKind::Fifo) => {
            nix::unistd::write(&listener.socket, &[wire::trigger::WAKEUP])?;
            Ok(None)
        }
        (Place::Path(_), ServiceKind::UnixDgram) => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "a datagram service cannot be woken up"))
        }
        (Place::Path(path), _) => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.connect(&socket2::SockAddr::unix(path)?)?;
            let mut stream = UnixStream::from_std(socket.into());
            letters(&mut stream)?;
            Ok(Some(Connection::Unix(stream)))
        }
        (Place::Inet(address), _) => {
            // A loopback connect to our own listening socket completes at once or fails.
            let mut stream = std::net::TcpStream::connect_timeout(address, Duration::from_secs(1))?;
            stream.set_nonblocking(true)?;
            letters(&mut stream)?;
            Ok(Some(Connection::Tcp(TcpStream::from_std(stream))))
        }
    }
}

fn letters(stream: &mut impl Write) -> io::Result<()> {
    stream.write_all(&[wire::trigger::WAKEUP])?;
    stream.write_all(&[0])
}
