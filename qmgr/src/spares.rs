//! Files of finished messages, which cleanup uses again: filled here, told of in the tokens of the flow-control pipe.

use std::cell::{Cell, RefCell};
use std::io;

use queue::{QueueName, Slot, Spool};

use crate::active::Active;

/// Slots that nobody was told of.
/// told: nobody; there are no more than 255.
const MAX_FILLED: usize = 255;

/// The slots.
pub struct Spares {
    enabled: bool,
    next: Cell<Slot>,
    /// Filled, and not told.
    filled: RefCell<Vec<u8>>,
}

impl Spares {
    /// None are filled.
    pub fn new(spool: &Spool) -> Self {
        Self { enabled: spool.keeps_spares(), next: Cell::new(Slot::FIRST), filled: RefCell::default() }
    }

    /// Removes a finished message; its file is kept if nobody can have it open any more.
    ///
    /// # Errors
    /// It is still in the active queue.
    pub fn retire(&self, message: &Active, spool: &Spool) -> io::Result<()> {
        let file = message.file.as_deref().filter(|_| self.enabled && message.is_known_to_agents_that_are_done());
        let Some(file) = file else { return spool.remove(&message.id, QueueName::Active) };
        let slot = self.next.replace(self.next.get().next());
        let mut filled = self.filled.borrow_mut();
        if spool.retire(&message.id, file, slot)? && filled.len() < MAX_FILLED {
            filled.push(slot.number());
        }
        Ok(())
    }

    /// So many tokens; those that there are slots for have their numbers.
    pub fn tokens(&self, count: usize) -> Vec<u8> {
        let mut filled = self.filled.borrow_mut();
        let untold = filled.len().saturating_sub(count);
        let mut tokens = filled.split_off(untold);
        tokens.resize(count, 0);
        tokens
    }
}
