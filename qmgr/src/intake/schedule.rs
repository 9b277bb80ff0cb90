//! The deferred queue as it is remembered: which message is due when. It is filled by one scan of the directory, told
//! of our own changes, and compared with the directory now and then, so that nobody reads a hundred thousand file times
//! every few minutes.
//!
//! It is a memory, not the truth: the files are. A message that is due here and gone there is forgotten; one that is
//! not remembered (beyond the bound) is found by the scan that [`Schedule::must_rescan`] asks for.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Messages remembered; about 10 MiB. Beyond it the latest are left to a later scan.
/// told: nobody; a scan finds them.
pub const MOST: usize = 100_000;

/// Due times by message and messages by due time.
pub struct Schedule<Id> {
    due: BTreeSet<(i64, Id)>,
    known: HashMap<Id, i64>,
    /// The earliest due time of a message that was not remembered.
    horizon: Option<i64>,
    most: usize,
}

impl<Id: Ord + Hash + Clone> Schedule<Id> {
    /// Nothing known.
    pub fn new() -> Self {
        Self { due: BTreeSet::new(), known: HashMap::new(), horizon: None, most: MOST }
    }

    /// A message is due at this time (seconds since the epoch).
    pub fn insert(&mut self, id: Id, at: i64) {
        if let Some(old) = self.known.insert(id.clone(), at) {
            self.due.remove(&(old, id.clone()));
        }
        self.due.insert((at, id));
        if self.due.len() > self.most
            && let Some((latest, id)) = self.due.pop_last()
        {
            self.known.remove(&id);
            self.horizon = Some(self.horizon.map_or(latest, |horizon| horizon.min(latest)));
        }
    }

    /// Whether the message is remembered.
    pub fn contains(&self, id: &Id) -> bool {
        self.known.contains_key(id)
    }

    /// Takes the earliest message out when it is due.
    pub fn take_due(&mut self, now: i64) -> Option<Id> {
        if self.due.first()?.0 > now {
            return None;
        }
        let (_, id) = self.due.pop_first()?;
        self.known.remove(&id);
        Some(id)
    }

    /// When the next message is due.
    pub fn next_due(&self) -> Option<i64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether messages may be due that are not remembered.
    pub fn must_rescan(&self, now: i64) -> bool {
        self.horizon.is_some_and(|horizon| horizon <= now)
    }

    /// Whether there are messages that are not remembered.
    pub fn is_partial(&self) -> bool {
        self.horizon.is_some()
    }

    /// Everything is forgotten, because a complete scan follows; `horizon` is when the first message is due that it has
    /// left out.
    pub fn begin_anew(&mut self, horizon: Option<i64>) {
        self.due.clear();
        self.known.clear();
        self.horizon = horizon;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_when_they_are_due_the_earliest_first() {
        let mut schedule = Schedule::new();
        for (id, at) in [("b", 20), ("a", 10), ("c", 30)] {
            schedule.insert(id, at);
        }
        assert_eq!(schedule.next_due(), Some(10));
        assert_eq!(schedule.take_due(9), None);
        assert_eq!(schedule.take_due(20), Some("a"));
        assert_eq!(schedule.take_due(20), Some("b"));
        assert_eq!(schedule.take_due(20), None);
        assert!(schedule.contains(&"c") && !schedule.contains(&"a"));
    }

    #[test]
    fn a_new_due_time_replaces_the_old_one() {
        let mut schedule = Schedule::new();
        schedule.insert("a", 10);
        schedule.insert("a", 50);
        assert_eq!(schedule.take_due(49), None);
        assert_eq!(schedule.take_due(50), Some("a"));
        assert_eq!(schedule.take_due(i64::MAX), None);
    }

    #[test]
    fn beyond_the_bound_the_latest_are_left_to_a_scan_in_time() {
        let mut schedule = Schedule { most: 2, ..Schedule::new() };
        for (id, at) in [("d", 40), ("a", 10), ("c", 30), ("b", 20)] {
            schedule.insert(id, at);
        }
        assert!(!schedule.contains(&"d") && !schedule.contains(&"c"));
        assert!(!schedule.must_rescan(29));
        assert!(schedule.must_rescan(30));
        schedule.begin_anew(None);
        assert!(!schedule.must_rescan(30) && !schedule.is_partial());
        schedule.begin_anew(Some(30));
        assert!(schedule.must_rescan(30) && !schedule.must_rescan(29) && schedule.is_partial());
    }
}
