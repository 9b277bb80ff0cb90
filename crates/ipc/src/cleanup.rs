//! cleanup: takes a message as a stream of queue file records, and answers when it is on stable storage.
//!
//! A connection carries any number of messages, one after the other: `Open` → `Opened`, then `Records`... `Filter`...
//! `Finish` → `FilterFailed`... `Done`, or `Abort` without an answer. A connection that ends in the middle of a message
//! takes the message with it. Records are in the encoding of the queue file.
//!
//! A client that will have more messages is told with each outcome where the next one goes ([`Place`]): it knows the
//! identifier of that message before it begins, and sends a small one as a `Whole`, which is one question and one
//! answer.
//!
//! A client that talks with mail filters (milters) hands the connection to each of them over, with what was agreed on
//! there, before the message ends: cleanup shows them the message and has changed what they want changed. The client
//! keeps its own descriptor of the connection, says nothing over it meanwhile, and goes on with it afterwards.

mod entrance;

use std::os::fd::BorrowedFd;

use queue::QueueId;
use serde::{Deserialize, Serialize};
pub use wire::cause::Cause;

use crate::channel::{Client, IpcError, Service};
use crate::pool::Pool;
pub use entrance::Entrance;
use entrance::Unasked;

/// The service `public/cleanup`.
pub struct Cleanup;

impl Service for Cleanup {
    const NAME: &'static str = "cleanup";
    const VERSION: u16 = 4;
    type Request = Request;
    type Reply = Reply;
}

/// What a client sends.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Begins a message.
    Open {
        /// What to do with it.
        #[serde(with = "crate::bits")]
        flags: Flags,
        /// Where it goes, if that was said before.
        place: Option<Place>,
    },
    /// A message from its beginning to its end, and another one will follow: commit it.
    Whole {
        /// What to do with it.
        #[serde(with = "crate::bits")]
        flags: Flags,
        /// Where it goes.
        place: Place,
        /// All of it.
        #[serde(with = "crate::bounds::block")]
        records: Vec<u8>,
    },
    /// Some records of the message, never part of a record.
    Records(#[serde(with = "crate::bounds::block")] Vec<u8>),
    /// A mail filter that is to see the message, after those that came before; its connection is the descriptor that
    /// comes with this.
    Filter(Box<Filter>),
    /// The message is complete: commit it.
    Finish {
        /// Another one will follow.
        more: bool,
    },
    /// The message is not wanted any more.
    Abort,
}

/// A mail filter, as far as its talk with the client of cleanup has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// What log lines call it.
    #[serde(with = "crate::bounds::text")]
    pub service: String,
    /// milter_content_timeout, in seconds.
    pub timeout: u64,
    /// milter_default_action
    #[serde(with = "crate::bounds::text")]
    pub default_action: String,
    /// The protocol bits that were agreed on.
    pub steps: u32,
    /// Macros that go before each header and their end: names and values, each with a NUL behind it.
    #[serde(with = "crate::bounds::bytes")]
    pub header_macros: Vec<u8>,
    /// The same before each piece of the body, and its end.
    #[serde(with = "crate::bounds::bytes")]
    pub body_macros: Vec<u8>,
}

/// What cleanup answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The queue file exists under this name.
    Opened {
        /// Queue id of the new message.
        #[serde(with = "crate::word")]
        queue_id: QueueId,
    },
    /// What became of the message.
    Done {
        /// That.
        outcome: Outcome,
        /// Where the next one goes, for a client that will have one.
        next: Option<Place>,
    },
    /// The filter with this number, of those that came with the message, does not work any more: its connection is in
    /// the middle of something.
    FilterFailed {
        /// From 0.
        number: u32,
    },
}

/// The file that a message will be in. cleanup keeps it for a client as long as the connection lasts; whoever of its
/// processes gets the message knows the file by these two names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The identifier that the message will have.
    #[serde(with = "crate::word")]
    pub queue_id: QueueId,
    /// The name of the file until then, among the spare files.
    #[serde(with = "crate::word")]
    pub spare: QueueId,
}

/// The result of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// On stable storage under this name, or wanted by nobody (DISCARD).
    Accepted(#[serde(with = "crate::word")] QueueId),
    /// Not there.
    Refused {
        /// Why.
        #[serde(with = "crate::word")]
        cause: Cause,
        /// Text for the client when the cause does not say it all, with an enhanced status code in front (`5.7.1 header
        /// bad`), or empty.
        #[serde(with = "crate::bounds::text")]
        text: String,
    },
}

impl Outcome {
    /// A refusal; a text that is too long is cut.
    pub fn refused(cause: Cause, text: impl Into<String>) -> Self {
        Outcome::Refused { cause, text: crate::cut(text.into()) }
    }
}

