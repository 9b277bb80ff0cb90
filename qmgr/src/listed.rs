//! What a list will have of a message that is being deferred, as far as this attempt tells it.
//!
//! It is what showq would read from the queue file and the defer log, or nothing: where an alias made other addresses
//! of a recipient, where one failed, or where a text would not come back from the log as it went in, showq shall read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use ipc::bounce::Record;
use ipc::qmgr::Deferred;
use queue::{FORCE_EXPIRE, QueueName, Stamp};
use wire::showq::{Header, Style, Writer};

use crate::active::Active;

/// Recipients of a message that are remembered.
/// told: nobody; showq reads the file.
const MOST: usize = 50;

/// The recipients that wait, in the order of the log.
#[derive(Default)]
pub struct Listed {
    recipients: Vec<Waiting>,
    is_unknown: bool,
}

/// External form, but for the reason.
struct Waiting {
    address: Vec<u8>,
    original: Vec<u8>,
    reason: String,
}

impl Listed {
    /// These recipients are in the defer log.
    pub fn add(&mut self, records: &[Record]) {
        for Record { recipient, reason, .. } in records {
            let is_plain = |text: &[u8]| !text.iter().any(u8::is_ascii_control);
            let comes_back = !recipient.address.is_empty()
                && !reason.is_empty()
                && is_plain(&recipient.address)
                && is_plain(&recipient.original)
                && is_plain(reason.as_bytes());
            if self.recipients.len() == MOST || !comes_back {
                return self.give_up();
            }
            let address = address::quote(&recipient.address);
            let mut original = address::quote(&recipient.original);
            if recipient.original.is_empty() || original.eq_ignore_ascii_case(&address) {
                original.clear();
            }
            self.recipients.push(Waiting { address, original, reason: reason.clone() });
        }
    }

    /// It is not known any more.
    pub fn give_up(&mut self) {
        *self = Self { recipients: Vec::new(), is_unknown: true };
    }

    /// What a list has of the message, whose file and defer log are these.
    pub fn of(message: &Active, style: &Style, file: &Metadata, log: &Metadata) -> Option<Deferred> {
        let Self { recipients, is_unknown } = &message.listed;
        if *is_unknown || recipients.is_empty() || message.logged.incomplete {
            return None;
        }
        let size = message.envelope.size.map_or(file.size(), |size| size.data_size);
        let mut out = Writer::part();
        out.message(&Header {
            queue_name: QueueName::Deferred.as_str().into(),
            queue_id: message.id.as_bytes().to_vec(),
            time: message.envelope.arrival.0,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            forced_expire: file.mode() & FORCE_EXPIRE != 0,
            sender: style.shown(&address::quote(&message.envelope.sender)),
        });
        for Waiting { address, original, reason } in recipients {
            let original = text::printable(original).into_bytes();
            let reason = text::printable(reason.as_bytes()).into_bytes();
            out.recipient(&style.recipient(original, style.shown(address), QueueName::Defer.as_str(), reason));
        }
        out.end_message();
        let (file, log) = (Stamp::of(file), Stamp::of(log));
        Some(Deferred { queue_id: message.id.clone(), file, log, text: out.take() })
    }
}
