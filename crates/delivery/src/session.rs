//! A connection from qmgr.

use std::fs::File;
use std::rc::Rc;

use ipc::delivery::Delivery;
use ipc::{IpcError, Server};
use tokio::net::UnixStream;

use crate::{Job, Settings};

/// Takes requests one after the other and gives their reports.
pub struct Session {
    channel: Server<Delivery>,
    settings: Rc<Settings>,
}

impl Session {
    /// A session on an accepted connection.
    pub fn new(stream: UnixStream, settings: Rc<Settings>) -> Self {
        Session { channel: Server::new(stream), settings }
    }

    /// The next request; `None` when qmgr has closed the connection.
    ///
    /// # Errors
    /// The connection broke, or a request came without the descriptor of its queue file.
    pub async fn next(&mut self) -> Result<Option<Job>, IpcError> {
        let Some(request) = self.channel.receive_unlimited().await? else {
            return Ok(None);
        };
        let file = self.channel.take_descriptor();
        let file = file.ok_or_else(|| IpcError::Malformed("a delivery request without its queue file".to_owned()))?;
        Ok(Some(Job::new(request, File::from(file), Rc::clone(&self.settings))))
    }

    /// Tells qmgr what became of the job.
    ///
    /// # Errors
    /// qmgr is gone: it will find delivered recipients marked in the queue file.
    pub async fn report(&mut self, job: Job) -> Result<(), IpcError> {
        self.channel.send(&job.into_report()).await
    }
}
