//! One message of the list: what its file says, and what its logs say of its recipients.
//!
//! It is written piece by piece, so that a message of many recipients needs no more memory than others.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, Read, Take};
use std::os::unix::fs::MetadataExt;

use queue::delivery_log::{Entry, LogReader};
use queue::scan::Found;
use queue::{Envelope, EnvelopeError, FORCE_EXPIRE, Limits, QueueId, QueueName, Spool, Stamp, untouched};
use wire::showq::{Header, Style, Writer};

use crate::identity::Identity;
use crate::logs::Logs;
use crate::source::{CHUNK, Source};

/// Owner bits of a complete file.
const COMPLETE: u32 = 0o700;

/// Why a message is not in the list.
#[derive(Debug)]
pub(crate) enum ListError {
    /// The file cannot be read or understood.
    File(String),
    /// The file, or a log of it, cannot be opened.
    System(io::Error),
}

impl From<EnvelopeError> for ListError {
    fn from(error: EnvelopeError) -> Self {
        Self::File(error.to_string())
    }
}

/// A message on its way into the list.
pub(crate) struct Message {
    id: QueueId,
    /// What was opened of it until now; complete when it is written.
    pub(crate) identity: Identity,
    file: File,
    envelope: Envelope,
    /// Nothing once it is written.
    header: Option<Header>,
    /// Logs that are opened next: the rest of [`Logs::ORDER`].
    next_log: usize,
    log: Option<(QueueName, LogReader<Take<File>>)>,
    /// Recipients of the envelope that are listed.
    next_recipient: usize,
    listed: Listed,
}

impl Message {
    /// Opens a message; one that is gone or incomplete is none.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub(crate) fn open(queue: QueueName, found: &Found, source: &Source) -> Result<Option<Self>, ListError> {
        let Some((file, metadata)) = open(found).map_err(ListError::System)? else {
            return Ok(None);
        };
        let limits = Limits::default();
        let envelope = match queue {
            QueueName::Maildrop => Envelope::read_submitted(&file, &limits),
            _ => Envelope::read_outline(&file, &limits),
        };
        // The message has ended meanwhile, or waits in a queue that is listed later: the file may be another's.
        if !file.metadata().is_ok_and(|now| (now.mode(), now.mtime()) == (metadata.mode(), metadata.mtime())) {
            return Ok(None);
        }
        let envelope = envelope?;
        Ok(Some(Self {
            id: found.id.clone(),
            identity: Identity::of(Stamp::of(&metadata)),
            header: Some(header(queue, found, &metadata, &envelope, &source.style)),
            file,
            envelope,
            next_log: 0,
            log: None,
            next_recipient: 0,
            listed: Listed { seen: HashSet::new(), limit: source.remembered },
        }))
    }

    /// Writes on; false when there is more, and a chunk of it waits to be sent.
    ///
    /// # Errors
    /// The rest cannot be read or understood.
    pub(crate) fn write(&mut self, source: &Source, logs: &Logs, out: &mut Writer) -> Result<bool, ListError> {
        let start = out.pending().len();
        if let Some(header) = self.header.take() {
            out.message(&header);
        }
        while self.write_one(source, logs, out)? {
            if out.pending().len() - start >= CHUNK {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes a recipient; false when there is none.
    fn write_one(&mut self, source: &Source, logs: &Logs, out: &mut Writer) -> Result<bool, ListError> {
        if let Some((log, Entry { recipient, original, reason, .. })) = self.next_entry(&source.spool, logs)? {
            let address = source.style.shown(&recipient);
            self.listed.insert(&address);
            let original = text::printable(&original).into_bytes();
            let reason = text::printable(&reason).into_bytes();
            out.recipient(&source.style.recipient(original, address, log.as_str(), reason));
            return Ok(true);
        }
        loop {
            while let Some(recipient) = self.envelope.recipients.get(self.next_recipient) {
                self.next_recipient += 1;
                let address = source.style.shown(&address::quote(&recipient.address));
                if !self.listed.contains(&address) {
                    let original = if recipient.original.is_empty() { &recipient.address } else { &recipient.original };
                    let original = source.style.shown(&address::quote(original));
                    out.recipient(&source.style.recipient(original, address, "", Vec::new()));
                    return Ok(true);
                }
            }
            if self.envelope.resume.is_none() {
                return Ok(false);
            }
            self.envelope.read_more(&self.file, &Limits::default())?;
            self.next_recipient = 0;
        }
    }

    /// The next entry of the logs, which are opened one after the other.
    fn next_entry(&mut self, spool: &Spool, logs: &Logs) -> Result<Option<(QueueName, Entry)>, ListError> {
        loop {
            if let Some((log, reader)) = &mut self.log {
                let log = *log;
                let failed =
                    |error: io::Error| ListError::File(format!("{log}: {error}", error = text::system_error(&error)));
                if let Some(entry) = reader.next_entry().map_err(failed)? {
                    return Ok(Some((log, entry)));
                }
                self.log = None;
            }
            let Some(log) = Logs::ORDER.get(self.next_log).copied() else { return Ok(None) };
            if logs.may_have(log, &self.id)
                && let Some((file, metadata)) = open_log(spool, log, &self.id).map_err(ListError::System)?
            {
                self.identity.logs[self.next_log] = Some(Stamp::of(&metadata));
                // What is appended from now on is another state of the log.
                // told: nobody; the next list has it.
                self.log = Some((log, LogReader::new(file.take(metadata.size()), log)));
            }
            self.next_log += 1;
        }
    }
}

fn header(queue: QueueName, found: &Found, metadata: &Metadata, envelope: &Envelope, style: &Style) -> Header {
    let size = envelope.size.map_or(metadata.size(), |size| size.data_size);
    Header {
        queue_name: queue.as_str().into(),
        queue_id: found.id.as_bytes().to_vec(),
        time: envelope.arrival.0,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        forced_expire: metadata.mode() & FORCE_EXPIRE != 0,
        sender: style.shown(&address::quote(&envelope.sender)),
    }
}

/// The open file of a complete message.
fn open(found: &Found) -> io::Result<Option<(File, Metadata)>> {
    let file = match untouched::open(&found.path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Incomplete files of other users in maildrop cannot be opened.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let complete = metadata.is_file() && metadata.mode() & COMPLETE == COMPLETE;
    Ok(complete.then_some((file, metadata)))
}

fn open_log(spool: &Spool, log: QueueName, id: &QueueId) -> io::Result<Option<(File, Metadata)>> {
    match untouched::open(&spool.path(log, id)) {
        Ok(file) => file.metadata().map(|metadata| Some((file, metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Recipients that were listed with a reason.
struct Listed {
    seen: HashSet<Vec<u8>>,
    limit: usize,
}

impl Listed {
    fn insert(&mut self, address: &[u8]) {
        if self.seen.len() < self.limit {
            self.seen.insert(address.to_ascii_lowercase());
        }
    }

    fn contains(&self, address: &[u8]) -> bool {
        self.seen.contains(&address.to_ascii_lowercase())
    }
}
