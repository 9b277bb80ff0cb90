//! Connections to those who read the log.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// The system's log.
pub(crate) const SYSTEM_LOG: &str = "/dev/log";
/// How long a full log socket may hold a process up.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// A connected datagram socket, and whether its receiver is worth waiting for.
pub(crate) struct Socket {
    socket: UnixDatagram,
    /// Nobody waits, whatever the receiver does.
    never_waits: bool,
    impatient: bool,
}

impl Socket {
    /// A connection that is there.
    pub(crate) fn new(socket: UnixDatagram, never_waits: bool) -> io::Result<Self> {
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        socket.set_nonblocking(never_waits)?;
        Ok(Self { socket, never_waits, impatient: never_waits })
    }

    /// A connection to the socket of this name.
    pub(crate) fn connect(path: &Path, never_waits: bool) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Self::new(socket, never_waits)
    }

    /// What it is made of.
    #[cfg(test)]
    pub(crate) fn socket(&self) -> &UnixDatagram {
        &self.socket
    }

    /// The same connection, waiting or not.
    pub(crate) fn changed(self, never_waits: bool) -> io::Result<Self> {
        Self::new(self.socket, never_waits)
    }

    /// A receiver that is there and does not read is waited for once, and not again before it reads: master logs while
    /// postlogd, which master is to start, does not run yet.
    pub(crate) fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let result = self.socket.send(datagram).map(drop);
        let stuck = result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if !self.never_waits && stuck != self.impatient && (stuck || result.is_ok()) {
            self.socket.set_nonblocking(stuck)?;
            self.impatient = stuck;
        }
        result
    }
}

impl Socket {
    /// Sends a datagram to a receiver that is worth waiting for, for a moment.
    pub(crate) fn send_patiently(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.socket.set_nonblocking(false)?;
        let result = self.socket.send(datagram).map(drop);
        self.socket.set_nonblocking(self.impatient)?;
        result
    }
}

/// A new connection to the system's log.
///
/// # Errors
/// There is none.
pub fn dial() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(SYSTEM_LOG)?;
    Ok(socket)
}
