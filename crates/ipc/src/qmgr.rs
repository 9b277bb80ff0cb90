//! qmgr: told of new mail by name, so that it need not search the incoming queue; asked what it knows of deferred
//! mail, so that a list need not open every file of a long queue.
//!
//! The socket `public/qmgr` also takes Postfix's triggers (crate `wire`); our clients begin with
//! [`MAGIC`](crate::channel::MAGIC). A notification is a hint: a message whose notification is lost is on stable
//! storage and is found by the next scan. What qmgr says of a deferred message is a hint as well: it is true of files
//! that have the stamps which come with it, and says nothing about others.

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::path::PathBuf;

use queue::create::Stored;
use queue::{QueueId, Stamp};
use serde::{Deserialize, Serialize};
use sys::descriptor::MAX_DESCRIPTORS;

use crate::bounds::{Chunk, Weigh, bytes, chunks};
use crate::channel::{Client, IpcError, Service};
use crate::word::Named;

/// The service `public/qmgr`.
pub struct Qmgr;

impl Service for Qmgr {
    const NAME: &'static str = "qmgr";
    const VERSION: u16 = 4;
    type Request = Request;
    type Reply = Reply;
}

/// What qmgr is told.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// These messages are complete in the incoming queue. Their files come along, open for reading and writing and
    /// locked, one for each name: nobody has to find and lock them again.
    Arrived(Chunk<Named<QueueId>>),
    /// What is known of messages that were deferred later than this, in this style. It is answered by them, the
    /// earliest first, and [`Reply::End`].
    Deferred(Moment, Style),
}

/// What qmgr answers. That mail has arrived it does not answer at all.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Some messages.
    Deferred(Chunk<Deferred>),
    /// There are no more; ask for those after this next time.
    End(Moment),
}

/// A point in the life of a queue manager; the default is before all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Which queue manager it is.
    pub life: u64,
    /// How many messages it had deferred.
    pub deferrals: u64,
}

/// A message that was deferred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// Its name.
    #[serde(with = "crate::word")]
    pub queue_id: QueueId,
    /// Its file.
    #[serde(with = "StampFields")]
    pub file: Stamp,
    /// Its defer log.
    #[serde(with = "StampFields")]
    pub log: Stamp,
    /// What a list has of it, as long as these are what they are.
    #[serde(with = "bytes")]
    pub text: Vec<u8>,
}

impl Weigh for Deferred {
    fn weight(&self) -> usize {
        self.queue_id.as_bytes().len() + size_of::<[Stamp; 2]>() + self.text.len()
    }
}

/// How messages are shown in lists; in another style than its own qmgr knows none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Style {
    /// The list has the form of Postfix 3.11.
    pub modern: bool,
    /// What stands for the null address.
    #[serde(with = "bytes")]
    pub null_address: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Stamp")]
struct StampFields {
    inode: u64,
    size: u64,
    mode: u32,
    modified: i64,
    changed: i64,
}

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
