//! Lines that the log does not take just now: kept, in their order, until it does.
//!
//! A daemon serves many clients in one thread and must not wait for whoever reads the log. A reader that is being
//! started again, or is slow, gets the lines a little later. Only when there are too many is a reader waited for that
//! is there, and takes one now and then; one that stays away for long loses those that find no place any more, and is
//! told how many.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Lines that are kept: some eight megabytes at their longest.
/// told: the log, by the number of those that were lost.
pub(crate) const MOST: usize = 4000;
/// How long a reader that has not taken a line in time is not waited for.
const IMPATIENT: Duration = Duration::from_secs(10);
/// How often a new connection to the log is asked for.
const ASK: Duration = Duration::from_secs(1);

/// Lines that wait for the log.
pub(crate) struct Held<L> {
    lines: VecDeque<L>,
    lost: u64,
    asked: Option<Instant>,
    /// A reader was waited for in vain.
    gave_up: Option<Instant>,
}

impl<L> Default for Held<L> {
    fn default() -> Self {
        Self { lines: VecDeque::new(), lost: 0, asked: None, gave_up: None }
    }
}

impl<L> Held<L> {
    /// Keeps a line; one that finds no place comes back.
    pub(crate) fn keep(&mut self, line: L) -> Option<L> {
        if self.lines.len() >= MOST {
            self.lost += 1;
            return Some(line);
        }
        self.lines.push_back(line);
        None
    }

    /// Whether the next line finds no place, and the reader is worth waiting for.
    pub(crate) fn may_wait(&self, now: Instant) -> bool {
        let patient = self.gave_up.is_none_or(|since| now.saturating_duration_since(since) >= IMPATIENT);
        self.lines.len() >= MOST && patient
    }

    /// The reader has, or has not, taken the oldest line.
    pub(crate) fn waited(&mut self, taken: bool, now: Instant) {
        if taken {
            self.lines.pop_front();
        }
        self.gave_up = (!taken).then_some(now);
    }

    /// The line that has waited longest.
    pub(crate) fn oldest(&self) -> Option<&L> {
        self.lines.front()
    }

    /// The lines that wait, to be tried again; those that fail are to be put back.
    pub(crate) fn take(&mut self) -> VecDeque<L> {
        std::mem::take(&mut self.lines)
    }

    /// Lines that go on waiting, the oldest first; those that are more than there is place for come back.
    pub(crate) fn put_back(&mut self, mut lines: VecDeque<L>) -> VecDeque<L> {
        let excess = lines.split_off(lines.len().min(MOST));
        self.lines = lines;
        excess
    }

    pub(crate) fn count(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many lines were lost, when the log takes lines again.
    pub(crate) fn lost(&mut self) -> Option<u64> {
        let lost = if self.is_empty() { std::mem::take(&mut self.lost) } else { 0 };
        (lost > 0).then_some(lost)
    }

    /// Whether it is time to ask for another connection.
    pub(crate) fn may_ask(&mut self, now: Instant) -> bool {
        let may = self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK);
        if may {
            self.asked = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_in_their_order_and_those_without_a_place_are_counted() {
        let mut held = Held::default();
        for line in 0..MOST + 3 {
            assert_eq!(held.keep(line).is_some(), line >= MOST);
        }
        assert_eq!(held.lost(), None);
        assert_eq!(held.take().into_iter().collect::<Vec<_>>(), (0..MOST).collect::<Vec<_>>());
        assert_eq!(held.lost(), Some(3));
        assert_eq!(held.lost(), None);
    }

    #[test]
    fn a_reader_is_waited_for_when_there_is_no_place_and_not_again_soon_after_it_was_in_vain() {
        let (mut held, start) = (Held::default(), Instant::now());
        (0..MOST - 1).for_each(|line| assert_eq!(held.keep(line), None));
        assert!(!held.may_wait(start));
        held.keep(MOST);
        assert!(held.may_wait(start));
        held.waited(true, start);
        assert_eq!((held.oldest(), held.may_wait(start)), (Some(&1), false));
        held.keep(MOST + 1);
        held.waited(false, start);
        assert_eq!((held.oldest(), held.may_wait(start + IMPATIENT / 2)), (Some(&1), false));
        assert!(held.may_wait(start + IMPATIENT));
    }

    #[test]
    fn another_connection_is_asked_for_once_a_second() {
        let (mut held, start) = (Held::<()>::default(), Instant::now());
        assert!(held.may_ask(start));
        assert!(!held.may_ask(start + ASK / 2));
        assert!(held.may_ask(start + ASK));
    }
}
