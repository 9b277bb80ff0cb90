//! The header: lines become fields until the first line that is none.

use message::gathered::Gathered;
use message::header::{is_continuation, name_length};

use crate::field::Fields;
use crate::inspection::Inspection;

/// The header so far.
#[derive(Debug, Default)]
pub struct Header {
    /// The field that is being read.
    field: Gathered,
    /// The last line goes on in the next record.
    in_line: bool,
    /// Those that were read.
    pub fields: Fields,
}

/// Where a line belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To the header.
    Header,
    /// To the body: the header has ended.
    Body,
}

impl Header {
    /// Takes a line, or a piece of one, unless it is the first of the body.
    pub async fn take(&mut self, on: &mut Inspection<'_>, data: &[u8], ends_line: bool) -> Part {
        // header_size_limit
        let limit = on.message.site.settings.header_size_limit;
        if std::mem::replace(&mut self.in_line, !ends_line) {
            self.field.add(data, limit);
        } else if self.field.is_open() && is_continuation(data) {
            self.field.add_line(data, limit);
        } else {
            self.end_field(on).await;
            if on.writer.verdict.goes_on() {
                if name_length(data).is_none() {
                    self.complete(on);
                    return Part::Body;
                }
                self.field.begin(data, limit);
            }
        }
        Part::Header
    }

    /// The content ends with the header. False when nobody wants the rest of the message.
    pub async fn end(&mut self, on: &mut Inspection<'_>) -> bool {
        self.end_field(on).await;
        let goes_on = on.writer.verdict.goes_on();
        if goes_on {
            self.complete(on);
        }
        goes_on
    }

    async fn end_field(&mut self, on: &mut Inspection<'_>) {
        let is_cut = self.field.is_cut();
        let Some(field) = self.field.end(on.message.site.settings.header_size_limit) else { return };
        if is_cut {
            on.tell_cut(&field);
        }
        if let Err(failure) = self.fields.take(on, &field).await {
            on.writer.refuse(failure);
        }
        self.field.reuse(field);
    }

    /// All fields are there: what is missing is added.
    fn complete(&mut self, on: &mut Inspection<'_>) {
        self.fields.present.complete(on.message, on.envelope, on.writer);
        on.end_header();
    }
}
