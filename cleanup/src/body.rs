//! The body: passed through line by line, looked at as far as MIME structure and body_checks want it.

use ipc::cleanup::{Cause, Flags};
use message::header::{Field, Kind, is_continuation, name_length};
use message::mime::TooDeep;

use crate::checks::{Class, Fate};
use crate::incoming::Incoming;
use crate::mime::Seen;

impl Incoming<'_> {
    /// Takes a line of the body, or a piece of one.
    pub(crate) fn body_text(&mut self, data: &[u8], ends_line: bool) {
        let begins_line = !self.structure.in_line;
        self.structure.in_line = !ends_line;
        if !self.structure.is_followed() {
            return self.checked_text(data, ends_line);
        }
        if !begins_line {
            if !self.structure.part_field.is_open() {
                return self.checked_text(data, ends_line);
            }
            return self.structure.part_field.add(data, self.site.settings.header_size_limit);
        }
        if self.structure.in_part_header {
            return self.part_header_text(data, ends_line);
        }
        self.structure.boundary(data);
        self.checked_text(data, ends_line);
    }

    /// The header of a part, or of an attached message.
    fn part_header_text(&mut self, data: &[u8], ends_line: bool) {
        // header_size_limit
        let limit = self.site.settings.header_size_limit;
        if self.structure.part_field.is_open() && is_continuation(data) {
            return self.structure.part_field.add_line(data, limit);
        }
        self.end_part_field();
        if name_length(data).is_some() {
            return self.structure.part_field.begin(data, limit);
        }
        if self.structure.boundary(data) == Seen::Nothing {
            let entered = self.structure.end_part_header(self.site.settings.mime_nesting_limit);
            self.entered(entered);
        }
        self.checked_text(data, ends_line);
    }

    fn end_part_field(&mut self) {
        let is_cut = self.structure.part_field.is_cut();
        let Some(text) = self.structure.part_field.end(self.site.settings.header_size_limit) else { return };
        self.tell_cut(is_cut, &text);
        if let Some(field) = Field::parse(&text) {
            match field.kind() {
                Kind::ContentType => self.structure.content_type(&field),
                Kind::ContentTransferEncoding => self.note_encoding(field.value),
                _ => {}
            }
        }
        let class = if self.structure.in_attached_header { Class::NestedHeader } else { Class::MimeHeader };
        match self.check(class, &text) {
            Fate::Keep => self.lines(&text),
            Fate::Replace(text) => self.lines(&text),
            Fate::Drop => {}
        }
    }

    /// mime_nesting_limit: checks that look at parts see every part, or the message is refused.
    pub(crate) fn entered(&mut self, entered: Result<(), TooDeep>) {
        let tables = &self.site.tables;
        let checks =
            [&tables.header_checks, &tables.mime_header_checks, &tables.nested_header_checks, &tables.body_checks];
        let Err(error) = entered else { return };
        if !self.flags.has(Flags::FILTER) || checks.iter().all(|maps| maps.is_empty()) {
            return;
        }
        self.log_structure(&error.to_string());
        self.fail(Cause::Content, &format!("5.6.0 {error}"));
    }

    /// The body ends here.
    pub(crate) fn end_body(&mut self) {
        self.end_part_field();
        if std::mem::take(&mut self.structure.in_line) {
            self.content_piece(b"", true); // the last line had no end
        }
    }

    /// body_checks, as far as body_checks_size_limit.
    fn checked_text(&mut self, data: &[u8], ends_line: bool) {
        let limit = self.site.settings.body_checks_limit;
        let wanted = self.flags.has(Flags::FILTER) && !self.site.tables.body_checks.is_empty();
        if !wanted || self.checked >= limit {
            return self.content_piece(data, ends_line);
        }
        self.checked += data.len() as u64 + 1;
        match self.check(Class::Body, data) {
            Fate::Keep => self.content_piece(data, ends_line),
            Fate::Replace(line) => self.lines(&line),
            Fate::Drop => {}
        }
    }
}
