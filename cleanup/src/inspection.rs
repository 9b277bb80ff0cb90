//! What header and body look at and write to, line by line.

use message::header::name_length;
use message::mime::TooDeep;
use message::parts::{Class, Limits, Structure, Viewer};

use crate::checks::{Checks, Fate, Origin};
use crate::envelope::Envelope;
use crate::message::Message;
use crate::strict::{EndOfHeader, Fault};
use crate::utf8;
use crate::writer::Writer;

/// One record of the content under inspection.
pub struct Inspection<'a> {
    /// The message that it belongs to.
    pub message: &'a Message<'a>,
    /// Its envelope, which is complete by now.
    pub envelope: &'a Envelope,
    /// Where the content goes.
    pub writer: &'a mut Writer,
    /// What checks have found.
    pub checks: &'a mut Checks,
    /// Which parts there are.
    pub structure: &'a mut Structure,
}

impl Inspection<'_> {
    /// Looks a text up in the checks of its class.
    pub fn check(&mut self, class: Class, text: &[u8]) -> Fate {
        self.checks.check(self.message, self.envelope, self.writer, class, text)
    }

    /// How much of the structure is followed.
    pub fn limits(&self) -> Limits {
        let settings = &self.message.site.settings;
        Limits { field: settings.header_size_limit, whole_pieces: false, structure: settings.mime_limits }
    }

    /// header_size_limit: the rest of a longer field is dropped, as with Postfix, which does not say so.
    pub fn tell_cut(&self, field: &[u8]) {
        let name = text::printable(&field[..name_length(field).unwrap_or(0)]);
        let (id, limit) = (&self.message.id, self.message.site.settings.header_size_limit);
        logging::repeated!(id: id, "header {name}: more than {limit} bytes (header_size_limit): the rest is dropped");
    }

    /// header_address_token_limit: the rest of a field with more words is dropped, as with Postfix, which does not say
    /// so.
    pub fn tell_tokens(&self, name: &[u8]) {
        let (name, id) = (text::printable(name), &self.message.id);
        let limit = self.message.site.settings.token_limit;
        logging::repeated!(
            id: id, "header {name}: more than {limit} words and signs (header_address_token_limit): the rest is dropped"
        );
    }

    /// The header of the message ends.
    pub fn end_header(&mut self) {
        self.ends_header();
        let entered = self.structure.end_header(self.message.site.settings.mime_limits);
        self.entered(entered);
    }

    /// Judges a field by its bytes.
    pub fn judge_field(&mut self, field: &[u8]) {
        self.blame(self.message.site.settings.strict.of_header(field), field);
    }

    /// Judges a line of a body, or a piece of one, by its bytes.
    pub fn judge_text(&mut self, text: &[u8]) {
        self.blame(self.message.site.settings.strict.of_body(self.structure.encoding(), text), text);
    }

    /// The header of the message has ended in a line that is not empty (non_empty_end_of_header_action).
    pub fn unfinished_header(&mut self, line: &[u8]) {
        match self.message.site.settings.end_of_header {
            EndOfHeader::Tell if self.is_judged() => {
                self.writer.line(b"MIME-Error: message header was not terminated by empty line");
            }
            EndOfHeader::Reject => self.blame(Some(Fault::EndOfHeader), line),
            EndOfHeader::Fix | EndOfHeader::Tell => {}
        }
    }

    /// Refuses the message for what is wrong with this text; the first fault is reason enough.
    fn blame(&mut self, fault: Option<Fault>, text: &[u8]) {
        if let Some(fault) = fault.filter(|_| self.is_judged() && self.writer.verdict.failure().is_none()) {
            let origin = Origin { message: self.message, envelope: self.envelope };
            origin.reject_structure(self.writer, text, &fault.to_string());
        }
    }

    /// Whether the structure is that of somebody else's message, and looked at.
    fn is_judged(&self) -> bool {
        self.checks.wanted && self.structure.is_on()
    }
}

/// The body: passed through line by line, looked at as far as MIME structure and body_checks want it.
impl Viewer for Inspection<'_> {
    fn structure(&mut self) -> &mut Structure {
        self.structure
    }

    /// A field of a part's header.
    fn field(&mut self, class: Class, text: &[u8], is_cut: bool) {
        if is_cut {
            self.tell_cut(text);
        }
        self.judge_field(text);
        let replacement = match self.check(class, text) {
            Fate::Keep => None,
            Fate::Replace(text) => Some(text),
            Fate::Drop => return,
        };
        let text = replacement.as_deref().unwrap_or(text);
        utf8::header(self.message, self.writer, text);
        self.writer.lines(text);
    }

    /// body_checks, as far as body_checks_size_limit.
    fn text(&mut self, data: &[u8], ends_line: bool) {
        self.judge_text(data);
        let limit = self.message.site.settings.body_checks_limit;
        if !self.checks.want_line(self.message, data, limit) {
            return self.writer.piece(data, ends_line);
        }
        match self.check(Class::Body, data) {
            Fate::Keep => self.writer.piece(data, ends_line),
            Fate::Replace(line) => self.writer.in_place_of(&line, ends_line),
            Fate::Drop => {}
        }
    }

    /// strict_mime_encoding_domain
    fn ends_header(&mut self) {
        let (kind, said) = self.structure.said();
        if let Some(encoding) = said {
            let fault = self.message.site.settings.strict.of_encoding(&kind, encoding);
            self.blame(fault, encoding.name().as_bytes());
        }
    }

    /// mime_nesting_limit: checks that look at parts see every part, or the message is refused.
    fn entered(&mut self, entered: Result<(), TooDeep>) {
        let tables = &self.message.site.tables;
        let checks =
            [&tables.header_checks, &tables.mime_header_checks, &tables.nested_header_checks, &tables.body_checks];
        let Err(error) = entered else { return };
        let is_judged = self.message.site.settings.strict.is_asked() || checks.iter().any(|maps| !maps.is_empty());
        if self.checks.wanted && is_judged {
            let origin = Origin { message: self.message, envelope: self.envelope };
            origin.reject_structure(self.writer, self.structure.last_kind(), &error.to_string());
        }
    }
}
