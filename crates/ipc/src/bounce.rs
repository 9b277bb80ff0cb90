//! bounce: keeps the per-message failure logs, and turns them into notifications.
//!
//! The services `private/bounce`, `private/defer` and `private/trace` are one program and one protocol; a request names
//! its log. `Append` is answered when the records are in the log file (for the bounce log: on stable storage); a message
//! of many recipients needs several. `Notify` is answered when the notification is queued and the log removed, or when no notification was due.

use queue::Recipient;
use serde::{Deserialize, Serialize};

use crate::bounds::{Chunk, Weigh};
use crate::channel::Service;

/// The services `private/bounce`, `private/defer`, `private/trace`.
pub struct Bounce;

impl Service for Bounce {
    const NAME: &'static str = "bounce";
    const VERSION: u16 = 1;
    type Request = Request;
    type Reply = Reply;
}

/// What bounce is asked to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Request {
    /// Adds recipients to a log of a message.
    Append {
        /// Which log.
        log: Log,
        /// The message.
        #[serde(with = "crate::bounds::text")]
        queue_id: String,
        /// The message is new: whatever a log of its name holds is that of another one.
        begin: bool,
        /// What to add.
        records: Chunk<Record>,
    },
    /// Sends what a log says to the sender (and postmaster, by notify_classes), and removes the log.
    Notify {
        /// Which log, and so which kind of notification.
        log: Log,
        /// Keep the log: a delay warning, after which delivery goes on.
        keep: bool,
        /// The message.
        message: Message,
    },
    /// A notification for recipients that were never in a queue file's log (cleanup, local): log and send at once.
    Single {
        /// The message.
        message: Message,
        /// What failed.
        record: Box<Record>,
    },
}

/// The three logs of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Log {
    /// Recipients that failed for good.
    Bounce,
    /// Recipients that will be tried again.
    Defer,
    /// Successes and probes that the sender asked to hear of.
    Trace,
}

/// The message that a notification is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Message {
    /// Queue that holds the file, normally `active`.
    #[serde(with = "crate::bounds::text")]
    pub queue_name: String,
    /// Queue id.
    #[serde(with = "crate::bounds::text")]
    pub queue_id: String,
    /// `7bit`, `8bit` or empty.
    #[serde(with = "crate::bounds::text")]
    pub encoding: String,
    /// SMTPUTF8 bits of the size record.
    pub send_options: u32,
    /// Envelope sender, internal form.
    #[serde(with = "crate::bounds::bytes")]
    pub sender: Vec<u8>,
    /// ENVID as xtext, or empty.
    #[serde(with = "crate::bounds::text")]
    pub envelope_id: String,
    /// RET: 0 none, 1 FULL, 2 HDRS.
    pub ret_flags: u32,
}

/// One recipient in a log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Who.
    #[serde(with = "crate::recipient::Fields")]
    pub recipient: Recipient,
    /// Enhanced status code.
    #[serde(with = "crate::bounds::text")]
    pub status: String,
    /// RFC 3464 action: `failed`, `delayed`, `delivered`, `relayed`, `expanded`, `deliverable`, `undeliverable`.
    #[serde(with = "crate::bounds::text")]
    pub action: String,
    /// Diagnostic type and text, or both empty.
    #[serde(with = "crate::bounds::text")]
    pub diagnostic: (String, String),
    /// Remote MTA, or empty.
    #[serde(with = "crate::bounds::text")]
    pub remote_mta: String,
    /// What happened, for people.
    #[serde(with = "crate::bounds::text")]
    pub reason: String,
}

impl Weigh for Record {
    fn weight(&self) -> usize {
        let texts =
            [&self.status, &self.action, &self.diagnostic.0, &self.diagnostic.1, &self.remote_mta, &self.reason];
        self.recipient.weight() + texts.iter().map(|text| text.len()).sum::<usize>()
    }
}

/// What bounce answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// Not done; the caller keeps the message and tries again later.
    Failed(#[serde(with = "crate::bounds::text")] String),
}
