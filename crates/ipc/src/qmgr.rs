//! qmgr: told of new mail by name, so that it need not search the incoming queue.
//!
//! The socket `public/qmgr` also takes Postfix's triggers (crate `wire`); our clients begin with
//! [`MAGIC`](crate::channel::MAGIC). A notification is a hint: a message whose notification is lost is on stable
//! storage and is found by the next scan.

use std::cell::RefCell;
use std::path::PathBuf;

use queue::QueueId;
use serde::{Deserialize, Serialize};

use crate::bounds::{Chunk, chunks};
use crate::channel::{Client, IpcError, Service};
use crate::word::Named;

/// The service `public/qmgr`.
pub struct Qmgr;

impl Service for Qmgr {
    const NAME: &'static str = "qmgr";
    const VERSION: u16 = 2;
    type Request = Request;
    type Reply = Nothing;
}

/// What qmgr is told.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// These messages are complete in the incoming queue.
    Arrived(Chunk<Named<QueueId>>),
}

/// qmgr does not answer.
#[derive(Debug, Serialize, Deserialize)]
pub enum Nothing {}

/// The sending side: one connection, made when it is first needed.
pub struct Notifier {
    path: PathBuf,
    client: RefCell<Option<Client<Qmgr>>>,
}

impl Notifier {
    /// A client of the service at `path`, normally `public/qmgr` ($queue_service_name).
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), client: RefCell::new(None) }
    }

    /// The socket of the service.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Tells qmgr that a message has arrived.
    ///
    /// # Errors
    /// qmgr cannot be reached; the message stays where qmgr will find it.
    pub async fn arrived(&self, queue_id: &QueueId) -> Result<(), IpcError> {
        self.arrived_all(vec![queue_id.clone()]).await
    }

    /// Tells qmgr that messages have arrived, in as few frames as possible.
    ///
    /// # Errors
    /// As [`arrived`](Self::arrived).
    pub async fn arrived_all(&self, queue_ids: Vec<QueueId>) -> Result<(), IpcError> {
        let requests: Vec<Request> = chunks(queue_ids.into_iter().map(Named)).map(Request::Arrived).collect();
        let kept = self.client.borrow_mut().take();
        let client = match kept {
            Some(client) => send(client, &requests).await,
            None => Err(IpcError::Closed),
        };
        let client = match client {
            Ok(client) => client,
            // It has ended since it was used last. What is said twice is said once too often, and does no harm.
            Err(_) => send(Client::<Qmgr>::connect(&self.path).await?, &requests).await?,
        };
        *self.client.borrow_mut() = Some(client);
        Ok(())
    }
}

async fn send(mut client: Client<Qmgr>, requests: &[Request]) -> Result<Client<Qmgr>, IpcError> {
    for request in requests {
        client.send(request).await?;
    }
    Ok(client)
}
