//! How a queue file is shown: record by record, under the names and in the layout that scripts parse.
//!
//! The file may be anything. What cannot be read ends the output with a reason; what is merely out of order is shown
//! with a warning.

use std::fmt;
use std::io::{self, Write};

use message::header;
use queue::record::{self, ReadAt, Record};
use queue::{Reader, RecordError, SizeRecord, Type};

/// What of a file is shown, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// Envelope records.
    pub envelope: bool,
    /// The header of the message.
    pub header: bool,
    /// The body of the message.
    pub body: bool,
    /// The offset before each record.
    pub offsets: bool,
    /// The number of its type before each record.
    pub numbers: bool,
    /// The name of the file before each record.
    pub names: bool,
    /// Pointers are shown instead of followed.
    pub raw: bool,
    /// Where to start; the start of the file is then not checked.
    pub start: Option<u64>,
}

/// Why a file was not shown to its end.
#[derive(Debug)]
pub enum ViewError {
    /// The file cannot be read.
    Record(RecordError),
    /// The output cannot be written.
    Output(io::Error),
}

impl fmt::Display for ViewError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(error) => error.fmt(f),
            Self::Output(error) => write!(f, "output write error: {error}", error = text::system_error(error)),
        }
    }
}

impl From<io::Error> for ViewError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Envelope,
    Header,
    Body,
    Extracted,
}

/// Shows one file under `name`. Warnings are given to `warn`.
///
/// # Errors
/// The file is damaged or the output cannot be written.
pub fn show(
    file: impl ReadAt,
    name: &str,
    view: &View,
    out: &mut impl Write,
    warn: &mut dyn FnMut(&str),
) -> Result<(), ViewError> {
    let mut reader = Reader::new(file);
    if view.raw {
        reader = reader.raw();
    }
    if let Some(start) = view.start {
        reader.seek(start);
    }
    let mut printer = Printer { name, view, out, warn, part: Part::Envelope, in_line: false, open_line: false };
    let mut first = view.start.is_none();
    loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(()),
            Err(error) if first && !matches!(error, RecordError::Io(_)) => {
                (printer.warn)(&format!("{name}: input is not a valid queue file ({error})"));
                return Ok(());
            }
            Err(error) => return Err(ViewError::Record(error)),
        };
        if std::mem::take(&mut first) {
            if !starts_a_file(record.kind) {
                (printer.warn)(&format!("{name}: input is not a valid queue file"));
                return Ok(());
            }
            if view.envelope {
                writeln!(printer.out, "*** ENVELOPE RECORDS {name} ***")?;
            }
        }
        printer.record(record)?;
        if record.kind == Type::END && !view.raw {
            return Ok(());
        }
    }
}

/// The types of which one starts every queue file.
fn starts_a_file(kind: Type) -> bool {
    b"MCTcFILSDROWVA>K/<ion".contains(&kind.0)
}

struct Printer<'a, W: Write> {
    name: &'a str,
    view: &'a View,
    out: &'a mut W,
    warn: &'a mut dyn FnMut(&str),
    part: Part,
    /// The last record was a piece of a line.
    in_line: bool,
    /// The output stands in the middle of a line.
    open_line: bool,
}

