//! From a text on standard input to content records, and to the recipients that its header names.
//!
//! No I/O: bytes in, records out. Memory is bounded by one piece of a line and one header field.

use queue::{Type, record};

use crate::recipients::{Recipients, TooLong};

/// `sendmail_fix_line_endings`: when is a carriage return part of a line end?
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LineEndings {
    /// In every line.
    #[default]
    Always,
    /// In every line, when the first line has one.
    Strict,
    /// Never.
    Never,
}

/// How the text is read.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Carriage returns.
    pub line_endings: LineEndings,
    /// A line with a single dot is text.
    pub keep_dots: bool,
    /// `line_length_limit`: longest piece of a line in one record.
    pub piece: usize,
}

/// Turns text into records.
pub struct Content {
    settings: Settings,
    line: Vec<u8>,
    /// The line so far went out in pieces.
    continued: bool,
    /// No line was taken yet.
    first: bool,
    /// Mailbox separators at the start are passed over.
    at_start: bool,
    strip: bool,
    finished: bool,
    recipients: Option<Recipients>,
    too_long: Option<TooLong>,
}

impl Content {
    /// A text at its start. `recipients` takes those of the header, if they are wanted.
    pub fn new(settings: Settings, recipients: Option<Recipients>) -> Self {
        Self {
            settings,
            line: Vec::new(),
            continued: false,
            first: true,
            at_start: true,
            strip: settings.line_endings == LineEndings::Always,
            finished: false,
            recipients,
            too_long: None,
        }
    }

