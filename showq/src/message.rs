//! One message of the list: what its file says, and what its logs say of its recipients.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

use queue::delivery_log::{self, Entry};
use queue::scan::Found;
use queue::{Envelope, EnvelopeError, FORCE_EXPIRE, Limits, QueueName};
use tokio::io::AsyncWrite;
use wire::showq::{Header, Recipient};

use crate::listing::Output;
use crate::service::Showq;

/// Owner bits of a complete file.
const COMPLETE: u32 = 0o700;

/// Why a message is not in the list.
#[derive(Debug)]
pub(crate) enum ListError {
    /// The client does not listen any more.
    Client(io::Error),
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

impl Showq {
    /// Lists one message; one that is gone or incomplete is none.
    pub(crate) async fn message<C>(
        &self,
        queue: QueueName,
        found: &Found,
        out: &mut Output<'_, C>,
    ) -> Result<(), ListError>
    where
        C: AsyncWrite + Unpin,
    {
        let Some((file, metadata)) = open(found).map_err(ListError::System)? else {
            return Ok(());
        };
        let limits = Limits::default();
        let envelope = match queue {
            QueueName::Maildrop => Envelope::read_submitted(&file, &limits),
            _ => Envelope::read(&file, &limits),
        };
        // The message has ended meanwhile, or waits in a queue that is listed later: the file may be another's.
        if !file.metadata().is_ok_and(|now| (now.mode(), now.mtime()) == (metadata.mode(), metadata.mtime())) {
            return Ok(());
        }
        let mut envelope = envelope?;
        out.writer.message(&self.header(queue, found, &metadata, &envelope));
        let mut listed = Listed { seen: HashSet::new(), limit: self.remembered };
        for log in [QueueName::Defer, QueueName::Bounce] {
            self.logged(log, found, &mut listed, out).await?;
        }
        loop {
            for recipient in &envelope.recipients {
                let address = self.shown(&address::quote(&recipient.address));
                if !listed.contains(&address) {
                    let original = if recipient.original.is_empty() { &recipient.address } else { &recipient.original };
                    let original = self.shown(&address::quote(original));
                    out.writer.recipient(&self.recipient(original, address, "", Vec::new()));
                    out.flow().await.map_err(ListError::Client)?;
                }
            }
            if envelope.resume.is_none() {
                return Ok(());
            }
            envelope.read_more(&file, &limits)?;
        }
    }

    fn header(&self, queue: QueueName, found: &Found, metadata: &Metadata, envelope: &Envelope) -> Header {
        let size = envelope.size.map_or(metadata.size(), |size| size.data_size);
        Header {
            queue_name: queue.as_str().into(),
            queue_id: found.id.as_bytes().to_vec(),
            time: envelope.arrival.0,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            forced_expire: metadata.mode() & FORCE_EXPIRE != 0,
            sender: self.shown(&address::quote(&envelope.sender)),
        }
    }

    /// The recipients of one log, with the reasons.
    async fn logged<C>(
        &self,
        log: QueueName,
        found: &Found,
        listed: &mut Listed,
        out: &mut Output<'_, C>,
    ) -> Result<(), ListError>
    where
        C: AsyncWrite + Unpin,
    {
        let failed = |error: io::Error| ListError::File(format!("{log}: {error}", error = text::system_error(&error)));
        let Some(mut reader) = delivery_log::open(&self.spool, log, &found.id).map_err(ListError::System)? else {
            return Ok(());
        };
        while let Some(Entry { recipient, original, reason, .. }) = reader.next_entry().map_err(failed)? {
            let address = self.shown(&recipient);
            listed.insert(&address);
            let original = text::printable(&original).into_bytes();
            let reason = text::printable(&reason).into_bytes();
            out.writer.recipient(&self.recipient(original, address, log.as_str(), reason));
            out.flow().await.map_err(ListError::Client)?;
        }
        Ok(())
    }

    fn recipient(&self, original: Vec<u8>, address: Vec<u8>, log: &str, reason: Vec<u8>) -> Recipient {
        let modern = self.modern.then(|| (original, log.as_bytes().to_vec()));
        Recipient { modern, address, reason }
    }

