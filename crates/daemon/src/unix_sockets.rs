//! Sockets of this machine by name: those below the queue directory are in reach, others are the porter's to reach.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::net::{TcpStream, UnixStream};

use crate::porter::Porter;

/// How a worker connects to Unix sockets. By default names mean what they mean to this process.
#[derive(Clone, Default)]
pub struct UnixSockets {
    queue_directory: PathBuf,
    porter: Option<Rc<Porter>>,
    servers: Option<Rc<Porter>>,
}

impl UnixSockets {
    pub(crate) fn new(queue_directory: PathBuf, porter: Option<Rc<Porter>>) -> Self {
        Self { queue_directory, porter, servers: None }
    }

    /// The same, and servers of other hosts beside them.
    pub(crate) fn and_servers(self, porter: Rc<Porter>) -> Self {
        Self { servers: Some(porter), ..self }
    }

    /// Connects to the stream socket of this name; a relative one is below the queue directory.
    ///
    /// # Errors
    /// Those of connect(2).
    pub async fn connect(&self, path: &Path) -> io::Result<UnixStream> {
        match (&self.porter, path.strip_prefix(&self.queue_directory)) {
            (Some(_), Ok(below)) if path.is_absolute() => UnixStream::connect(below).await,
            (Some(porter), Err(_)) if path.is_absolute() => porter.connect(path).await,
            _ => UnixStream::connect(path).await,
        }
    }

    /// Connects to a server; the socket does not block.
    ///
    /// # Errors
    /// Those of connect(2), or the name is not known.
    pub async fn dial(&self, host: &str, port: u16) -> io::Result<OwnedFd> {
        match &self.servers {
            Some(porter) => porter.dial(host, port).await,
            None => {
                let stream = TcpStream::connect((host, port)).await?;
                // What is sent is whole packets, each of which waits for its answer.
                stream.set_nodelay(true)?;
                Ok(stream.into_std()?.into())
            }
        }
    }
}
