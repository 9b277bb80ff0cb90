//! The logs: what a client reports becomes a paragraph, a paragraph becomes a recipient of a report.

use std::fs::File;
use std::io;

use dsn::report::Recipient;
use dsn::{Action, Status};
use ipc::bounce::{Log, Record};
use queue::delivery_log::{self, Entry, LogReader};
use queue::{QueueId, QueueName, Spool};

/// The queue directory of a log.
pub fn queue_of(log: Log) -> QueueName {
    match log {
        Log::Bounce => QueueName::Bounce,
        Log::Defer => QueueName::Defer,
        Log::Trace => QueueName::Trace,
    }
}

/// A client's record as a paragraph of the log.
pub fn entry(record: &Record) -> Entry {
    let recipient = &record.recipient;
    let diagnostic = record.diagnostic.clone();
    let mta_type = if record.remote_mta.is_empty() { "" } else { "dns" };
    Entry {
        recipient: address::quote(&recipient.address),
        original: address::quote(&recipient.original),
        offset: recipient.offset,
        dsn: recipient.dsn.clone(),
        notify: recipient.notify,
        status: record.status.to_string().into_bytes(),
        action: record.action.name().as_bytes().to_vec(),
        diagnostic: diagnostic.map(|said| (said.kind.into_bytes(), said.text.into_bytes())).unwrap_or_default(),
        remote_mta: (mta_type.into(), record.remote_mta.clone().into_bytes()),
        reason: record.reason.clone().into_bytes(),
    }
}

/// The log of a message, which a notification is made from. It is read as often as it is needed, for it may be larger
/// than memory.
pub struct Entries<'a> {
    pub spool: &'a Spool,
    pub log: Log,
    pub id: &'a QueueId,
    /// This one alone.
    pub only: Option<&'a Entry>,
}

/// One pass through the log, if there is one.
pub enum Pass<'a> {
    /// From its first entry to its last.
    All(Option<LogReader<File>>),
    /// One entry.
    Only(Option<&'a Entry>),
}

impl<'a> Entries<'a> {
    /// From the first entry on.
    ///
    /// # Errors
    /// The log cannot be opened.
    pub fn pass(&self) -> io::Result<Pass<'a>> {
        match self.only {
            None => delivery_log::open(self.spool, queue_of(self.log), self.id).map(Pass::All),
            only => Ok(Pass::Only(only)),
        }
    }
}

impl Pass<'_> {
    /// The next entry; nothing at the end.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        match self {
            Pass::All(reader) => reader.as_mut().map_or(Ok(None), LogReader::next_entry),
            Pass::Only(entry) => Ok(entry.take().cloned()),
        }
    }
}

/// A paragraph as a recipient of a report; `default` serves where its status or action cannot be read.
pub fn recipient(entry: &Entry, default: (Status, Action)) -> Recipient {
    let pair = |(kind, value): &(Vec<u8>, Vec<u8>)| {
        (!kind.is_empty() && !value.is_empty()).then(|| (kind.clone(), value.clone()))
    };
    Recipient {
        address: entry.recipient.clone(),
        original: Some(&entry.original).filter(|original| !original.is_empty()).cloned(),
        dsn: entry.dsn.clone(),
        status: Status::parse(&entry.status).unwrap_or(default.0),
        action: Action::parse(&entry.action).unwrap_or(default.1),
        reason: entry.reason.clone(),
        diagnostic: pair(&entry.diagnostic),
        remote_mta: pair(&entry.remote_mta),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipc::bounce::Diagnostic;

    #[test]
    fn a_record_comes_back_from_its_paragraph() {
        let record = Record {
            recipient: queue::Recipient {
                address: b"two words@b.test".to_vec(),
                original: b"x@b.test".to_vec(),
                offset: 700,
                dsn: dsn::OriginalRecipient::of(b"x@b.test"),
                notify: dsn::Notify::FAILURE,
            },
            status: Status::new(5, 1, 1),
            action: Action::Failed,
            diagnostic: Some(Diagnostic { kind: "smtp".into(), text: "550 no".into() }),
            remote_mta: "mx.b.test".into(),
            reason: "host said no".into(),
        };
        let text = entry(&record).encode(true);
        let read = delivery_log::LogReader::new(&text[..], QueueName::Bounce).next_entry().unwrap().unwrap();
        let recipient = recipient(&read, (Status::new(4, 0, 0), Action::Delayed));
        assert_eq!(recipient.address, b"\"two words\"@b.test");
        assert_eq!(recipient.original.as_deref(), Some(&b"x@b.test"[..]));
        assert_eq!((recipient.status, recipient.action), (Status::new(5, 1, 1), Action::Failed));
        assert_eq!(recipient.remote_mta, Some((b"dns".to_vec(), b"mx.b.test".to_vec())));
        assert!(read.notify.wants_failure() && !read.notify.wants_delay());
    }
}
