//! Lines that the log does not take just now: kept, in their order, until it does.
//!
//! A daemon serves many clients in one thread and must not wait for whoever reads the log. A reader that is being started
//! again, or is slow, gets the lines a little later; one that stays away for long loses those that find no place any more,
//! and is told how many.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Lines that are kept: some two megabytes at their longest.
const MOST: usize = 1000;
/// How often a new connection to the log is asked for.
const ASK: Duration = Duration::from_secs(1);

/// Lines that wait for the log.
pub(crate) struct Held<L> {
    lines: VecDeque<L>,
    lost: u64,
    asked: Option<Instant>,
}

impl<L> Default for Held<L> {
    fn default() -> Self {
        Self { lines: VecDeque::new(), lost: 0, asked: None }
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

    /// The lines that wait, to be tried again; those that fail are to be kept again.
    pub(crate) fn take(&mut self) -> VecDeque<L> {
        std::mem::take(&mut self.lines)
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
    fn another_connection_is_asked_for_once_a_second() {
        let (mut held, start) = (Held::<()>::default(), Instant::now());
        assert!(held.may_ask(start));
        assert!(!held.may_ask(start + ASK / 2));
        assert!(held.may_ask(start + ASK));
    }
}
