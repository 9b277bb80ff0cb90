//! Where lists come from: the files of the queue, and what was read of them before.
//!
//! Messages are read in batches, by threads: two of them read ahead while a third sends. A batch ends early where it is
//! long enough, so that what is in memory does not depend on the queue.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use config::{Config, ValueError, param};
use ipc::qmgr::Deferred;
use queue::scan::Found;
use queue::{QueueName, Spool, Stamp};
use wire::showq::{Style, Writer};

use crate::cache::Cache;
use crate::identity::Identity;
use crate::logs::Logs;
use crate::message::{ListError, Message};

/// Bytes after which what is gathered goes on its way.
pub(crate) const CHUNK: usize = 32 * 1024;

/// The queue as it is listed; shared by threads.
pub(crate) struct Source {
    pub(crate) spool: Spool,
    pub(crate) style: Style,
    /// Recipients of one message that are remembered, so that none is listed twice.
    pub(crate) remembered: usize,
    cache: Mutex<Cache>,
    /// The time; tests have another.
    pub(crate) clock: fn() -> SystemTime,
}

/// Messages of one queue that are read in one go.
pub(crate) struct Batch {
    /// The number of the list that they are for.
    pub(crate) listing: u64,
    pub(crate) queue: QueueName,
    pub(crate) logs: Arc<Logs>,
    pub(crate) found: std::vec::IntoIter<Found>,
}

/// What came of a batch.
pub(crate) struct Done {
    /// Whole messages, and the beginning of the long one.
    pub(crate) out: Writer,
    /// A message that is not whole yet; it comes before the rest.
    pub(crate) long: Option<(Found, Message)>,
    /// Messages that are not in the list, or not to their end.
    pub(crate) failed: Vec<(Found, ListError)>,
    /// What was not read.
    pub(crate) rest: Batch,
}

impl Source {
    /// Reads the settings.
    ///
    /// # Errors
    /// A value that cannot be understood.
    pub(crate) fn new(config: &Config, spool: Spool) -> Result<Self, ValueError> {
        let style = Style {
            // empty_address_recipient
            null_address: config.get(param::EMPTY_ADDRESS_RECIPIENT)?.into_bytes(),
            modern: config.modern_log(),
        };
        let remembered = config.read(param::DUPLICATE_FILTER_LIMIT)?; // duplicate_filter_limit
        Ok(Self { spool, style, remembered, cache: Mutex::new(Cache::default()), clock: SystemTime::now })
    }

    /// Reads messages until there are enough of them.
    pub(crate) fn read(&self, mut batch: Batch) -> Done {
        let (mut out, mut long, mut failed) = (Writer::part(), None, Vec::new());
        while out.pending().len() < CHUNK
            && long.is_none()
            && let Some(found) = batch.found.next()
        {
            match self.message(&batch, &found, &mut out) {
                Ok(None) => out.end_message(),
                Ok(Some(message)) => long = Some((found, message)),
                Err(error) => {
                    out.end_message();
                    failed.push((found, error));
                }
            }
        }
        Done { out, long, failed, rest: batch }
    }

    /// Lists one message; one that is gone or incomplete is none. One that is long is begun, and comes back.
    fn message(&self, batch: &Batch, found: &Found, out: &mut Writer) -> Result<Option<Message>, ListError> {
        let known = self.cache().identity(batch.queue, &found.id);
        if known.is_some()
            && known == self.identity(batch, found)
            && self.cache().recall(batch.listing, batch.queue, &found.id, out)
        {
            return Ok(None);
        }
        let start = out.pending().len();
        let before = (self.clock)();
        let Some(mut message) = Message::open(batch.queue, found, self)? else { return Ok(None) };
        if !message.write(self, &batch.logs, out)? {
            return Ok(Some(message));
        }
        out.end_message();
        if message.identity.was_settled(before) {
            let text = out.pending().get(start..).unwrap_or_default();
            self.cache().keep(batch.listing, batch.queue, &found.id, message.identity, text);
        }
        Ok(None)
    }

    /// Which files the message and its logs are now.
    fn identity(&self, batch: &Batch, found: &Found) -> Option<Identity> {
        let stamp = |path: &Path| std::fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata));
        let mut identity = Identity::of(stamp(&found.path)?);
        for (index, log) in Logs::ORDER.into_iter().enumerate() {
            if batch.logs.may_have(log, &found.id) {
                identity.logs[index] = stamp(&self.spool.path(log, &found.id));
            }
        }
        Some(identity)
    }

    /// Keeps what another process knows of deferred messages, for this list.
    pub(crate) fn learn(&self, listing: u64, messages: impl IntoIterator<Item = Deferred>) {
        let mut cache = self.cache();
        for Deferred { queue_id, file, log, text } in messages {
            cache.keep(listing, QueueName::Deferred, &queue_id, Identity::with_defer_log(file, log), &text);
        }
    }

    /// Forgets what no list has come upon since this one was begun.
    pub(crate) fn forget_before(&self, listing: u64) {
        self.cache().forget_before(listing);
    }

    pub(crate) fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
