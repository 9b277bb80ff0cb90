//! cleanup: takes a message as a stream of queue file records, and answers when it is on stable storage.
//!
//! A connection carries any number of messages, one after the other:
//! `Open` → `Opened`, then `Records`... `Finish` → `Done`, or `Abort` without an answer. A connection that ends in the
//! middle of a message takes the message with it. Records are in the encoding of the queue file.

use serde::{Deserialize, Serialize};
pub use wire::outcome as status;

use crate::channel::{Client, IpcError, Service};
use crate::pool::Pool;

/// The service `public/cleanup`.
pub struct Cleanup;

impl Service for Cleanup {
    const NAME: &'static str = "cleanup";
    const VERSION: u16 = 1;
    type Request = Request;
    type Reply = Reply;
}

/// What a client sends.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Begins a message.
    Open {
        /// Bits of [`flags`].
        flags: u32,
    },
    /// Some records of the message, never part of a record.
    Records(#[serde(with = "crate::bounds::block")] Vec<u8>),
    /// The message is complete: commit it.
    Finish,
    /// The message is not wanted any more.
    Abort,
}

/// What cleanup answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The queue file exists under this name.
    Opened {
        /// Queue id of the new message.
        #[serde(with = "crate::bounds::text")]
        queue_id: String,
    },
    /// What became of the message.
    Done(Outcome),
}

/// The result of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Bits of [`status`]; 0: on stable storage.
    pub status: u32,
    /// Text for the client when the reason is not clear from the bits, with an enhanced status code in front
    /// (`5.7.1 header bad`), or empty.
    #[serde(with = "crate::bounds::text")]
    pub reason: String,
}

/// What cleanup shall do with a message.
pub mod flags {
    /// Bounce a message that cannot be accepted, instead of reporting it.
    pub const BOUNCE: u32 = 1;
    /// Apply header_checks and body_checks.
    pub const FILTER: u32 = 2;
    /// Put the message on hold.
    pub const HOLD: u32 = 4;
    /// Discard the message silently.
    pub const DISCARD: u32 = 8;
    /// Add the recipients of always_bcc and the bcc maps.
    pub const BCC: u32 = 16;
    /// Apply canonical, virtual alias and masquerade maps.
    pub const MAP: u32 = 32;
    /// Apply milters.
    pub const MILTER: u32 = 64;
    /// The reason may be an SMTP reply.
    pub const SMTP_REPLY: u32 = 128;
    /// The client asked for SMTPUTF8.
    pub const SMTPUTF8: u32 = 256;
    /// Detect the need for SMTPUTF8.
    pub const AUTO_UTF8: u32 = 512;
    /// A notification of this system: message_size_limit does not keep it from its reader.
    pub const NOTICE: u32 = 1 << 16;
    /// Mail from outside (smtpd): a client is there to be told of a refusal.
    pub const EXTERNAL: u32 = FILTER | BCC | MAP | MILTER | AUTO_UTF8;
    /// Mail that local users left (pickup): a refusal becomes a notification.
    pub const SUBMITTED: u32 = EXTERNAL | BOUNCE;
    /// Mail that this system makes itself: notifications, forwarded mail.
    pub const INTERNAL: u32 = MAP;
}

/// A message on its way into cleanup.
pub struct Message {
    client: Client<Cleanup>,
    queue_id: String,
    records: Vec<u8>,
}

/// Records are sent when this many bytes have gathered: a small message travels in one write.
const CHUNK: usize = 32 << 10;

impl Message {
    /// Begins a message; the queue file exists afterwards.
    ///
    /// # Errors
    /// cleanup cannot be reached or does not answer.
    pub async fn open(pool: &Pool<Cleanup>, flags: u32) -> Result<Self, IpcError> {
        let (client, reply) = pool.begin(&Request::Open { flags }).await?;
        match reply {
            Reply::Opened { queue_id } => Ok(Self { client, queue_id, records: Vec::new() }),
            Reply::Done(_) => Err(IpcError::Malformed("an outcome before the message".to_owned())),
        }
    }

    /// The queue id of the message.
    pub fn queue_id(&self) -> &str {
        &self.queue_id
    }

    /// Where the caller encodes the next records; call [`flow`](Self::flow) after each group of them.
    pub fn records(&mut self) -> &mut Vec<u8> {
        &mut self.records
    }

    /// Sends what has gathered, when it is much.
    ///
    /// # Errors
    /// cleanup is gone; the message is lost (and was not acknowledged).
    pub async fn flow(&mut self) -> Result<(), IpcError> {
        if self.records.len() < CHUNK {
            return Ok(());
        }
        self.queue_records()?;
        self.client.flush().await
    }

    /// Ends the message and waits until it is on stable storage.
    ///
    /// # Errors
    /// cleanup is gone: it is not known whether the message was queued.
    pub async fn finish(mut self, pool: &Pool<Cleanup>) -> Result<Outcome, IpcError> {
        self.queue_records()?;
        match self.client.exchange(&Request::Finish).await? {
            Reply::Done(outcome) => {
                pool.give_back(self.client);
                Ok(outcome)
            }
            Reply::Opened { .. } => Err(IpcError::Malformed("a queue id instead of an outcome".to_owned())),
        }
    }

    /// Gives the message up; cleanup removes the queue file.
    pub async fn abort(mut self, pool: &Pool<Cleanup>) {
        if self.client.send(&Request::Abort).await.is_ok() {
            pool.give_back(self.client);
        }
    }

    fn queue_records(&mut self) -> Result<(), IpcError> {
        if self.records.is_empty() {
            return Ok(());
        }
        self.client.queue(&Request::Records(std::mem::take(&mut self.records)))
    }
}
