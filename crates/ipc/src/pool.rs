//! Connections to a service that are kept and reused: a message costs no new connection between our processes.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::channel::{Client, IpcError, Service};

/// Postfix's ipc_idle: an unused connection is closed after this time, when the pool is used next.
const MAX_IDLE: Duration = Duration::from_secs(5);
/// Unused connections that are kept.
const MAX_KEPT: usize = 64;

/// The connections of one process to one service. Belongs to one thread.
pub struct Pool<P: Service> {
    path: PathBuf,
    timeout: Duration,
    idle: RefCell<Vec<(Client<P>, Instant)>>,
}

impl<P: Service> Pool<P> {
    /// A pool for the socket at `path` (relative to the queue directory); `timeout` is ipc_timeout.
    pub fn new(path: impl Into<PathBuf>, timeout: Duration) -> Self {
        Self { path: path.into(), timeout, idle: RefCell::new(Vec::new()) }
    }

    /// The socket that the pool connects to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection, and whether it has been used before: then the server may have closed it meanwhile, and a failure
    /// of the first exchange says nothing about the service.
    ///
    /// # Errors
    /// Those of connect(2).
    pub async fn take(&self) -> Result<(Client<P>, bool), IpcError> {
        let kept = {
            let mut idle = self.idle.borrow_mut();
            idle.retain(|(_, since)| since.elapsed() < MAX_IDLE);
            idle.pop()
        };
        match kept {
            Some((client, _)) => Ok((client, true)),
            None => Ok((self.connect().await?, false)),
        }
    }

    /// A new connection, whatever the pool holds.
    ///
    /// # Errors
    /// Those of connect(2).
    pub async fn connect(&self) -> Result<Client<P>, IpcError> {
        let mut client = Client::<P>::connect(&self.path).await?;
        client.set_timeout(self.timeout);
        Ok(client)
    }

    /// Gives back a connection whose last exchange is complete.
    pub fn give_back(&self, client: Client<P>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_KEPT {
            idle.push((client, Instant::now()));
        }
    }

    /// Closes the connections that wait unused.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
    }

    /// One request, one reply, repeated once on a new connection when a kept one turns out to be closed. Only for
    /// requests that may be made twice.
    ///
    /// # Errors
    /// The service cannot be reached or does not answer.
    pub async fn call(&self, request: &P::Request) -> Result<P::Reply, IpcError> {
        let (mut client, used) = self.take().await?;
        let reply = match client.exchange(request).await {
            Err(IpcError::Closed | IpcError::Reset | IpcError::Io(_)) if used => {
                self.clear();
                client = self.connect().await?;
                client.exchange(request).await?
            }
            other => other?,
        };
        self.give_back(client);
        Ok(reply)
    }
}
