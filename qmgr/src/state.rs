//! Everything that the queue manager has in memory. Changed by short calls without waiting in between; whoever waits
//! (for a file name, an agent, a log) looks things up again afterwards.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use queue::QueueId;

use crate::schedule::Schedule;

/// Messages that may wait by name for a place in the active queue; more are found by a scan.
/// told: nobody; a scan finds them.
const MAX_BACKLOG: usize = 10_000;

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// cleanup has announced it: complete, in the incoming queue.
    Announced,
    /// Found in the incoming queue.
    Incoming,
    /// Due in the deferred queue. `flushed`: an operator wants it delivered now.
    Deferred {
        /// Its time and defer_transports do not matter.
        flushed: bool,
    },
}

/// The memory of the queue manager.
pub struct State {
    /// What a former queue manager left in the active queue is out of it: what is there from now on is ours.
    pub ready: bool,
    /// Messages that occupy a place in the active queue: in memory, or on their way in or out.
    pub taken: HashSet<QueueId>,
    /// New messages that wait for a place.
    pub incoming: VecDeque<(QueueId, Source)>,
    /// Deferred messages that wait for a place.
    pub due: VecDeque<(QueueId, Source)>,
    /// Deferred messages and when they are due.
    pub schedule: Schedule<QueueId>,
    /// Whether the deferred queue was the last to be served.
    pub last_was_deferred: bool,
    /// The incoming queue has more than [`State::incoming`].
    pub scan_incoming_at: Option<Instant>,
    /// Messages whose recipients are being resolved.
    pub resolving: usize,
    /// Tokens to put into the flow-control pipe.
    pub tokens: usize,
}

impl Default for State {
    fn default() -> Self {
        State {
            ready: false,
            taken: HashSet::new(),
            incoming: VecDeque::new(),
            due: VecDeque::new(),
            schedule: Schedule::new(),
            last_was_deferred: false,
            scan_incoming_at: None,
            resolving: 0,
            tokens: 0,
        }
    }
}

impl State {
    /// A message waits in the incoming queue. Beyond the bound only the fact is kept.
    pub fn arrived(&mut self, id: QueueId, source: Source) {
        if self.incoming.len() < MAX_BACKLOG {
            self.incoming.push_back((id, source));
        } else if self.scan_incoming_at.is_none() {
            self.scan_incoming_at = Some(Instant::now());
        }
    }

    /// The next message to take: new and deferred mail in turn; new mail first when the active queue is nearly full.
    pub fn next_message(&mut self, limit: usize) -> Option<(QueueId, Source)> {
        let room = limit.saturating_sub(self.taken.len());
        if room == 0 {
            return None;
        }
        let deferred_first = !self.last_was_deferred && room > 1;
        self.last_was_deferred = deferred_first;
        if deferred_first {
            self.due.pop_front().or_else(|| self.incoming.pop_front())
        } else {
            self.incoming.pop_front().or_else(|| self.due.pop_front())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> QueueId {
        QueueId::parse(name.as_bytes()).unwrap()
    }

    #[test]
    fn new_and_deferred_mail_is_taken_in_turn() {
        let mut state = State::default();
        for name in ["N1", "N2"] {
            state.arrived(id(name), Source::Announced);
        }
        for name in ["D1", "D2"] {
            state.due.push_back((id(name), Source::Deferred { flushed: false }));
        }
        let names: Vec<String> = std::iter::from_fn(|| state.next_message(100)).map(|(id, _)| id.to_string()).collect();
        assert_eq!(names, ["D1", "N1", "D2", "N2"]);
    }

    #[test]
    fn a_full_active_queue_takes_nothing_and_a_nearly_full_one_new_mail() {
        let mut state = State::default();
        state.arrived(id("N1"), Source::Announced);
        state.due.push_back((id("D1"), Source::Deferred { flushed: false }));
        state.taken.insert(id("A1"));
        assert_eq!(state.next_message(1), None);
        assert_eq!(state.next_message(2).map(|(id, _)| id.to_string()), Some("N1".to_owned()));
    }

    #[test]
    fn names_beyond_the_bound_become_a_scan() {
        let mut state = State::default();
        for number in 0..=MAX_BACKLOG {
            state.arrived(id(&format!("N{number}")), Source::Announced);
        }
        assert_eq!(state.incoming.len(), MAX_BACKLOG);
        assert!(state.scan_incoming_at.is_some());
    }
}
