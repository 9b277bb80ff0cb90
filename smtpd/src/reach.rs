//! How servers of others are reached: an authentication server, policy services.
//!
//! A Unix socket below the queue directory is in reach, any other is the porter's to reach; a host is looked up as the
//! system knows it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use daemon::UnixSockets;
use dns::Resolver;
use net::Server;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// The ways out of this process.
#[derive(Clone)]
pub struct Reach {
    /// Where relative names of sockets begin.
    pub queue_directory: PathBuf,
    /// The sockets of this machine.
    pub sockets: UnixSockets,
    /// The name service.
    pub resolver: Resolver,
}

/// Why a server is not reached. Display is the reason.
#[derive(Debug)]
pub enum Unreached {
    /// Its host has no address: what the look-up says.
    NoAddress(String),
    /// As connect(2) says.
    Connect(io::Error),
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreached::NoAddress(reason) => f.write_str(reason),
            Unreached::Connect(error) => f.write_str(&net::reason(error)),
        }
    }
}

impl std::error::Error for Unreached {}

impl From<io::Error> for Unreached {
    fn from(error: io::Error) -> Unreached {
        Unreached::Connect(error)
    }
}

impl From<Unreached> for io::Error {
    fn from(error: Unreached) -> io::Error {
        match error {
            Unreached::NoAddress(reason) => io::Error::other(reason),
            Unreached::Connect(error) => error,
        }
    }
}

impl Reach {
    /// A new connection.
    ///
    /// # Errors
    /// The server cannot be reached; nothing was logged.
    pub async fn connect(&self, server: &Server) -> Result<Box<dyn Stream>, Unreached> {
        Ok(match server {
            Server::Unix(path) => Box::new(self.sockets.connect(&self.queue_directory.join(path)).await?),
            Server::Internet(host, port) => Box::new(self.internet(host, *port).await?),
        })
    }

    async fn internet(&self, host: &str, port: u16) -> Result<TcpStream, Unreached> {
        let addresses = match net::address::parse(host.as_bytes()) {
            Some(address) => vec![address],
            None => {
                let found = self.resolver.native_hosts(host).await;
                found.map_err(|error| Unreached::NoAddress(error.system_text().to_owned()))?
            }
        };
        let mut last = Unreached::NoAddress("no address".to_owned());
        for address in addresses {
            match TcpStream::connect(SocketAddr::new(address, port)).await {
                Ok(stream) => {
                    // Requests are written whole.
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}
