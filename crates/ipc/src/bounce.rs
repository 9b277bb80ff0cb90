//! bounce: keeps the per-message failure logs, and turns them into notifications.
//!
//! The services `private/bounce`, `private/defer` and `private/trace` are one program and one protocol; a request names
//! its log. `Append` is answered when the records are in the log file (for the bounce log: on stable storage); a
//! message of many recipients needs several. `Notify` is answered when the notification is queued and the log removed,
//! or when no notification was due.

use dsn::{Action, Return, Status};
use queue::{Encoding, QueueId, QueueName, Recipient, SendOptions};
use serde::{Deserialize, Serialize};

use crate::bounds::{Chunk, Weigh};
use crate::channel::Service;

/// The services `private/bounce`, `private/defer`, `private/trace`.
pub struct Bounce;

impl Service for Bounce {
    const NAME: &'static str = "bounce";
    const VERSION: u16 = 2;
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
        #[serde(with = "crate::word")]
        queue_id: QueueId,
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

/// A message in the queue, as those who deliver it or report about it need to know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    /// Queue that holds the file, normally the active one.
    #[serde(with = "crate::word")]
    pub queue_name: QueueName,
    /// Its name.
    #[serde(with = "crate::word")]
    pub queue_id: QueueId,
    /// What is known of its bytes.
    #[serde(with = "crate::word")]
    pub encoding: Encoding,
    /// What the size record asks of the next host.
    #[serde(with = "crate::bits")]
    pub send_options: SendOptions,
    /// Envelope sender, internal form.
    #[serde(with = "crate::bounds::bytes")]
    pub sender: Vec<u8>,
    /// ENVID as xtext, or empty.
    #[serde(with = "crate::bounds::text")]
    pub envelope_id: String,
    /// How much of the message the sender wants back.
    #[serde(with = "crate::word")]
    pub returned: Return,
}

impl Message {
    /// A message in the active queue of which nothing more is known.
    pub fn new(queue_id: QueueId) -> Self {
        Message {
            queue_name: QueueName::Active,
            queue_id,
            encoding: Encoding::Unstated,
            send_options: SendOptions::default(),
            sender: Vec::new(),
            envelope_id: String::new(),
            returned: Return::Unset,
        }
    }
}

/// One recipient in a log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Who.
    #[serde(with = "crate::recipient::Fields")]
    pub recipient: Recipient,
    /// Enhanced status code.
    #[serde(with = "crate::word")]
    pub status: Status,
    /// What became of the recipient.
    #[serde(with = "crate::word")]
    pub action: Action,
    /// What another system said.
    pub diagnostic: Option<Diagnostic>,
    /// Remote MTA, or empty.
    #[serde(with = "crate::bounds::text")]
    pub remote_mta: String,
    /// What happened, for people.
    #[serde(with = "crate::bounds::text")]
    pub reason: String,
}

impl Weigh for Record {
    fn weight(&self) -> usize {
        let diagnostic = self.diagnostic.as_ref().map_or(0, Weigh::weight);
        self.recipient.weight() + diagnostic + self.remote_mta.len() + self.reason.len()
    }
}

/// What the program that refused a recipient said (RFC 3464 2.3.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Its type: `smtp`, `x-unix`.
    #[serde(with = "crate::bounds::text")]
    pub kind: String,
    /// What it said: `550 5.1.1 no such user`.
    #[serde(with = "crate::bounds::text")]
    pub text: String,
}

impl Weigh for Diagnostic {
    fn weight(&self) -> usize {
        self.kind.len() + self.text.len()
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