    /// Takes the next bytes; appends records to `out`.
    ///
    /// # Errors
    /// A header field is too long to be read for recipients.
    pub fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
        while !bytes.is_empty() && !self.finished {
            // One byte more than a piece: a carriage return may be taken off.
            let room = self.settings.piece + 1 - self.line.len();
            // told: nobody; the loop takes the rest.
            let window = &bytes[..bytes.len().min(room)];
            match window.iter().position(|b| *b == b'\n') {
                Some(end) => {
                    self.line.extend_from_slice(&window[..end]);
                    bytes = &bytes[end + 1..];
                    self.end_of_line(out);
                }
                None => {
                    self.line.extend_from_slice(window);
                    bytes = &bytes[window.len()..];
                    if self.line.len() > self.settings.piece {
                        self.put_piece(out);
                    }
                }
            }
        }
        self.too_long.map_or(Ok(()), Err)
    }

    /// True when a single dot ended the text.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The end of the text: appends what is left; gives back the recipients that were found.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Vec<Vec<u8>>, TooLong> {
        // A last line without its end is a line.
        self.finished |= self.is_final_dot();
        if !self.finished && !self.line.is_empty() {
            if self.line.len() > self.settings.piece {
                self.put_piece(out);
            }
            record::encode(out, Type::PARTIAL, &self.line);
            self.see();
        }
        match self.too_long {
            Some(error) => Err(error),
            None => Ok(self.recipients.map(Recipients::finish).unwrap_or_default()),
        }
    }

    fn put_piece(&mut self, out: &mut Vec<u8>) {
        let piece = self.settings.piece;
        let rest = self.line.split_off(piece);
        record::encode(out, Type::PARTIAL, &self.line);
        self.see();
        self.continued = true;
        (self.first, self.at_start) = (false, false);
        self.line = rest;
    }

    fn end_of_line(&mut self, out: &mut Vec<u8>) {
        if self.first && self.settings.line_endings == LineEndings::Strict {
            self.strip = self.line.ends_with(b"\r");
        }
        self.first = false;
        if self.strip {
            while self.line.ends_with(b"\r") {
                self.line.pop();
            }
        }
        if self.is_final_dot() {
            self.finished = true;
            return;
        }
        let separator = self.line.starts_with(b"From ") || self.line.starts_with(b">From ");
        if !(self.at_start && separator) {
            self.at_start = false;
            if self.line.len() > self.settings.piece {
                self.put_piece(out);
            }
            record::encode(out, Type::LINE, &self.line);
            self.see();
        }
        self.continued = false;
        self.line.clear();
    }

    fn is_final_dot(&self) -> bool {
        !self.continued && !self.settings.keep_dots && self.line == b"."
    }

    /// Shows the header reader what just went out.
    fn see(&mut self) {
        if let Some(recipients) = &mut self.recipients {
            self.too_long = self.too_long.or(recipients.text(&self.line, self.continued).err());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue::Stream;

    fn settings() -> Settings {
        Settings { line_endings: LineEndings::Always, keep_dots: false, piece: 10 }
    }

    fn records(settings: Settings, text: &[u8], chunk: usize) -> Vec<(char, Vec<u8>)> {
        let mut content = Content::new(settings, None);
        let mut out = Vec::new();
        for bytes in text.chunks(chunk.max(1)) {
            content.feed(bytes, &mut out).unwrap();
        }
        content.finish(&mut out).unwrap();
        let mut stream = Stream::new(out.as_slice(), 100);
        let mut found = Vec::new();
        while let Some((kind, data)) = stream.next_record().unwrap() {
            found.push((char::from(kind.0), data.to_vec()));
        }
        found
    }

    fn shown(settings: Settings, text: &[u8]) -> String {
        let records = records(settings, text, 7);
        records.iter().map(|(kind, data)| format!("{kind}{} ", data.escape_ascii())).collect()
    }

    #[test]
    fn a_line_is_a_record_and_a_long_one_is_several() {
        assert_eq!(shown(settings(), b"a\n\nb"), "Na N Lb ");
        assert_eq!(shown(settings(), b"0123456789\n0123456789x\n"), "N0123456789 L0123456789 Nx ");
        assert_eq!(shown(settings(), b"0123456789"), "L0123456789 ");
        assert_eq!(shown(settings(), b"0123456789012345678901"), "L0123456789 L0123456789 L01 ");
        assert_eq!(shown(settings(), b""), "");
    }

    #[test]
    fn a_single_dot_ends_the_text_unless_dots_are_kept() {
        assert_eq!(shown(settings(), b"a\n.\nb\n"), "Na ");
        assert_eq!(shown(settings(), b"a\n.\r\nb\n"), "Na ");
        assert_eq!(shown(settings(), b"0123456789.\nb\n"), "L0123456789 N. Nb ");
        assert_eq!(shown(settings(), b"a\n."), "Na ");
        assert_eq!(shown(settings(), b"."), "");
        assert_eq!(shown(settings(), b"0123456789."), "L0123456789 L. ");
        assert_eq!(shown(Settings { keep_dots: true, ..settings() }, b"a\n."), "Na L. ");
        assert_eq!(shown(Settings { keep_dots: true, ..settings() }, b"a\n.\nb\n"), "Na N. Nb ");
    }

    #[test]
    fn carriage_returns_before_line_feeds_go_as_the_settings_say() {
        let with = |line_endings| Settings { line_endings, ..settings() };
        assert_eq!(shown(with(LineEndings::Always), b"a\r\nb\r\r\n\rc\n"), "Na Nb N\\rc ");
        assert_eq!(shown(with(LineEndings::Strict), b"a\nb\r\n"), "Na Nb\\r ");
        assert_eq!(shown(with(LineEndings::Strict), b"a\r\nb\r\n"), "Na Nb ");
        assert_eq!(shown(with(LineEndings::Never), b"a\r\n"), "Na\\r ");
    }

    #[test]
    fn mailbox_separators_at_the_start_are_passed_over() {
        let wide = Settings { piece: 100, ..settings() };
        assert_eq!(shown(wide, b"From a\n>From b\nS: x\nFrom c\n"), "NS: x NFrom c ");
    }

    proptest::proptest! {
        #[test]
        fn no_byte_is_lost_however_the_text_arrives(
            text in proptest::collection::vec(proptest::sample::select(b"ab\n\r.".to_vec()), 0..200), chunk in 1usize..50
        ) {
            let settings = Settings { line_endings: LineEndings::Never, keep_dots: true, piece: 10 };
            let mut back = Vec::new();
            for (kind, data) in records(settings, &text, chunk) {
                proptest::prop_assert!(data.len() <= 10);
                back.extend(data);
                if kind == 'N' {
                    back.push(b'\n');
                }
            }
            proptest::prop_assert_eq!(back, text);
        }
    }
}
