//! One file of maildrop: from its first look to its removal.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::SystemTime;

use ipc::IpcError;
use ipc::cleanup::Outcome::Refused;
use ipc::cleanup::{Cause, Flags, Message};
use logging::records::pickup::Submitted;
use logging::warning;
use message::header::is_continuation;
use nix::fcntl::OFlag;
use queue::record::{self, Record};
use queue::{EnvelopeError, QueueId, QueueName, Reader, Type};

use crate::service::Pickup;

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is gone, or it is none of our business.
    Done,
    /// cleanup does not take this one now; others may be taken.
    Refused,
    /// cleanup takes nothing now.
    Unreachable,
}

/// Owner bits of a complete file.
const OWNER_BITS: u32 = 0o700;
/// Others may read a file that postdrop wrote, and not one that postsuper moved here.
const OTHERS_READ: u32 = 0o004;
/// Age from which a file is worth a warning.
const DAY: i64 = 86_400;

/// Hands one file to cleanup.
pub async fn take(pickup: &Pickup, id: &QueueId) -> Outcome {
    let path = pickup.spool.path(QueueName::Maildrop, id);
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(&path);
    let opened = opened.and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    let (file, metadata) = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Outcome::Done,
        Err(error) => {
            warning!(about: id, "open input file {}: {error}", path.display(), error = text::system_error(&error));
            return Outcome::Done;
        }
    };
    if !metadata.is_file() || metadata.mode() & OWNER_BITS != OWNER_BITS {
        return Outcome::Done;
    }
    if metadata.nlink() > 1 {
        warning!(about: id, "{}: uid {}: file has {} links", path.display(), metadata.uid(), metadata.nlink());
    }
    match Submission::new(pickup, id, file, &metadata).send().await {
        Ok(()) => remove(pickup, id),
        Err(Failure::Later) => Outcome::Refused,
        Err(Failure::Refused(why)) => {
            warning!(about: id, "{}: {why}", path.display());
            Outcome::Refused
        }
        Err(Failure::Unreachable(error)) => {
            warning!(about: id, "{}: cleanup service: {error}", path.display());
            Outcome::Unreachable
        }
        Err(Failure::Corrupt(why)) => {
            warning!(about: id, "{}: {why}", path.display());
            warning!(about: id, "saving corrupt file \"{id}\" from queue \"maildrop\" to queue \"corrupt\"");
            if let Err(error) = pickup.spool.set_aside(id, QueueName::Maildrop) {
                let error = text::system_error(&error);
                warning!(about: id, "rename {} to corrupt: {error}", path.display());
            }
            Outcome::Done
        }
    }
}

fn remove(pickup: &Pickup, id: &QueueId) -> Outcome {
    match pickup.spool.remove(id, QueueName::Maildrop) {
        Ok(()) => Outcome::Done,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Outcome::Done,
        Err(error) => {
            // It would be delivered again at once, and again.
            warning!(about: id, "remove maildrop/{id}: {error}", error = text::system_error(&error));
            if let Err(error) = pickup.spool.set_aside(id, QueueName::Maildrop) {
                warning!(about: id, "rename maildrop/{id} to corrupt: {error}", error = text::system_error(&error));
            }
            Outcome::Done
        }
    }
}

enum Failure {
    /// cleanup does not want it now.
    Later,
    /// cleanup cannot take it now.
    Refused(String),
    /// cleanup does not answer.
    Unreachable(IpcError),
    /// The file is no message.
    Corrupt(String),
}

impl From<IpcError> for Failure {
    fn from(error: IpcError) -> Self {
        Self::Unreachable(error)
    }
}

impl From<EnvelopeError> for Failure {
    fn from(error: EnvelopeError) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// Where in the file the reader stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Envelope,
    Content,
    Extracted,
}

struct Submission<'a> {
    pickup: &'a Pickup,
    id: &'a QueueId,
    reader: Reader<File>,
    uid: u32,
    /// A queue file that was put back here, with all that the mail system wrote into it.
    requeued: bool,
    arrival: i64,
    part: Part,
    /// The next record is the first of the content.
    begins_content: bool,
    sender: Option<Vec<u8>>,
}

impl<'a> Submission<'a> {
    fn new(pickup: &'a Pickup, id: &'a QueueId, file: File, metadata: &Metadata) -> Self {
        let uid = metadata.uid();
        let requeued = uid == pickup.owner && metadata.mode() & OTHERS_READ == 0;
        let (arrival, part) = (metadata.mtime(), Part::Envelope);
        Self {
            pickup,
            id,
            reader: Reader::new(file),
            uid,
            requeued,
            arrival,
            part,
            begins_content: false,
            sender: None,
        }
    }

    async fn send(mut self) -> Result<(), Failure> {
        let without = if self.requeued { Flags::MILTER } else { Flags::default() };
        let mut message = Message::open(&self.pickup.cleanup, self.pickup.flags.without(without)).await?;
        match self.copy(&mut message).await {
            Ok(()) => {}
            Err(failure) => {
                message.abort(&self.pickup.cleanup).await;
                return Err(failure);
            }
        }
        let queue_id = message.queue_id().clone();
        self.log(&queue_id);
        let Refused { cause, .. } = message.finish(&self.pickup.cleanup).await? else { return Ok(()) };
        let reason = format!("error writing {queue_id}: {}", cause.sentence());
        Err(match cause {
            // What cleanup cannot read now it will not be able to read later.
            Cause::Protocol => Failure::Corrupt(reason),
            // cleanup has said what it does not want.
            Cause::Defer | Cause::Content | Cause::Hops | Cause::Size => Failure::Later,
            Cause::NoRecipients | Cause::NoPermission | Cause::Write | Cause::BareLf => Failure::Refused(reason),
        })
    }