    /// An address as people read it.
    fn shown(&self, external: &[u8]) -> Vec<u8> {
        if external.is_empty() { self.null_address.clone() } else { text::printable(external).into_bytes() }
    }
}

/// The open file of a complete message.
fn open(found: &Found) -> io::Result<Option<(File, Metadata)>> {
    let file = match File::open(&found.path) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use config::Config;
    use queue::{Hashing, QueueId, Spool};
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use wire::showq::Reader;

    /// A queue with files that a real system wrote.
    struct Queue(PathBuf, Showq);

    impl Queue {
        fn new(name: &str, level: &str) -> Self {
            let root = std::env::temp_dir().join(format!("showq-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&root);
            let spool = Spool::new(&root, Hashing::default());
            let text = format!("compatibility_level = {level}\n");
            let config = Config::parse(text.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
            Self(root, Showq::new(&config, spool).unwrap())
        }

        fn put(&self, queue: QueueName, id: &str, fixture: &str, mode: u32) {
            let id = QueueId::parse(id.as_bytes()).unwrap();
            let path = self.1.spool.path(queue, &id);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/queue/tests/fixtures");
            std::fs::copy(fixtures.join(fixture), &path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }

        fn list(&self) -> Vec<(Header, Vec<Recipient>)> {
            let mut out = Vec::new();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(self.1.list(&mut out)).unwrap();
            let mut reader = Reader::new(out.as_slice()).unwrap();
            let mut found = Vec::new();
            while let Some(header) = reader.next_message().unwrap() {
                let mut recipients = Vec::new();
                while let Some(recipient) = reader.next_recipient().unwrap() {
                    recipients.push(recipient);
                }
                found.push((header, recipients));
            }
            found
        }
    }

    impl Drop for Queue {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_deferred_message_is_listed_with_the_reason_of_its_log() {
        let queue = Queue::new("deferred", "3.11");
        queue.put(QueueName::Deferred, "5768855217D", "deferred-5768855217D", 0o710);
        queue.put(QueueName::Defer, "5768855217D", "defer-log-5768855217D", 0o600);
        let list = queue.list();
        let [(header, recipients)] = list.as_slice() else { panic!("{list:?}") };
        assert_eq!((header.size, header.time, header.forced_expire), (338, 1_795_348_674, true));
        assert_eq!(header.sender, b"alice@example.test");
        let [recipient] = recipients.as_slice() else { panic!("{recipients:?}") };
        assert_eq!(recipient.modern, Some((b"".to_vec(), b"defer".to_vec())));
        assert_eq!(recipient.address, b"later@defer.test");
        assert_eq!(recipient.reason, b"connect to 127.0.0.1[127.0.0.1]:1: Connection refused");
    }

    #[test]
    fn without_a_log_a_recipient_has_no_reason() {
        let queue = Queue::new("hold", "3.6");
        queue.put(QueueName::Hold, "936CE55217E", "deferred-936CE55217E", 0o700);
        let list = queue.list();
        assert_eq!(list[0].0.sender, b"MAILER-DAEMON");
        let expected = Recipient { modern: None, address: b"later@defer.test".to_vec(), reason: Vec::new() };
        assert_eq!(list[0].1, [expected]);
    }

    #[test]
    fn submissions_are_listed_and_what_is_incomplete_or_damaged_is_not() {
        let queue = Queue::new("maildrop", "3.11");
        queue.put(QueueName::Maildrop, "A63DC552175", "maildrop-A63DC552175", 0o744);
        queue.put(QueueName::Maildrop, "889B9552174", "maildrop-889B9552174", 0o644);
        queue.put(QueueName::Incoming, "ABCDEF", "deferred-936CE55217E.postcat", 0o700);
        queue.put(QueueName::Active, "4jXSJ76dbkzp2ys", "deferred-4jXSJ76dbkzp2ys", 0o700);
        let list = queue.list();
        let names: Vec<_> = list.iter().map(|(header, _)| header.queue_name.as_slice()).collect();
        assert_eq!(names, [b"maildrop".as_slice(), b"active"]);
        assert_eq!(list[0].0.size, 5175);
        assert_eq!(list[0].1.len(), 2);
        assert_eq!(list[1].1[0].modern, Some((b"x@defer.test".to_vec(), b"".to_vec())));
    }
}
