//! One pass through maildrop: every file once, some messages at the same time.

use std::rc::Rc;
use std::sync::Arc;

use logging::warning;
use queue::QueueName;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::service::Pickup;
use crate::submission::{self, Outcome};

/// Messages that are on their way to cleanup at the same time: they share one wait for the disk.
const AT_ONCE: usize = 20;

impl Pickup {
    /// Looks at every file once; false when cleanup did not answer, so that it is worth while to look again soon. A
    /// file that cleanup refuses must not keep others waiting; it is looked at again at the next wake-up.
    pub(crate) async fn pass(self: &Rc<Self>) -> bool {
        let scan = match self.spool.scan(QueueName::Maildrop) {
            Ok(scan) => scan,
            Err(error) => {
                warning!("open directory maildrop: {error}", error = text::system_error(&error));
                return true;
            }
        };
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        let mut answered = true;
        for found in scan {
            let Ok(found) = found
                .inspect_err(|error| warning!("read directory maildrop: {error}", error = text::system_error(error)))
            else {
                break;
            };
            // cannot fail: the semaphore is never closed
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let pickup = Rc::clone(self);
            running.spawn_local(async move {
                let outcome = submission::take(&pickup, &found.id).await;
                drop(place);
                outcome
            });
            while let Some(done) = running.try_join_next() {
                answered &= !matches!(done, Ok(Outcome::Unreachable));
            }
            if !answered {
                break;
            }
        }
        while let Some(done) = running.join_next().await {
            answered &= !matches!(done, Ok(Outcome::Unreachable));
        }
        answered
    }
}
