//! The content of a message as it lies in its queue file, and as filters have changed it: its headers one by one, and
//! where its body is.
//!
//! What was in the message stays in the file; only what filters add is in memory, and how much that may be is bounded.

use std::io;

use ipc::cleanup::Cause;
use message::header::{is_continuation, name_length};
use milter::Header;
use queue::{Reader, Type};

use crate::failure::Failure;
use crate::writer::Writer;

/// Headers of a message that filters may change.
/// told: the client and the log: the message is not accepted.
const MAX_HEADERS: usize = 200_000;
/// Bytes of headers and addresses that filters may add to one message.
/// told: as above.
const MAX_ADDED: usize = 64 << 20;

/// The content.
#[derive(Debug)]
pub struct Layout {
    /// The headers in their order.
    pub headers: Vec<Field>,
    /// What follows them.
    pub body: Body,
    /// Where the content ends in the file, and what was found in it begins.
    pub extracted: u64,
    is_changed: bool,
    added: usize,
}

/// A header.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: Vec<u8>,
    /// Where its text is.
    pub text: Text,
    /// The Received header of this system, which no filter sees.
    pub is_own: bool,
}

/// The text of a header.
#[derive(Debug)]
pub enum Text {
    /// Records from here to there.
    Stored(u64, u64),
    /// Its lines, with the name, separated by LF.
    New(Vec<u8>),
}

/// The body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// There is none, not even the line in front of it.
    None,
    /// Records from here to there.
    Stored(u64, u64),
}

/// The queue file cannot be read, or is damaged.
pub fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Cause::Write).warning(format!("read queue file: {error}"))
}

impl Layout {
    /// Finds the headers of a message that is complete.
    ///
    /// # Errors
    /// It cannot be read, or has more headers than anybody needs.
    pub fn read(writer: &mut Writer) -> Result<Layout, Failure> {
        let start = writer.content_start();
        let file = writer.reader().map_err(|error| unreadable(&text::system_error(&error)))?;
        let mut reader = Reader::new(file);
        reader.seek(start);
        let mut layout = Layout { headers: Vec::new(), body: Body::None, extracted: 0, is_changed: false, added: 0 };
        let (mut within_line, mut body, mut has_received) = (false, None, false);
        loop {
            let record = reader.next_record().map_err(|error| unreadable(&error))?;
            let Some(record) = record else { return Err(unreadable(&io::Error::other("no end of the content"))) };
            let (kind, offset) = (record.kind, record.offset);
            if kind == Type::EXTRACTED {
                layout.end_header(offset);
                layout.extracted = offset;
                layout.body = body.map_or(Body::None, |start| Body::Stored(start, offset));
                return Ok(layout);
            }
            let begins_line = !std::mem::replace(&mut within_line, kind == Type::PARTIAL);
            if body.is_some() || !begins_line {
                continue;
            }
            let data = record.data;
            if is_continuation(data) && !layout.headers.is_empty() {
                continue;
            }
            let name = name_length(data).map(|length| data[..length].to_vec());
            let is_blank = data.is_empty();
            let next = reader.position();
            layout.end_header(offset);
            match name {
                Some(name) => {
                    let is_own = !has_received && name.eq_ignore_ascii_case(b"received");
                    has_received |= is_own;
                    layout.headers.push(Field { name, text: Text::Stored(offset, offset), is_own });
                    if layout.headers.len() > MAX_HEADERS {
                        let warning = format!("more than {MAX_HEADERS} headers, which no filter sees");
                        return Err(Failure::new(Cause::Write).warning(warning));
                    }
                }
                None => body = Some(if is_blank { next } else { offset }),
            }
        }
    }

    fn end_header(&mut self, at: u64) {
        if let Some(Field { text: Text::Stored(start, end), .. }) = self.headers.last_mut()
            && start == end
        {
            *end = at;
        }
    }

    /// Filters have changed something.
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Counts what a filter adds.
    ///
    /// # Errors
    /// It is too much.
    pub fn count(&mut self, bytes: usize) -> Result<(), Failure> {
        self.added = self.added.saturating_add(bytes);
        if self.added > MAX_ADDED || self.headers.len() > MAX_HEADERS {
            let warning = format!("filters add more than {MAX_ADDED} bytes or {MAX_HEADERS} headers to the message");
            return Err(Failure::new(Cause::Write).warning(warning));
        }
        Ok(())
    }

    /// Adds a header at the end.
    pub fn append(&mut self, header: Header, has_leading_space: bool) {
        let field = Field::new(header, has_leading_space);
        self.is_changed = true;
        self.headers.push(field);
    }

    /// Adds a header in front of the one with this number, which counts all of the file.
    pub fn insert(&mut self, index: u32, header: Header, has_leading_space: bool) {
        // told: nobody; behind the last one is last.
        let at = usize::try_from(index).unwrap_or(usize::MAX).min(self.headers.len());
        self.is_changed = true;
        self.headers.insert(at, Field::new(header, has_leading_space));
    }

    /// Where the header of this name with this number is, from 1.
    pub fn find(&self, index: u32, name: &[u8]) -> Option<usize> {
        let wanted = usize::try_from(index).unwrap_or(usize::MAX).saturating_sub(1);
        let of_name = |field: &Field| !field.is_own && field.name.eq_ignore_ascii_case(name);
        let mut all = self.headers.iter().enumerate().filter(|(_, field)| of_name(field));
        all.nth(wanted).map(|(at, _)| at)
    }

    /// Puts a header in the place of another.
    pub fn replace(&mut self, at: usize, header: Header, has_leading_space: bool) {
        if let Some(field) = self.headers.get_mut(at) {
            self.is_changed = true;
            *field = Field::new(header, has_leading_space);
        }
    }

    /// Takes a header away.
    pub fn delete(&mut self, at: usize) {
        if at < self.headers.len() {
            self.is_changed = true;
            self.headers.remove(at);
        }
    }

    /// The body is these records from now on.
    pub fn set_body(&mut self, start: u64, end: u64) {
        self.is_changed = true;
        self.body = Body::Stored(start, end);
    }
}

impl Field {
    fn new(header: Header, has_leading_space: bool) -> Field {
        let text = field_text(&header, has_leading_space);
        Field { name: header.name, text: Text::New(text), is_own: false }
    }
}

/// The lines of a header: a line that would begin another one is indented.
pub fn field_text(header: &Header, has_leading_space: bool) -> Vec<u8> {
    let mut text = header.name.clone();
    text.push(b':');
    if !has_leading_space {
        text.push(b' ');
    }
    for (number, line) in header.value.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if number > 0 {
            text.push(b'\n');
            if !is_continuation(line) {
                text.push(b'\t');
            }
        }
        text.extend_from_slice(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str, has_leading_space: bool) -> String {
        let header = Header { name: b"X".to_vec(), value: value.into() };
        String::from_utf8(field_text(&header, has_leading_space)).unwrap()
    }

    #[test]
    fn a_value_of_several_lines_cannot_begin_another_header() {
        assert_eq!(text("a\nb", false), "X: a\n\tb");
        assert_eq!(text("a\r\n b\n\tc", false), "X: a\n b\n\tc");
        assert_eq!(text(" a", true), "X: a");
        assert_eq!(text("a\n\nb", true), "X:a\n\t\n\tb");
    }
}
