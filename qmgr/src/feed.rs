//! From the incoming and deferred queues into the active queue: one rename, one open, one read.
//!
//! What cannot be understood is put aside, what someone else still delivers is left alone for a minute, and what is gone
//! is gone: an operator may remove a file at any moment.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use queue::{Envelope, EnvelopeError, FORCE_EXPIRE, Limits, QueueId, QueueName, RecordError, UNTHROTTLE, delivery_log};

use crate::active::{Active, open_locked};
use crate::retry::now;
use crate::scheduler::MessageKey;
use crate::service::Qmgr;
use crate::state::Source;

/// Messages taken in one go, before others get a turn.
/// told: nobody; the rest has its turn.
const MAX_AT_ONCE: usize = 32;
/// Messages that are resolved at the same time: each is a question to trivial-rewrite.
/// told: nobody; the rest has its turn.
const MAX_RESOLVING: usize = 20;
/// How long a message that someone else delivers is left alone.
const LOCKED_WAIT: Duration = Duration::from_secs(60);

impl Qmgr {
    /// Takes messages as long as there is room for them.
    pub fn feed(self: &Rc<Self>) {
        for _ in 0..MAX_AT_ONCE {
            if self.is_draining() || !self.state.borrow().ready {
                return;
            }
            if self.state.borrow().resolving >= MAX_RESOLVING {
                return; // goes on when some are resolved
            }
            let next = self.state.borrow_mut().next_message(self.settings.active_limit);
            let Some((id, source)) = next else { return };
            if self.state.borrow_mut().taken.insert(id.clone()) {
                self.take(id, source);
            }
        }
        self.wake.notify_one(); // there may be more
    }

