//! Mail that the mail system makes itself: notifications, and messages that an alias sends on.
//!
//! It enters through cleanup like any mail, and exists when [`Submission::finish`] has given its queue ID, not before.

use std::fmt;

use dsn::Notify;
use ipc::cleanup::{Cause, Cleanup, Flags, Message, Outcome};
use ipc::delivery::Timestamp;
use ipc::{IpcError, Pool};
use queue::content::Text;
use queue::record::{encode, encode_attribute};
use queue::{QueueId, Recipient, Type};

/// Longest piece of a line in one record (line_length_limit's default).
/// told: nobody; the next piece follows.
const MAX_PIECE: usize = 2048;

/// Who sends, who receives, and what else the queue file says before its content.
#[derive(Clone, Debug, Default)]
pub struct Envelope<'a> {
    /// Internal form; empty for the null sender.
    pub sender: &'a [u8],
    /// Offsets are ignored.
    pub recipients: &'a [Recipient],
    /// Named attributes (`encoding`, `envelope_id`, `ret_flags`, `log_client_name` ...); empty values are left out.
    pub attributes: &'a [(&'a str, &'a [u8])],
    /// The header is a stranger's, who completes it himself or not at all (rewrite_context).
    pub is_remote: bool,
    /// The client asked for SMTPUTF8.
    pub smtputf8: bool,
    /// What else cleanup shall do.
    pub flags: Flags,
}

/// A message on its way.
pub struct Submission<'p> {
    message: Message,
    pool: &'p Pool<Cleanup>,
}

/// Why a message was not taken.
#[derive(Debug)]
pub enum SubmitError {
    /// cleanup cannot be talked to.
    Ipc(IpcError),
    /// cleanup does not want the message.
    Refused {
        /// Why.
        cause: Cause,
        /// A text, or empty.
        text: String,
    },
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubmitError::Ipc(error) => write!(f, "cleanup service: {error}"),
            SubmitError::Refused { cause, .. } => f.write_str(cause.sentence()),
        }
    }
}

impl std::error::Error for SubmitError {}

impl From<IpcError> for SubmitError {
    fn from(error: IpcError) -> Self {
        SubmitError::Ipc(error)
    }
}

impl<'p> Submission<'p> {
    /// Opens a message and gives its envelope; content lines follow.
    ///
    /// # Errors
    /// cleanup cannot be reached.
    pub async fn begin(pool: &'p Pool<Cleanup>, envelope: &Envelope<'_>) -> Result<Self, SubmitError> {
        let utf8 = if envelope.smtputf8 { Flags::SMTPUTF8 } else { Flags::default() };
        let mut message = Message::open(pool, Flags::INTERNAL.with(utf8).with(envelope.flags)).await?;
        let now = Timestamp::now();
        let out = message.records();
        encode(out, Type::TIME, format!("{} {}", now.seconds, now.micros).as_bytes());
        encode_attribute(out, "rewrite_context", if envelope.is_remote { b"remote" } else { b"local" });
        for (name, value) in envelope.attributes.iter().filter(|(_, value)| !value.is_empty()) {
            encode_attribute(out, name, value);
        }
        encode(out, Type::SENDER, envelope.sender);
        for recipient in envelope.recipients {
            encode_recipient(message.records(), recipient);
            message.flow().await?;
        }
        encode(message.records(), Type::MESSAGE, b"");
        Ok(Submission { message, pool })
    }

    /// The queue ID that the message has already and keeps.
    pub fn queue_id(&self) -> &str {
        self.message.queue_id().as_str()
    }

    /// One line of content, without its end.
    ///
    /// # Errors
    /// cleanup is gone, and the message with it.
    pub async fn line(&mut self, line: &[u8]) -> Result<(), SubmitError> {
        let out = self.message.records();
        let mut rest = line;
        while rest.len() > MAX_PIECE {
            let (piece, more) = rest.split_at(MAX_PIECE);
            encode(out, Type::PARTIAL, piece);
            rest = more;
        }
        encode(out, Type::LINE, rest);
        Ok(self.message.flow().await?)
    }

    /// A line or a piece of one, as a queue file holds it.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub async fn text(&mut self, text: Text<'_>) -> Result<(), SubmitError> {
        let kind = if text.ends_line { Type::LINE } else { Type::PARTIAL };
        encode(self.message.records(), kind, text.data);
        Ok(self.message.flow().await?)
    }

    /// Ends the message and waits until it is on stable storage; gives its queue ID.
    ///
    /// # Errors
    /// cleanup refuses it or is gone: then nobody has taken responsibility for the message.
    pub async fn finish(mut self) -> Result<QueueId, SubmitError> {
        let out = self.message.records();
        encode(out, Type::EXTRACTED, b"");
        encode(out, Type::END, b"");
        match self.message.finish(self.pool).await? {
            Outcome::Accepted(queue_id) => Ok(queue_id),
            Outcome::Refused { cause, text } => Err(SubmitError::Refused { cause, text }),
        }
    }

    /// Gives the message up.
    pub async fn abort(self) {
        self.message.abort(self.pool).await;
    }
}

fn encode_recipient(out: &mut Vec<u8>, recipient: &Recipient) {
    if recipient.notify != Notify::UNSET {
        encode_attribute(out, "notify_flags", recipient.notify.bits().to_string().as_bytes());
    }
    if !recipient.dsn.is_unset() {
        encode_attribute(out, "dsn_orig_rcpt", recipient.dsn.as_stored());
    }
    if !recipient.original.is_empty() {
        encode(out, Type::ORIGINAL, &recipient.original);
    }
    encode(out, Type::RECIPIENT, &recipient.address);
}