impl<W: Write> Printer<'_, W> {
    fn record(&mut self, record: Record<'_>) -> Result<(), ViewError> {
        let is_content = matches!(self.part, Part::Header | Part::Body);
        match record.kind {
            Type::MESSAGE => {
                self.marker(record, Part::Envelope, "message content marker", "MESSAGE CONTENTS")?;
                self.part = Part::Header;
            }
            Type::EXTRACTED => {
                let expected = if is_content { self.part } else { Part::Header };
                self.marker(record, expected, "extracted segment marker", "HEADER EXTRACTED")?;
                self.part = Part::Extracted;
            }
            Type::END => self.marker(record, Part::Extracted, "message end marker", "MESSAGE FILE END")?,
            Type::LINE => self.text(record)?,
            Type::PARTIAL if is_content => self.text(record)?,
            _ if self.visible() => self.other(record)?,
            _ => {}
        }
        Ok(())
    }

    fn visible(&self) -> bool {
        match self.part {
            Part::Envelope | Part::Extracted => self.view.envelope,
            Part::Header => self.view.header,
            Part::Body => self.view.body,
        }
    }

    fn marker(&mut self, record: Record<'_>, expected: Part, what: &str, title: &str) -> Result<(), ViewError> {
        if self.part != expected {
            (self.warn)(&format!("{}: out-of-order {what}", self.name));
        }
        if self.view.envelope {
            if std::mem::take(&mut self.open_line) {
                writeln!(self.out)?;
            }
            self.prefix(record)?;
            writeln!(self.out, "*** {title} {} ***", self.name)?;
        }
        Ok(())
    }

    fn text(&mut self, record: Record<'_>) -> Result<(), ViewError> {
        let continues = std::mem::replace(&mut self.in_line, record.kind == Type::PARTIAL);
        let is_header = continues || header::is_continuation(record.data) || header::name_length(record.data).is_some();
        if self.part == Part::Header && !is_header {
            self.part = Part::Body;
        }
        if !self.visible() {
            return Ok(());
        }
        self.prefix(record)?;
        self.out.write_all(record.data)?;
        self.open_line = record.kind == Type::PARTIAL && !self.view.offsets;
        if !self.open_line {
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn other(&mut self, record: Record<'_>) -> Result<(), ViewError> {
        let text = String::from_utf8_lossy(record.data);
        let mut name = record.kind.name().unwrap_or("unknown_record_type");
        let mut value = None;
        match record.kind {
            Type::TIME | Type::WARNING => value = Some(message::date::asctime(leading_number(record.data))),
            Type::SIZE if SizeRecord::parse(record.data).is_none() => {
                (self.warn)(&format!("invalid size record: {text}"));
            }
            Type::ATTRIBUTE => match record.data.strip_prefix(b"create_time=") {
                Some(time) => {
                    name = "create_time";
                    value = Some(message::date::asctime(leading_number(time)));
                }
                None if !record.data.contains(&b'=') => {
                    let what = "malformed attribute: missing '=' after attribute name";
                    (self.warn)(&format!("{}: {what}: {text}", self.name));
                    return Ok(());
                }
                None => {}
            },
            _ => {}
        }
        self.prefix(record)?;
        write!(self.out, "{name}: ")?;
        match value {
            Some(value) => writeln!(self.out, "{value}")?,
            None => {
                self.out.write_all(record.data)?;
                writeln!(self.out)?;
            }
        }
        Ok(())
    }

    fn prefix(&mut self, record: Record<'_>) -> io::Result<()> {
        if self.view.names {
            write!(self.out, "{}: ", self.name)?;
        }
        if self.view.offsets {
            write!(self.out, "{:9} ", record.position)?;
        }
        if self.view.numbers {
            write!(self.out, "{:3} ", record.kind.0)?;
        }
        Ok(())
    }
}

/// The first number of a payload; 0 when there is none.
fn leading_number(text: &[u8]) -> i64 {
    let mut words = text.split(|b| *b == b' ').filter(|word| !word.is_empty());
    words.next().and_then(record::parse_number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: View = View {
        envelope: true,
        header: true,
        body: true,
        offsets: false,
        numbers: false,
        names: false,
        raw: false,
        start: None,
    };

    fn shown(records: &[(u8, &str)], view: View) -> (String, Vec<String>) {
        let mut file = Vec::new();
        for (kind, payload) in records {
            record::encode(&mut file, Type(*kind), payload.as_bytes());
        }
        let mut out = Vec::new();
        let mut warnings = Vec::new();
        show(&file, "F", &view, &mut out, &mut |text| warnings.push(text.to_owned())).unwrap();
        (String::from_utf8(out).unwrap(), warnings)
    }

    const SMALL: &[(u8, &str)] = &[
        (b'T', "17 5"),
        (b'S', ""),
        (b'M', ""),
        (b'N', "Subject: hi"),
        (b'N', " more"),
        (b'N', ""),
        (b'N', "b: ody"),
        (b'L', "last"),
        (b'X', ""),
        (b'E', ""),
    ];

    #[test]
    fn parts_are_chosen() {
        let header = View { envelope: false, body: false, ..ALL };
        assert_eq!(shown(SMALL, header).0, "Subject: hi\n more\n");
        let body = View { envelope: false, header: false, ..ALL };
        assert_eq!(shown(SMALL, body).0, "\nb: ody\nlast");
        let envelope = View { header: false, body: false, ..ALL };
        let expected = [
            "*** ENVELOPE RECORDS F ***\nmessage_arrival_time: ",
            "sender: \n*** MESSAGE CONTENTS F ***\n*** HEADER EXTRACTED F ***\n*** MESSAGE FILE END F ***\n",
        ];
        let (text, _) = shown(SMALL, envelope);
        assert!(text.starts_with(expected[0]) && text.ends_with(expected[1]), "{text}");
    }

    #[test]
    fn an_unfinished_line_is_finished_before_the_next_marker() {
        assert!(shown(SMALL, ALL).0.contains("\nlast\n*** HEADER EXTRACTED F ***\n"));
    }

    #[test]
    fn offsets_and_numbers_come_first_and_every_record_has_a_line() {
        let view = View { offsets: true, numbers: true, envelope: false, ..ALL };
        let expected = "       10  78 Subject: hi\n       23  78  more\n       30  78 \n       32  78 b: ody\n       40  76 last\n";
        assert_eq!(shown(SMALL, view).0, expected);
    }

    #[test]
    fn what_is_no_queue_file_is_not_shown() {
        let (text, warnings) = shown(&[(b'N', "hi")], ALL);
        assert_eq!((text.as_str(), warnings.as_slice()), ("", &["F: input is not a valid queue file".to_owned()][..]));
    }

    #[test]
    fn markers_out_of_order_are_shown_with_a_warning() {
        let (_, warnings) = shown(&[(b'T', "1"), (b'X', ""), (b'M', ""), (b'E', "")], ALL);
        let expected = ["extracted segment marker", "message content marker", "message end marker"];
        assert_eq!(warnings, expected.map(|what| format!("F: out-of-order {what}")));
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_shown_or_refused_without_a_panic(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..500), raw: bool, offsets: bool
        ) {
            let view = View { raw, offsets, ..ALL };
            let mut file = Vec::new();
            record::encode(&mut file, Type::TIME, b"1");
            file.extend(bytes);
            let _ = show(&file, "F", &view, &mut Vec::new(), &mut |_| {});
        }
    }
}
