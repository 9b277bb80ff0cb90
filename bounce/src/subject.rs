//! The message that a notification is about, as far as the queue file tells.

use std::fs::File;

use ipc::bounce::Message;
use queue::envelope::Limits;
use queue::{Content, Envelope, Spool};

/// An open queue file, or what can be said without one: a notification is sent even when the message is gone.
pub struct Subject {
    /// When it arrived, in seconds since 1970; now, where that is not known.
    pub arrival: i64,
    /// Its content in bytes.
    pub size: u64,
    /// `sendmail -bv` or `-v` asked for a report.
    pub report_requested: bool,
    content: Option<(File, u64)>,
}

impl Subject {
    /// Opens the message; a missing or unreadable file is a warning and leaves an empty message.
    pub fn open(spool: &Spool, message: &Message, now: i64) -> Self {
        let missing = Subject { arrival: now, size: 0, report_requested: false, content: None };
        let path = spool.path(message.queue_name, &message.queue_id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => {
                logging::warning!("open {}: {error}", path.display(), error = text::system_error(&error));
                return missing;
            }
        };
        match Envelope::read(&file, &Limits { recipients: 1, ..Limits::default() }) {
            Ok(envelope) => Subject {
                arrival: envelope.arrival.0,
                size: envelope.size.as_ref().map_or(0, |size| size.content_length),
                report_requested: envelope.trace_flags.is_some(),
                content: Some((file, envelope.data_offset)),
            },
            Err(error) => {
                logging::warning!("{}: {error}", path.display());
                missing
            }
        }
    }

    /// The content from its start; `None` where there is no message.
    pub fn content(&self) -> Option<Content<&File>> {
        self.content.as_ref().map(|(file, offset)| Content::new(file, *offset))
    }
}
