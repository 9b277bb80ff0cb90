//! Sockets of this machine by name: those below the queue directory are in reach, others are the porter's to reach.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tokio::net::UnixStream;

use crate::porter::Porter;

/// How a worker connects to Unix sockets. By default names mean what they mean to this process.
#[derive(Clone, Default)]
pub struct UnixSockets {
    queue_directory: PathBuf,
    porter: Option<Rc<Porter>>,
}

impl UnixSockets {
    pub(crate) fn new(queue_directory: PathBuf, porter: Option<Rc<Porter>>) -> Self {
        Self { queue_directory, porter }
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
}
