//! The end of a message's attempt: report failures, then remove it, return it, or let it wait.
//!
//! The order is the crash argument. A notification is safe before the log it was made from goes; the message goes only
//! when nobody waits for it. Killed between two steps, the message is found again, and the step is made again: a
//! notification may be sent twice, never not at all.

use std::fs;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use ipc::bounce::{Log, Request};
use ipc::qmgr::Deferred;
use logging::records::qmgr::{Expired, Removed};
use queue::{QueueId, QueueName, delivery_log};

use super::Ledger;
use crate::active::Active;
use crate::listed::Listed;
use crate::retry::now;

/// What became of a message whose attempt has ended.
pub enum Ending {
    /// Nobody waits for it any more.
    Removed,
    /// It is in the deferred queue.
    Deferred {
        /// When it is due.
        next: i64,
        /// What a list has of it, if that is known.
        listed: Option<Deferred>,
    },
}

impl Ledger {
    /// Reports what failed; then the message is removed, or waits. The caller drops it, and with it the lock.
    ///
    /// # Errors
    /// It is still in the active queue.
    pub async fn end_attempt(&self, message: &mut Active) -> io::Result<Ending> {
        // Whatever has become of it, it is never tried again, and nobody hears of it who has not heard already.
        if message.is_of_verify() {
            return self.remove(message).map(|()| Ending::Removed);
        }
        if message.logged.bounce {
            let notify = Request::Notify { log: Log::Bounce, keep: false, message: message.for_bounce() };
            let id = message.id.clone();
            if !self.logs.ask(Log::Bounce, &notify, &id).await {
                logging::info!(id: id, "status=deferred (bounce failed)");
                // The log stays, and with it the message.
                message.deferred = true;
                message.logged.incomplete = true;
            }
        }
        if message.logged.trace {
            self.end_trace(message).await;
        }
        if message.deferred && !self.expire(message).await {
            self.warn_sender(message).await;
            self.wait(message)
        } else {
            self.remove(message).map(|()| Ending::Removed)
        }
    }

    /// The report that the sender asked for: of a probe, of `sendmail -v`, of successes.
    async fn end_trace(&self, message: &mut Active) {
        let notify = Request::Notify { log: Log::Trace, keep: false, message: message.for_bounce() };
        let id = message.id.clone();
        if !self.logs.ask(Log::Trace, &notify, &id).await {
            message.deferred = true;
            return;
        }
        if let Some(trace) = message.envelope.trace_flags.take()
            && let Ok(file) = message.open_file(&self.settings.spool)
            && let Err(error) = queue::mark::trace_answered(&file, trace.offset)
        {
            logging::warning!(id: id, "mark trace record: {error}", error = text::system_error(&error));
        }
        if message.is_probe() {
            message.deferred = false; // a probe is never tried again
        }
    }

    /// Returns a message that has waited long enough. True: its sender knows, and it can go.
    async fn expire(&self, message: &Active) -> bool {
        let null_sender = message.envelope.sender.is_empty();
        let expired = self.settings.retry.is_expired(now(), message.envelope.create_time, null_sender);
        // A notification that does not name everybody must not end the message.
        if !(expired || message.force_expire) || message.logged.incomplete {
            return false;
        }
        let id = message.id.clone();
        logging::emit(&Expired {
            queue_id: id.as_str(),
            from: self.settings.log.addresses.shown(&message.envelope.sender),
            forced: message.force_expire,
        });
        let notify = Request::Notify { log: Log::Defer, keep: false, message: message.for_bounce() };
        self.logs.ask(Log::Defer, &notify, &id).await
    }

    /// delay_warning_time: tells the sender once that the message is late.
    async fn warn_sender(&self, message: &mut Active) {
        let Some(warning) = message.envelope.warning_time else { return };
        if warning.value <= 0 || now() < warning.value - 1 || message.logged.incomplete {
            return;
        }
        let notify = Request::Notify { log: Log::Defer, keep: true, message: message.for_bounce() };
        let id = message.id.clone();
        if !self.logs.ask(Log::Defer, &notify, &id).await {
            return;
        }
        match message.open_file(&self.settings.spool) {
            Ok(file) => {
                if let Err(error) = queue::mark::warned(&file, warning.offset) {
                    logging::warning!(id: id, "mark warning record: {error}", error = text::system_error(&error));
                }
            }
            Err(error) => logging::warning!(id: id, "mark warning record: {error}", error = text::system_error(&error)),
        }
    }

    /// Transition: active -> deferred, with the time of the next attempt.
    fn wait(&self, message: &mut Active) -> io::Result<Ending> {
        let next = self.settings.retry.next_attempt(now(), message.envelope.create_time);
        self.put_off(&message.id, next)?;
        let listed = self.listed(message);
        // The lock goes before the message can be taken again.
        message.file = None;
        Ok(Ending::Deferred { next, listed })
    }

    /// What a list has of a message that is in the deferred queue now.
    fn listed(&self, message: &Active) -> Option<Deferred> {
        let file = message.file.as_ref()?.metadata().ok()?;
        let log = fs::metadata(self.settings.spool.path(QueueName::Defer, &message.id)).ok()?;
        Listed::of(message, &self.settings.list_style, &file, &log)
    }

    /// Transition: active -> deferred, until this time.
    ///
    /// # Errors
    /// It is where it was, or gone.
    pub fn put_off(&self, id: &QueueId, next: i64) -> io::Result<()> {
        self.settings.spool.defer(id, UNIX_EPOCH + Duration::from_secs(u64::try_from(next).unwrap_or(0)))
    }

    /// Transition: active -> nothing, or saved (dont_remove).
    fn remove(&self, message: &Active) -> io::Result<()> {
        let (spool, id) = (&self.settings.spool, &message.id);
        if self.settings.keep_finished {
            spool.rename(id, QueueName::Active, QueueName::Saved)?;
        } else {
            self.spares.retire(message, spool)?;
        }
        if message.logged.defer
            && let Err(error) = delivery_log::remove(spool, QueueName::Defer, id)
        {
            // postsuper finds it.
            logging::warning!(about: id, "remove defer/{id}: {error}", error = text::system_error(&error));
        }
        logging::emit(&Removed { queue_id: id.as_str(), why: None });
        Ok(())
    }
}
