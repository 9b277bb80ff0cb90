//! What was said in one SMTP session, kept in case the postmaster is to be told of it (notify_classes).
//!
//! Content never is part of it, and of what follows AUTH only the length. It is bounded: the beginning of a session and
//! its end are kept, and the transcript says how many lines were left out between them.

use std::fmt;

use config::{ErrorClass, ErrorClasses};

/// Bytes of the beginning that are kept.
/// told: the reader, by a line in the transcript.
const HEAD: usize = 4 << 10;
/// Bytes of the end that are kept.
/// told: the reader, by a line in the transcript.
const TAIL: usize = 8 << 10;
/// Bytes of one line.
/// told: the reader, by an ellipsis.
const LONGEST: usize = 2 << 10;
/// Columns of a line as it is shown; longer ones go on below, where a space lets them.
const WIDTH: usize = 79;
const INDENT: &str = "     ";

/// Who has said a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// This system.
    Us,
    /// The other side.
    Them,
}

/// The dialogue of one session, and what was wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    wanted: ErrorClasses,
    /// No UTF-8 is shown: smtputf8_enable = no.
    ascii: bool,
    happened: ErrorClasses,
    /// Lines with their label, each with its end, as they were said: most transcripts are never shown.
    head: Vec<u8>,
    tail: Vec<u8>,
    /// Lines between the two that are gone.
    left_out: usize,
    /// All of them.
    lines: usize,
}

impl Transcript {
    /// A transcript that keeps nothing if none of the classes is wanted.
    pub fn new(wanted: ErrorClasses) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// The same, with nothing above ASCII.
    pub fn in_ascii(self, ascii: bool) -> Self {
        Self { ascii, ..self }
    }

    /// Somebody said a line, or several.
    pub fn say(&mut self, speaker: Speaker, text: &[u8]) {
        if self.wanted == ErrorClasses::default() {
            return;
        }
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let more: &[u8] = if line.len() > LONGEST { b"..." } else { b"" };
            // told: see LONGEST.
            self.keep([label(speaker), line.get(..LONGEST).unwrap_or(line), more, b"\n"]);
        }
    }

    /// Something went wrong.
    pub fn note(&mut self, class: ErrorClass) {
        self.happened = self.happened.with(class);
    }

    /// What went wrong is made good by a message that was taken.
    pub fn forgive(&mut self) {
        self.happened = ErrorClasses::default();
    }

    /// Whether something went wrong that the postmaster wants to hear of.
    pub fn is_due(&self) -> bool {
        self.wanted.meets(self.happened)
    }

    /// How many lines were said, those that were left out included.
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// What went wrong.
    pub fn happened(&self) -> ErrorClasses {
        self.happened
    }

    /// Keeps a line, in its parts.
    fn keep(&mut self, line: [&[u8]; 4]) {
        let length: usize = line.iter().map(|part| part.len()).sum();
        self.lines += 1;
        let is_head = self.tail.is_empty() && self.left_out == 0 && self.head.len() + length <= HEAD;
        let kept = if is_head { &mut self.head } else { &mut self.tail };
        line.iter().for_each(|part| kept.extend_from_slice(part));
        // Twice as much may gather, or every line would move the others.
        if self.tail.len() > 2 * TAIL {
            let least = self.tail.len() - TAIL;
            let end = self.tail[least..].iter().position(|byte| *byte == b'\n');
            let gone = self.tail.drain(..end.map_or(self.tail.len(), |at| least + at + 1));
            self.left_out += gone.filter(|byte| *byte == b'\n').count();
        }
    }
}

fn label(speaker: Speaker) -> &'static [u8] {
    match speaker {
        Speaker::Us => b" Out: ",
        Speaker::Them => b" In:  ",
    }
}

