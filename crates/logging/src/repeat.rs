//! Lines that a loop may give again and again: the first goes out at once, its repetitions are counted and told once a
//! second. A fault that comes back at every turn must not fill the disk that the log is on.

use std::time::{Duration, Instant};

use crate::line::Severity;

/// How long repetitions are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// Different lines that are remembered; the oldest makes room.
const REMEMBERED: usize = 16;

/// A line of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub severity: Severity,
    /// The message that it is about.
    pub queue_id: Option<String>,
    pub text: String,
}

/// The lines that were given last.
#[derive(Default)]
pub(crate) struct Repeats(Vec<Line>);

struct Line {
    told: Told,
    since: Instant,
    more: u64,
}

impl Repeats {
    /// Notes a line, and returns what is to be written now.
    pub(crate) fn note(&mut self, line: Told, now: Instant) -> Vec<Told> {
        let mut due = self.due(now);
        if let Some(line) = self.0.iter_mut().find(|known| known.told == line) {
            line.more += 1;
            return due;
        }
        if self.0.len() >= REMEMBERED {
            due.extend(self.0.remove(0).told());
        }
        self.0.push(Line { told: line.clone(), since: now, more: 0 });
        due.push(line);
        due
    }

    /// The lines whose second is over, with their counts. One that was repeated stays: its next second begins.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Told> {
        let is_over = |line: &Line| now.saturating_duration_since(line.since) >= GATHER;
        let told = self.0.iter().filter(|line| is_over(line)).filter_map(Line::told).collect();
        self.0.retain(|line| !is_over(line) || line.more > 0);
        for line in self.0.iter_mut().filter(|line| is_over(line)) {
            (line.since, line.more) = (now, 0);
        }
        told
    }
}

impl Line {
    fn told(&self) -> Option<Told> {
        let text = match self.more {
            0 => return None,
            1 => format!("{} (repeated once)", self.told.text),
            more => format!("{} (repeated {more} times)", self.told.text),
        };
        Some(Told { text, ..self.told.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: Vec<Told>) -> Vec<String> {
        lines.into_iter().map(|line| line.text).collect()
    }

    fn line(text: &str) -> Told {
        Told { severity: Severity::Warning, queue_id: None, text: text.to_owned() }
    }

    #[test]
    fn a_line_goes_out_once_a_second_with_the_count_of_its_repetitions() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let mut note = |after: u64| texts(repeats.note(line("x"), start + Duration::from_millis(after)));
        assert_eq!(note(0), ["x"]);
        for at in 1..=100 {
            assert!(note(at).is_empty());
        }
        assert_eq!(note(1000), ["x (repeated 100 times)"]);
        assert!(note(1500).is_empty());
        assert_eq!(note(2000), ["x (repeated 2 times)"]);
    }

    #[test]
    fn a_line_that_rests_for_a_second_is_new_again() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        assert_eq!(texts(repeats.note(line("x"), start)), ["x"]);
        assert_eq!(texts(repeats.note(line("x"), start + GATHER)), ["x"]);
    }

    #[test]
    fn counts_are_told_when_the_line_does_not_come_again() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        repeats.note(line("x"), start);
        repeats.note(line("x"), start);
        assert_eq!(texts(repeats.due(start + GATHER)), ["x (repeated once)"]);
        assert!(repeats.due(start + 3 * GATHER).is_empty());
        assert!(repeats.0.is_empty());
    }

    #[test]
    fn no_number_of_different_lines_takes_more_than_its_place() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        for number in 0..1000 {
            repeats.note(line(&number.to_string()), start);
        }
        assert_eq!(repeats.0.len(), REMEMBERED);
    }

    #[test]
    fn the_message_that_a_line_is_about_stays_with_its_repetitions() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let of_message = Told { queue_id: Some("ABC".to_owned()), ..line("x") };
        repeats.note(of_message.clone(), start);
        repeats.note(of_message, start);
        assert_eq!(repeats.note(line("x"), start).len(), 1);
        assert_eq!(repeats.due(start + GATHER)[0].queue_id.as_deref(), Some("ABC"));
    }
}
