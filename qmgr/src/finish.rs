//! What follows when something about a message has ended: more of its recipients are read, or its attempt ends and its
//! place in the active queue becomes free.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use dsn::Status;
use queue::{QueueId, Recipient};

use crate::ledger::Ending;
use crate::retry::now;
use crate::scheduler::MessageKey;
use crate::service::Qmgr;

/// How long a message waits in the active queue that cannot be moved out of it.
const MOVE_AGAIN: Duration = Duration::from_secs(60);

impl Qmgr {
    /// Goes on with a message: reads more recipients, or ends the attempt when nothing is under way.
    pub async fn continue_message(self: Rc<Self>, key: MessageKey) {
        if self.ledger.read_more(key, &self.deliveries.room(key)) {
            return self.resolve_read(key);
        }
        let Some(mut message) = self.ledger.take_idle(key) else { return };
        let ended = self.ledger.end_attempt(&mut message).await;
        self.deliveries.set_unread(key, 0);
        let id = message.id.clone();
        drop(message); // and with it the lock
        match ended {
            Ok(Ending::Deferred { next, listed }) => {
                listed.into_iter().for_each(|listed| self.index.insert(listed));
                self.intake.put_off(id, next);
            }
            Ok(Ending::Removed) => self.intake.leave(&id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.intake.leave(&id), // an operator has removed it
            Err(error) => {
                logging::warning!(id: id, "{error}", error = text::system_error(&error));
                tokio::task::spawn_local(Rc::clone(&self).give_back(id));
            }
        }
        self.turn();
    }

    /// Defers recipients that no agent has seen, and goes on with their message.
    pub async fn defer_unseen(self: Rc<Self>, key: MessageKey, all: Vec<Recipient>, status: Status, reason: String) {
        self.ledger.defer_unseen(key, all, status, &reason).await;
        self.continue_message(key).await;
    }

    /// Transition: active -> deferred, for a message that could not be read, or whose attempt could not be ended. It is
    /// made, however long it takes: what lies in the active queue and in nobody's memory would wait for the next queue
    /// manager.
    pub async fn give_back(self: Rc<Self>, id: QueueId) {
        loop {
            let next = now() + i64::try_from(self.settings.retry.minimum.as_secs()).unwrap_or(0); // minimal_backoff_time
            match self.ledger.put_off(&id, next) {
                Ok(()) => break self.intake.put_off(id, next),
                // It is in its former place, or gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => break self.intake.leave(&id),
                Err(error) => {
                    logging::repeated!(id: id, "move to deferred queue: {error}", error = text::system_error(&error));
                    tokio::time::sleep(MOVE_AGAIN).await;
                }
            }
        }
        self.wake.notify_one();
    }
}
