//! What header and body look at and write to, line by line.

use message::header::name_length;
use message::mime::TooDeep;

use crate::checks::{Checks, Class, Fate, Origin};
use crate::envelope::Envelope;
use crate::message::Message;
use crate::mime::Structure;
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

    /// header_size_limit: the rest of a longer field is dropped, as with Postfix, which does not say so.
    pub fn tell_cut(&self, field: &[u8]) {
        let name = text::printable(&field[..name_length(field).unwrap_or(0)]);
        let (id, limit) = (&self.message.id, self.message.site.settings.header_size_limit);
        logging::repeated!(id: id, "header {name}: more than {limit} bytes (header_size_limit): the rest is dropped");
    }

    /// mime_nesting_limit: checks that look at parts see every part, or the message is refused.
    pub fn entered(&mut self, entered: Result<(), TooDeep>) {
        let tables = &self.message.site.tables;
        let checks =
            [&tables.header_checks, &tables.mime_header_checks, &tables.nested_header_checks, &tables.body_checks];
        let Err(error) = entered else { return };
        if self.checks.wanted && checks.iter().any(|maps| !maps.is_empty()) {
            let origin = Origin { message: self.message, envelope: self.envelope };
            origin.reject_structure(self.writer, self.structure.last_kind(), &error.to_string());
        }
    }
}
