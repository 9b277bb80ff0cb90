//! One message from the incoming or deferred queue into the active queue and into memory: one rename and one read; a
//! file that cleanup has not handed over is opened and locked first.
//!
//! What cannot be understood is put aside, what someone else still delivers is left alone for a minute, and what is
//! gone is gone: an operator may remove a file at any moment.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::time::{Duration, SystemTime};

use queue::{Envelope, EnvelopeError, FORCE_EXPIRE, Limits, QueueId, QueueName, RecordError, UNTHROTTLE};

use super::{Intake, LOCKED_WAIT, Source};
use crate::active::{Active, open_locked};
use crate::retry::now;

/// Seconds after which a message that is locked is no longer one that cleanup is about to announce.
const HANDOVER: i64 = 5;

impl Intake {
    /// Moves a message to the active queue and reads it. At most so many recipients are read. `None`: not now, or
    /// never. `file`: the message, open and locked, if it was handed over.
    ///
    /// # Errors
    /// It may be in the active queue all the same.
    pub fn load(
        &self,
        id: &QueueId,
        source: Source,
        file: Option<File>,
        recipients: usize,
    ) -> io::Result<Option<Active>> {
        let (spool, queue) = (&self.settings.spool, queue_of(source));
        let mode = match source {
            Source::Announced => 0,
            _ => match self.look(id, source)? {
                Some(mode) => mode,
                None => return Ok(None),
            },
        };
        let file = match file {
            Some(file) => file,
            None => match open_locked(spool, queue, id)? {
                Some(file) => file,
                None => return self.leave_alone(id, source).map(|()| None),
            },
        };
        spool.activate(id, queue)?;
        let limits = Limits { recipients, attributes: self.settings.attribute_limit };
        let envelope = match Envelope::read(&file, &limits) {
            Ok(envelope) => envelope,
            Err(error) => return self.set_aside(id, error),
        };
        let mut message = Active::new(id.clone(), envelope, file);
        // cleanup may have written down what became of aliases.
        let wants_success = message.envelope.size.is_some_and(|size| size.wants_success());
        message.logged.trace = wants_success && spool.path(QueueName::Trace, id).exists();
        message.fresh = source == Source::Announced;
        if message.fresh {
            self.waiting.borrow_mut().tokens += 1;
        } else {
            self.recall(&mut message, mode)?;
        }
        message.flushed = matches!(source, Source::Deferred { flushed: true }) || mode & UNTHROTTLE != 0;
        Ok(Some(message))
    }

    /// A message that someone else has locked is looked at again later. A new one is in the hands of cleanup, which is
    /// about to announce it; an older one is with an agent of a former queue manager.
    fn leave_alone(&self, id: &QueueId, source: Source) -> io::Result<()> {
        let (spool, queue) = (&self.settings.spool, queue_of(source));
        let found = fs::symlink_metadata(spool.path(queue, id))?;
        if !matches!(source, Source::Deferred { .. }) && found.ctime() > now() - HANDOVER {
            self.look_again_in(Duration::from_secs(HANDOVER.unsigned_abs()));
            return Ok(());
        }
        logging::info!(id: id, "skipped, still being delivered");
        spool.set_time(id, queue, SystemTime::now() + LOCKED_WAIT)?;
        match source {
            Source::Deferred { .. } => {
                let due = now() + i64::try_from(LOCKED_WAIT.as_secs()).unwrap_or(0);
                self.waiting.borrow_mut().schedule.insert(id.clone(), due);
            }
            _ => self.look_again_in(LOCKED_WAIT + Duration::from_secs(1)),
        }
        Ok(())
    }

    /// Looks at a file that nobody vouched for: its mode, when it is complete and due.
    fn look(&self, id: &QueueId, source: Source) -> io::Result<Option<u32>> {
        let path = self.settings.spool.path(queue_of(source), id);
        let found = fs::symlink_metadata(&path)?;
        if !found.is_file() || found.mode() & 0o700 != 0o700 {
            if found.file_type().is_socket() || found.is_dir() {
                logging::warning!(about: id, "{}: not a regular file", path.display());
            }
            return Ok(None);
        }
        let ignores_time = matches!(source, Source::Deferred { flushed: true });
        if found.mtime() > now() + 1 && !ignores_time {
            match source {
                Source::Deferred { .. } => self.waiting.borrow_mut().schedule.insert(id.clone(), found.mtime()),
                _ => {
                    self.look_again_in(Duration::from_secs(u64::try_from(found.mtime() - now()).unwrap_or(60).min(300)))
                }
            }
            return Ok(None);
        }
        Ok(Some(found.mode()))
    }

    /// What earlier attempts have left: the defer log goes when an agent gets the message (each attempt has its own),
    /// the bounce log stays until it is reported.
    fn recall(&self, message: &mut Active, mode: u32) -> io::Result<()> {
        let spool = &self.settings.spool;
        message.logged.bounce = spool.path(QueueName::Bounce, &message.id).exists();
        message.logged.trace |= message.envelope.trace_flags.is_some() && !message.is_of_verify();
        message.force_expire = mode & FORCE_EXPIRE != 0;
        let defer_log = fs::metadata(spool.path(QueueName::Defer, &message.id));
        message.logged.defer = defer_log.is_ok();
        let has_defer_log = defer_log.is_ok_and(|log| log.len() > 0);
        if message.force_expire && has_defer_log {
            // What it waited for is known: no need to try again.
            message.envelope.recipients.clear();
            message.envelope.resume = None;
            message.deferred = true;
        } else {
            message.logged.former = has_defer_log;
        }
        if mode & UNTHROTTLE != 0
            && let Some(file) = &message.file
        {
            spool.clear_unthrottle(file)?;
        }
        Ok(())
    }

    /// Puts a file aside that is no queue file. An error of the disk is none of the file's: that one waits.
    fn set_aside(&self, id: &QueueId, error: EnvelopeError) -> io::Result<Option<Active>> {
        logging::warning!(id: id, "{error}");
        if let EnvelopeError::Record(RecordError::Io(_)) = error {
            let next = SystemTime::now() + self.settings.retry.minimum;
            self.settings.spool.defer(id, next)?;
            return Ok(None);
        }
        logging::warning!(about: id, "saving corrupt file \"{id}\" from queue \"active\" to queue \"corrupt\"");
        self.settings.spool.set_aside(id, QueueName::Active)?;
        Ok(None)
    }
}

fn queue_of(source: Source) -> QueueName {
    match source {
        Source::Announced | Source::Incoming => QueueName::Incoming,
        Source::Deferred { .. } => QueueName::Deferred,
    }
}
