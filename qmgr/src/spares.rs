//! Files of finished messages, which cleanup uses again: filled here, told of in the tokens of the flow-control pipe.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;

use queue::{QueueName, Slot, Spool};

use crate::active::Active;

/// Slots that nobody was told of: so few that a slot whose number lies in the pipe is not filled again before it is
/// read.
/// told: nobody; a file more is removed.
const MAX_FILLED: usize = 80;

/// The slots.
pub struct Spares {
    enabled: bool,
    next: Cell<Slot>,
    /// Filled, and not told.
    filled: RefCell<VecDeque<u8>>,
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
        let mut filled = self.filled.borrow_mut();
        let wanted = self.enabled && filled.len() < MAX_FILLED && message.is_known_to_agents_that_are_done();
        let Some(file) = message.file.as_deref().filter(|_| wanted) else {
            return spool.remove(&message.id, QueueName::Active);
        };
        let slot = self.next.replace(self.next.get().next());
        if spool.retire(&message.id, file, slot)? {
            filled.push_back(slot.number());
        }
        Ok(())
    }

    /// So many tokens; those that there are slots for have their numbers, in the order in which they were filled.
    pub fn tokens(&self, count: usize) -> Vec<u8> {
        let mut filled = self.filled.borrow_mut();
        // told: nobody; the others are told later.
        let told = filled.len().min(count);
        let mut tokens: Vec<u8> = filled.drain(..told).collect();
        tokens.resize(count, 0);
        tokens
    }

    /// Tokens that nobody has taken.
    pub fn not_told(&self, tokens: &[u8]) {
        let mut filled = self.filled.borrow_mut();
        tokens.iter().rev().filter(|number| **number != 0).for_each(|number| filled.push_front(*number));
    }
}