/// The lines of a message.
impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, &self.head, self.ascii)?;
        if self.left_out > 0 {
            writeln!(f, "{INDENT}[{} lines left out]", self.left_out)?;
        }
        write_lines(f, &self.tail, self.ascii)
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, lines: &[u8], ascii: bool) -> fmt::Result {
    let shown = if ascii { text::printable_ascii } else { text::printable };
    let mut lines = lines.split_inclusive(|byte| *byte == b'\n');
    lines.try_for_each(|line| write_folded(f, &shown(line.strip_suffix(b"\n").unwrap_or(line))))
}

/// A line, in as many as it needs.
fn write_folded(f: &mut fmt::Formatter<'_>, line: &str) -> fmt::Result {
    // told: nobody; the label is not a place to fold.
    let label = line.len().min(INDENT.len() + 1);
    let (mut indent, mut rest, mut start) = ("", line.trim_end(), label);
    while indent.len() + rest.len() > WIDTH {
        let room = WIDTH - indent.len();
        let fitting = rest.get(start..=room).and_then(|part| part.rfind(' '));
        let first = || rest.get(start..).and_then(|part| part.find(' '));
        let Some(at) = fitting.or_else(first).map(|at| start + at) else { break };
        let (line, more) = rest.split_at(at);
        writeln!(f, "{indent}{}", line.trim_end())?;
        (indent, rest, start) = (INDENT, more.trim_start(), 0);
    }
    writeln!(f, "{indent}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Transcript {
        Transcript::new(ErrorClasses::of_words(&["policy".to_owned(), "protocol".to_owned()]))
    }

    #[test]
    fn lines_are_folded_at_spaces_and_no_line_of_the_client_stands_alone() {
        let mut transcript = all();
        let text = "550 5.1.1 <nope12@mail.test>: Recipient address rejected: User unknown in local recipient table";
        transcript.say(Speaker::Us, text.as_bytes());
        transcript.say(Speaker::Us, text.replace("12", "123").as_bytes());
        transcript.say(Speaker::Them, b"NOOP .\n.\r\nFrom\x00\xff");
        let expected = [
            " Out: 550 5.1.1 <nope12@mail.test>: Recipient address rejected: User unknown in",
            "     local recipient table",
            " Out: 550 5.1.1 <nope123@mail.test>: Recipient address rejected: User unknown",
            "     in local recipient table",
            " In:  NOOP .",
            " In:  .",
            " In:  From??",
        ];
        assert_eq!(transcript.to_string().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn whatever_is_said_the_transcript_stays_small_and_says_what_is_missing() {
        let mut transcript = all();
        transcript.say(Speaker::Us, b"220 first");
        for number in 0..5000 {
            transcript.say(Speaker::Them, format!("NOOP {number}").as_bytes());
            transcript.say(Speaker::Them, &vec![b'x'; number]);
        }
        let text = transcript.to_string();
        assert!(text.len() < HEAD + 2 * TAIL + 2 * LONGEST + 200, "{}", text.len());
        assert!(text.starts_with(" Out: 220 first\n") && text.contains(" lines left out]\n"), "{text}");
        assert!(text.contains(" In:  NOOP 4999\n") && text.ends_with("xxx...\n"), "{text}");
        let shown = text.lines().filter(|line| !line.starts_with(INDENT)).count();
        assert_eq!(shown + transcript.left_out, 10_001);
    }

    #[test]
    fn nothing_is_kept_for_a_postmaster_who_wants_to_hear_nothing() {
        let mut transcript = Transcript::new(ErrorClasses::of_words(&["2bounce".to_owned(), "delay".to_owned()]));
        transcript.say(Speaker::Them, b"FOO");
        transcript.note(ErrorClass::Protocol);
        assert!(!transcript.is_due() && transcript.to_string().is_empty());
    }

    #[test]
    fn a_report_is_due_when_a_wanted_class_has_happened() {
        let mut transcript = all();
        transcript.note(ErrorClass::Bounce);
        assert!(!transcript.is_due());
        transcript.note(ErrorClass::Policy);
        assert!(transcript.is_due() && transcript.happened().has(ErrorClass::Bounce));
    }
}
