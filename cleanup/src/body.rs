//! The body: passed through line by line, looked at as far as MIME structure and body_checks want it.

use message::header::{Field, is_continuation, name_length};

use crate::checks::{Class, Fate};
use crate::gathered::Gathered;
use crate::inspection::Inspection;
use crate::mime::Seen;

/// The body so far.
#[derive(Debug, Default)]
pub struct Body {
    /// The last line goes on in the next record.
    in_line: bool,
    /// The field that is being read, of a part's header.
    field: Gathered,
    /// Bytes that were checked.
    checked: u64,
}

impl Body {
    /// Takes a line, or a piece of one.
    pub fn take(&mut self, on: &mut Inspection<'_>, data: &[u8], ends_line: bool) {
        let begins_line = !std::mem::replace(&mut self.in_line, !ends_line);
        if !on.structure.is_followed() {
            return self.text(on, data, ends_line);
        }
        if !begins_line {
            if !self.field.is_open() {
                return self.text(on, data, ends_line);
            }
            return self.field.add(data, on.message.site.settings.header_size_limit);
        }
        if on.structure.in_part_header {
            return self.part_header(on, data, ends_line);
        }
        on.structure.boundary(data);
        self.text(on, data, ends_line);
    }

    /// The body ends here.
    pub fn end(&mut self, on: &mut Inspection<'_>) {
        self.end_field(on);
        if std::mem::take(&mut self.in_line) {
            on.writer.piece(b"", true); // the last line had no end
        }
    }

    /// The header of a part, or of an attached message.
    fn part_header(&mut self, on: &mut Inspection<'_>, data: &[u8], ends_line: bool) {
        // header_size_limit
        let limit = on.message.site.settings.header_size_limit;
        if self.field.is_open() && is_continuation(data) {
            return self.field.add_line(data, limit);
        }
        self.end_field(on);
        if name_length(data).is_some() {
            return self.field.begin(data, limit);
        }
        if on.structure.boundary(data) == Seen::Nothing {
            let entered = on.structure.end_part_header(on.message.site.settings.mime_nesting_limit);
            on.entered(entered);
        }
        self.text(on, data, ends_line);
    }

    fn end_field(&mut self, on: &mut Inspection<'_>) {
        let is_cut = self.field.is_cut();
        let Some(text) = self.field.end(on.message.site.settings.header_size_limit) else { return };
        if is_cut {
            on.tell_cut(&text);
        }
        if let Some(field) = Field::parse(&text) {
            on.structure.note(&field);
        }
        let class = if on.structure.in_attached_header { Class::NestedHeader } else { Class::MimeHeader };
        match on.check(class, &text) {
            Fate::Keep => on.writer.lines(&text),
            Fate::Replace(text) => on.writer.lines(&text),
            Fate::Drop => {}
        }
    }

    /// body_checks, as far as body_checks_size_limit.
    fn text(&mut self, on: &mut Inspection<'_>, data: &[u8], ends_line: bool) {
        let site = on.message.site;
        let wanted = on.checks.wanted && !site.tables.body_checks.is_empty();
        if !wanted || self.checked >= site.settings.body_checks_limit {
            return on.writer.piece(data, ends_line);
        }
        self.checked += data.len() as u64 + 1;
        match on.check(Class::Body, data) {
            Fate::Keep => on.writer.piece(data, ends_line),
            Fate::Replace(line) => on.writer.lines(&line),
            Fate::Drop => {}
        }
    }
}
