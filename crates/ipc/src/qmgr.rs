//! qmgr: told of new mail by name, so that it need not search the incoming queue.
//!
//! The socket `public/qmgr` also takes Postfix's triggers (crate `wire`); our clients begin with
//! [`MAGIC`](crate::channel::MAGIC). A notification is a hint: a message whose notification is lost is on stable
//! storage and is found by the next scan.

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::path::PathBuf;

use queue::QueueId;
use queue::create::Stored;
use serde::{Deserialize, Serialize};
use sys::descriptor::MAX_DESCRIPTORS;

use crate::bounds::{Chunk, chunks};
use crate::channel::{Client, IpcError, Service};
use crate::word::Named;

/// The service `public/qmgr`.
pub struct Qmgr;

impl Service for Qmgr {
    const NAME: &'static str = "qmgr";
    const VERSION: u16 = 3;
    type Request = Request;
    type Reply = Nothing;
}

/// What qmgr is told.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// These messages are complete in the incoming queue. Their files come along, open for reading and writing and
    /// locked, one for each name: nobody has to find and lock them again.
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

    /// Tells qmgr that messages have arrived, in as few frames as possible, and hands it their files.
    ///
    /// # Errors
    /// qmgr cannot be reached; the messages stay where qmgr will find them.
    pub async fn arrived(&self, messages: &[Stored]) -> Result<(), IpcError> {
        let kept = self.client.borrow_mut().take();
        let client = match kept {
            Some(client) => send(client, messages).await,
            None => Err(IpcError::Closed),
        };
        let client = match client {
            Ok(client) => client,
            // It has ended since it was used last. What is said twice is said once too often, and does no harm.
            Err(_) => send(Client::<Qmgr>::connect(&self.path).await?, messages).await?,
        };
        *self.client.borrow_mut() = Some(client);
        Ok(())
    }
}

async fn send(mut client: Client<Qmgr>, messages: &[Stored]) -> Result<Client<Qmgr>, IpcError> {
    for some in messages.chunks(MAX_DESCRIPTORS) {
        let files: Vec<_> = some.iter().map(AsFd::as_fd).collect();
        // As many names as descriptors are one chunk.
        for names in chunks(some.iter().map(|message| Named(message.id().clone()))) {
            client.send_with_all(&Request::Arrived(names), &files).await?;
        }
    }
    Ok(client)
}