queue::set! {
    /// What cleanup shall do with a message.
    pub struct Flags {
        /// Bounce a message that cannot be accepted, instead of reporting it.
        BOUNCE = 1,
        /// Apply header_checks and body_checks.
        FILTER = 2,
        /// Put the message on hold.
        HOLD = 4,
        /// Discard the message silently.
        DISCARD = 8,
        /// Add the recipients of always_bcc and the bcc maps.
        BCC = 16,
        /// Apply canonical, virtual alias and masquerade maps.
        MAP = 32,
        /// Show it to the milters for mail that comes by no server (non_smtpd_milters).
        MILTER = 64,
        /// The client asked for SMTPUTF8.
        SMTPUTF8 = 256,
        /// Mail that is found to need SMTPUTF8 travels with it (smtputf8_autodetect_classes).
        AUTO_UTF8 = 512,
        /// The client asked for TLS all the way (REQUIRETLS).
        REQUIRETLS = 1024,
        /// A notification of this system: message_size_limit does not keep it from its reader.
        NOTICE = 1 << 16,
        /// The client will hand milters over.
        FILTERED = 1 << 17,
        /// Mail from outside (smtpd): a client is there to be told of a refusal.
        EXTERNAL = Flags::FILTER.0 | Flags::BCC.0 | Flags::MAP.0 | Flags::MILTER.0,
        /// Mail that local users left (pickup): a refusal becomes a notification.
        SUBMITTED = Flags::EXTERNAL.0 | Flags::BOUNCE.0,
        /// Mail that this system makes itself: notifications, forwarded mail.
        INTERNAL = Flags::MAP.0,
    }
}

impl Flags {
    /// Without what is in the other set.
    pub const fn without(self, less: Flags) -> Flags {
        Flags(self.0 & !less.0)
    }

    /// With what is in the other set, if a condition holds.
    pub const fn with_if(self, condition: bool, more: Flags) -> Flags {
        if condition { self.with(more) } else { self }
    }

    /// What a record that a client adds to the envelope ([`queue::Type::FLAGS`]) may ask for: to hold or to discard the
    /// message.
    pub const fn of_record(bits: u32) -> Flags {
        Flags(bits & (Flags::HOLD.0 | Flags::DISCARD.0))
    }
}

/// A message on its way into cleanup.
pub struct Message {
    client: Client<Cleanup>,
    queue_id: QueueId,
    records: Vec<u8>,
    /// cleanup has not heard of it yet.
    unasked: Option<Unasked>,
    /// Numbers of filters that do not work any more.
    failed: Vec<u32>,
}

/// What became of a message, and of the filters that have seen it.
#[derive(Debug)]
pub struct Finished {
    /// Of the message.
    pub outcome: Outcome,
    /// Numbers of filters that do not work any more.
    pub failed: Vec<u32>,
}

/// Filters of a message.
/// told: the client of cleanup, whose connection ends.
pub const MAX_FILTERS: usize = 100;

/// Records are sent when this many bytes have gathered: a small message travels in one write.
const CHUNK: usize = 32 << 10;

impl Message {
    /// Begins a message; the queue file exists afterwards.
    ///
    /// # Errors
    /// cleanup cannot be reached or does not answer.
    pub async fn open(pool: &Pool<Cleanup>, flags: Flags) -> Result<Self, IpcError> {
        let (client, reply) = pool.begin(&Request::Open { flags, place: None }).await?;
        match reply {
            Reply::Opened { queue_id } => {
                Ok(Self { client, queue_id, records: Vec::new(), unasked: None, failed: Vec::new() })
            }
            _ => Err(IpcError::Malformed("an outcome before the message".to_owned())),
        }
    }

    /// The queue id of the message.
    pub fn queue_id(&self) -> &QueueId {
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
        if self.records.len() < CHUNK { Ok(()) } else { self.pass_on().await }
    }

    /// Sends what has gathered.
    ///
    /// # Errors
    /// cleanup is gone; the message is lost (and was not acknowledged).
    pub async fn pass_on(&mut self) -> Result<(), IpcError> {
        self.ask().await?;
        self.queue_records()?;
        self.client.flush().await
    }

    /// Hands a mail filter over.
    ///
    /// # Errors
    /// cleanup is gone.
    pub async fn hand_over(&mut self, filter: Filter, connection: BorrowedFd<'_>) -> Result<(), IpcError> {
        self.pass_on().await?;
        self.client.send_with(&Request::Filter(Box::new(filter)), connection).await
    }

    /// Ends the message and waits until it is on stable storage.
    ///
    /// # Errors
    /// cleanup is gone: it is not known whether the message was queued.
    pub async fn finish(mut self, pool: &Pool<Cleanup>) -> Result<Outcome, IpcError> {
        self.ask().await?;
        let (outcome, _) = self.end(false).await?;
        pool.give_back(self.client);
        Ok(outcome)
    }

    /// Gives the message up; cleanup removes the queue file. It sees what there is of the message before: its log tells
    /// of a message that was refused what it tells of others, as the identifier.
    pub async fn abort(mut self, pool: &Pool<Cleanup>) {
        let told = self.ask().await.is_ok() && self.queue_records().is_ok();
        if told && self.client.send(&Request::Abort).await.is_ok() {
            pool.give_back(self.client);
        }
    }

    /// Sends the rest of a message that was begun.
    async fn end(&mut self, more: bool) -> Result<(Outcome, Option<Place>), IpcError> {
        self.queue_records()?;
        let mut reply = self.client.exchange(&Request::Finish { more }).await?;
        while let Reply::FilterFailed { number } = reply {
            if self.failed.len() >= MAX_FILTERS {
                return Err(IpcError::Malformed("more filters than there are".to_owned()));
            }
            self.failed.push(number);
            reply = self.client.must_receive().await?;
        }
        outcome(reply)
    }

    fn queue_records(&mut self) -> Result<(), IpcError> {
        if self.records.is_empty() {
            return Ok(());
        }
        self.client.queue(&Request::Records(std::mem::take(&mut self.records)))
    }
}

fn outcome(reply: Reply) -> Result<(Outcome, Option<Place>), IpcError> {
    match reply {
        Reply::Done { outcome, next } => Ok((outcome, next)),
        _ => Err(IpcError::Malformed("no outcome of the message".to_owned())),
    }
}