    /// Sends every record that belongs to the message.
    async fn copy(&mut self, message: &mut Message) -> Result<(), Failure> {
        loop {
            let record = self.reader.next_record().map_err(EnvelopeError::from)?;
            let Some(Record { kind, offset, data, .. }) = record else {
                return Err(EnvelopeError::Incomplete.into());
            };
            if !is_expected(self.part, kind, self.requeued) {
                return Err(EnvelopeError::Unexpected { kind, offset }.into());
            }
            match kind {
                Type::TIME => self.arrival = leading_number(data).unwrap_or(self.arrival),
                Type::SENDER if self.sender.is_some() => return Err(EnvelopeError::Unexpected { kind, offset }.into()),
                Type::SENDER => self.sender = Some(data.to_vec()),
                _ => {}
            }
            if std::mem::take(&mut self.begins_content) && is_continuation(data) {
                // It goes on with nothing of its author's, and must not go on with the trace header.
                record::encode(message.records(), Type::LINE, b"");
            }
            if !is_rewritten(self.part, kind) {
                record::encode(message.records(), kind, data);
            }
            match kind {
                Type::TIME => self.push_filter(message.records()),
                Type::MESSAGE => self.push_received(message)?,
                Type::EXTRACTED => self.part = Part::Extracted,
                Type::END => return Ok(()),
                _ => {}
            }
            message.flow().await?;
        }
    }

    /// content_filter
    fn push_filter(&self, records: &mut Vec<u8>) {
        if !self.pickup.content_filter.is_empty() {
            record::encode(records, Type::FILTER, self.pickup.content_filter.as_bytes());
        }
    }

    /// The content begins with the trace of this hop.
    fn push_received(&mut self, message: &mut Message) -> Result<(), Failure> {
        if self.sender.is_none() {
            return Err(EnvelopeError::NoSender.into());
        }
        self.part = Part::Content;
        self.begins_content = true;
        let date = message::date::rfc5322(self.arrival);
        let by = message::received::Writer { hostname: &self.pickup.hostname, mail_name: &self.pickup.mail_name };
        let lines = message::received::from_user(by, self.uid, message.queue_id().as_str(), &date);
        for line in lines {
            record::encode(message.records(), Type::LINE, line.as_bytes());
        }
        Ok(())
    }

    fn log(&self, queue_id: &QueueId) {
        logging::emit(&Submitted {
            queue_id: queue_id.as_str(),
            uid: self.uid,
            from: text::printable(self.sender.as_deref().unwrap_or_default()),
            original_id: self.requeued.then(|| self.id.as_str()),
        });
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let days = (i64::try_from(now).unwrap_or(i64::MAX) - self.arrival) / DAY;
        if days > 0 && !self.requeued {
            warning!(id: queue_id, "message maildrop/{} has been queued for {days} days", self.id);
        }
    }
}

/// Does a record of this type stand in this part of a file?
fn is_expected(part: Part, kind: Type, requeued: bool) -> bool {
    let known: &[u8] = match (part, requeued) {
        (Part::Envelope, false) => b"CTMFSRVAin",
        (Part::Envelope, true) => b"CTcMFSRDO/WVAKiLI>on<",
        (Part::Content, _) => b"XLN",
        (Part::Extracted, false) => b"EAR",
        (Part::Extracted, true) => b"EARDO/KLI>onreP",
    };
    known.contains(&kind.0)
}

/// Records that the message gets anew.
fn is_rewritten(part: Part, kind: Type) -> bool {
    match kind {
        Type::CREATED | Type::WARNING | Type::KILLED => true,
        // The filter of today's content_filter, not that of the day of arrival.
        Type::FILTER | Type::INSPECTOR => part != Part::Content,
        _ => false,
    }
}

fn leading_number(data: &[u8]) -> Option<i64> {
    data.split(|b| *b == b' ').find(|word| !word.is_empty()).and_then(record::parse_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_cannot_bring_records_of_the_mail_system() {
        for kind in *b"cDO/WKLI>op" {
            assert!(!is_expected(Part::Envelope, Type(kind), false), "{}", char::from(kind));
        }
        for kind in *b"DO/L>KpS" {
            assert!(!is_expected(Part::Extracted, Type(kind), false), "{}", char::from(kind));
        }
        for kind in *b"CTMFSRVA" {
            assert!(is_expected(Part::Envelope, Type(kind), false));
        }
    }

    #[test]
    fn a_queue_file_that_was_put_back_is_taken_as_it_is_but_for_what_is_made_anew() {
        for kind in *b"CTASWOADRDMK" {
            assert!(is_expected(Part::Envelope, Type(kind), true), "{}", char::from(kind));
        }
        assert!(is_rewritten(Part::Envelope, Type::CREATED) && is_rewritten(Part::Envelope, Type::FILTER));
        assert!(!is_rewritten(Part::Content, Type::PARTIAL));
    }

    #[test]
    fn the_arrival_time_is_the_first_number() {
        assert_eq!(leading_number(b"1795345978 892203"), Some(1_795_345_978));
        assert_eq!(leading_number(b"x"), None);
    }
}
