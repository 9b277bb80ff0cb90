//! Files of finished messages, which cleanup uses again.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use queue::{QueueName, Spool};

use crate::active::Active;

/// Spare files that are kept: as many as may be in the queue at the same time without one having to be made.
/// told: nobody; a file more is removed.
const MOST: usize = 2000;
/// How often they are counted, at most: cleanup does not tell what it takes.
const COUNT_AGAIN: Duration = Duration::from_secs(1);

/// How many there are.
pub struct Spares {
    enabled: bool,
    /// At the last count, and those that have come since.
    most: Cell<usize>,
    counted: Cell<Option<Instant>>,
}

impl Spares {
    /// They were not counted yet.
    pub fn new(spool: &Spool) -> Self {
        Self { enabled: spool.keeps_spares(), most: Cell::new(MOST), counted: Cell::default() }
    }

    /// Removes a finished message; its file is kept if nobody can have it open any more.
    ///
    /// # Errors
    /// It is still in the active queue.
    pub fn retire(&self, message: &Active, spool: &Spool) -> io::Result<()> {
        let wanted = self.enabled && message.is_known_to_agents_that_are_done() && self.has_room(spool);
        let Some(file) = message.file.as_deref().filter(|_| wanted) else {
            return spool.remove(&message.id, QueueName::Active);
        };
        if spool.retire(&message.id, file)? {
            self.most.set(self.most.get() + 1);
        }
        Ok(())
    }

    fn has_room(&self, spool: &Spool) -> bool {
        if self.most.get() >= MOST && self.counted.get().is_none_or(|last| last.elapsed() >= COUNT_AGAIN) {
            self.counted.set(Some(Instant::now()));
            self.most.set(spool.count_spares());
        }
        self.most.get() < MOST
    }
}
