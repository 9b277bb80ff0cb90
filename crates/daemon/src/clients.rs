//! One accepted client.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::{TcpStream, UnixStream};

use crate::context::Context;

/// A client that a worker serves.
pub struct Client {
    /// The connection.
    pub stream: Stream,
    /// Who is at the other end.
    pub peer: Peer,
    /// The worker that serves it.
    pub context: Rc<Context>,
}

/// The connection to a client.
pub enum Stream {
    /// A program on this machine.
    Unix(UnixStream),
    /// A host.
    Tcp(TcpStream),
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A program on this machine.
    Local,
    /// A host; IPv4-mapped addresses are plain IPv4 here.
    Host {
        /// The client's address.
        remote: SocketAddr,
        /// Our address that it connected to.
        local: SocketAddr,
    },
}

impl Client {
    /// The connection of a service that only has Unix sockets; `None` for a master.cf entry of another type.
    pub fn into_unix(self) -> Option<UnixStream> {
        match self.stream {
            Stream::Unix(stream) => Some(stream),
            Stream::Tcp(_) => {
                logging::repeated!("service {} does not serve type inet", self.context.service_name);
                None
            }
        }
    }
}
