//! Lines that a loop may give again and again: the first goes out at once, its repetitions are counted and told once a
//! second. A fault that comes back at every turn must not fill the disk that the log is on.

use std::time::{Duration, Instant};

use crate::line::Severity;

/// How long repetitions are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// Different lines that are remembered; the oldest makes room.
const REMEMBERED: usize = 16;

/// The lines that were given last.
#[derive(Default)]
pub(crate) struct Repeats(Vec<Line>);

struct Line {
    severity: Severity,
    text: String,
    since: Instant,
    more: u64,
}

impl Repeats {
    /// Notes a line, and returns what is to be written now.
    pub(crate) fn note(&mut self, severity: Severity, text: &str, now: Instant) -> Vec<(Severity, String)> {
        let mut due = self.due(now);
        if let Some(line) = self.0.iter_mut().find(|line| line.severity == severity && line.text == text) {
            line.more += 1;
            return due;
        }
        if self.0.len() >= REMEMBERED {
            due.extend(self.0.remove(0).told());
        }
        self.0.push(Line { severity, text: text.to_owned(), since: now, more: 0 });
        due.push((severity, text.to_owned()));
        due
    }

    /// The lines whose second is over, with their counts. One that was repeated stays: its next second begins.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(Severity, String)> {
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
    fn told(&self) -> Option<(Severity, String)> {
        match self.more {
            0 => None,
            1 => Some((self.severity, format!("{} (repeated once)", self.text))),
            more => Some((self.severity, format!("{} (repeated {more} times)", self.text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: Vec<(Severity, String)>) -> Vec<String> {
        lines.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn a_line_goes_out_once_a_second_with_the_count_of_its_repetitions() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let mut note = |after: u64| texts(repeats.note(Severity::Warning, "x", start + Duration::from_millis(after)));
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
        assert_eq!(texts(repeats.note(Severity::Warning, "x", start)), ["x"]);
        assert_eq!(texts(repeats.note(Severity::Warning, "x", start + GATHER)), ["x"]);
    }

    #[test]
    fn counts_are_told_when_the_line_does_not_come_again() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        repeats.note(Severity::Warning, "x", start);
        repeats.note(Severity::Warning, "x", start);
        assert_eq!(texts(repeats.due(start + GATHER)), ["x (repeated once)"]);
        assert!(repeats.due(start + 3 * GATHER).is_empty());
        assert!(repeats.0.is_empty());
    }

    #[test]
    fn no_number_of_different_lines_takes_more_than_its_place() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        for number in 0..1000 {
            repeats.note(Severity::Warning, &number.to_string(), start);
        }
        assert_eq!(repeats.0.len(), REMEMBERED);
    }
}