    fn take(self: &Rc<Self>, id: QueueId, source: Source) {
        match self.load(&id, source) {
            Ok(Some(message)) => self.begin(message),
            Ok(None) => {
                self.state.borrow_mut().taken.remove(&id);
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    logging::warning!("{id}: {error}", error = text::system_error(&error));
                    self.look_again_in(LOCKED_WAIT); // it may not have come as far as the active queue
                }
                tokio::task::spawn_local(Rc::clone(self).give_back(id));
            }
        }
    }

    /// Moves a message to the active queue and reads it. `None`: not now, or never.
    fn load(&self, id: &QueueId, source: Source) -> io::Result<Option<Active>> {
        let (spool, queue) = (&self.settings.spool, queue_of(source));
        let mode = match source {
            Source::Announced => 0,
            _ => match self.look(id, source)? {
                Some(mode) => mode,
                None => return Ok(None),
            },
        };
        spool.activate(id, queue)?;
        let Some(file) = open_locked(spool, id)? else {
            logging::info!("{id}: skipped, still being delivered");
            spool.put_back(id, SystemTime::now() + LOCKED_WAIT)?;
            self.look_again_in(LOCKED_WAIT + Duration::from_secs(1));
            return Ok(None);
        };
        let limits = Limits { recipients: self.ledger.first_chunk(), attributes: self.settings.attribute_limit };
        let envelope = match Envelope::read(&file, &limits) {
            Ok(envelope) => envelope,
            Err(error) => return self.set_aside(id, error),
        };
        let mut message = Active::new(id.clone(), envelope, file);
        // cleanup may have written down what became of aliases.
        let wants_success = message.envelope.size.is_some_and(|size| size.wants_success());
        message.logged.trace = wants_success && spool.path(QueueName::Trace, id).exists();
        if source == Source::Announced {
            self.state.borrow_mut().tokens += 1;
        } else {
            self.recall(&mut message, mode)?;
        }
        message.flushed = matches!(source, Source::Deferred { flushed: true }) || mode & UNTHROTTLE != 0;
        Ok(Some(message))
    }

    /// Looks at a file that nobody vouched for: its mode, when it is complete and due.
    fn look(&self, id: &QueueId, source: Source) -> io::Result<Option<u32>> {
        let path = self.settings.spool.path(queue_of(source), id);
        let found = fs::symlink_metadata(&path)?;
        if !found.is_file() || found.mode() & 0o700 != 0o700 {
            if found.file_type().is_socket() || found.is_dir() {
                logging::warning!("{}: not a regular file", path.display());
            }
            return Ok(None);
        }
        let ignores_time = matches!(source, Source::Deferred { flushed: true });
        if found.mtime() > now() + 1 && !ignores_time {
            match source {
                Source::Deferred { .. } => self.state.borrow_mut().schedule.insert(id.clone(), found.mtime()),
                _ => {
                    self.look_again_in(Duration::from_secs(u64::try_from(found.mtime() - now()).unwrap_or(60).min(300)))
                }
            }
            return Ok(None);
        }
        Ok(Some(found.mode()))
    }

    /// What earlier attempts have left: the defer log goes (each attempt has its own), the bounce log stays until it is
    /// reported.
    fn recall(&self, message: &mut Active, mode: u32) -> io::Result<()> {
        let spool = &self.settings.spool;
        message.logged.bounce = spool.path(QueueName::Bounce, &message.id).exists();
        message.logged.trace |= message.envelope.trace_flags.is_some();
        message.force_expire = mode & FORCE_EXPIRE != 0;
        let has_defer_log = fs::metadata(spool.path(QueueName::Defer, &message.id)).is_ok_and(|log| log.len() > 0);
        if message.force_expire && has_defer_log {
            // What it waited for is known: no need to try again.
            message.envelope.recipients.clear();
            message.envelope.resume = None;
            message.deferred = true;
        } else if has_defer_log {
            delivery_log::remove(spool, QueueName::Defer, &message.id)?;
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
        logging::warning!("{id}: {error}");
        if let EnvelopeError::Record(RecordError::Io(_)) = error {
            let next = SystemTime::now() + self.settings.retry.minimum;
            self.settings.spool.defer(id, next)?;
            return Ok(None);
        }
        logging::warning!("saving corrupt file \"{id}\" from queue \"active\" to queue \"corrupt\"");
        self.settings.spool.set_aside(id, QueueName::Active)?;
        Ok(None)
    }

    /// A message is in memory: log it, and find the way of its recipients.
    fn begin(self: &Rc<Self>, mut message: Active) {
        let size = message.envelope.size.unwrap_or_default();
        let sender = self.settings.log.addresses.shown(&message.envelope.sender);
        logging::info!(
            "{}: from=<{sender}>, size={}, nrcpt={} (queue active)",
            message.id,
            size.content_length,
            size.recipients
        );
        redirect(&mut message.envelope);
        let key = self.ledger.enter(message);
        self.resolve_read(key);
    }

    /// Finds the way of the recipients that were just read.
    pub fn resolve_read(self: &Rc<Self>, key: MessageKey) {
        let Some(recipients) = self.ledger.take_read(key) else { return };
        self.state.borrow_mut().resolving += 1;
        tokio::task::spawn_local(Rc::clone(self).assign(key, recipients));
    }

    /// Has the incoming queue read after a while.
    pub fn look_again_in(&self, wait: Duration) {
        let at = Instant::now() + wait;
        let mut state = self.state.borrow_mut();
        let earlier = state.scan_incoming_at.is_none_or(|known| at < known);
        if earlier {
            state.scan_incoming_at = Some(at);
        }
        self.wake.notify_one();
    }
}

/// A REDIRECT record: the first recipient stands for all, with that address.
fn redirect(envelope: &mut Envelope) {
    let Some(target) = envelope.redirect_to.clone() else { return };
    envelope.resume = None;
    // told: nobody; that is what REDIRECT means.
    envelope.recipients.truncate(1);
    for recipient in &mut envelope.recipients {
        recipient.original = std::mem::replace(&mut recipient.address, target.clone());
    }
}

fn queue_of(source: Source) -> QueueName {
    match source {
        Source::Announced | Source::Incoming => QueueName::Incoming,
        Source::Deferred { .. } => QueueName::Deferred,
    }
}
