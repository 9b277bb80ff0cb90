//! MIME structure, as much as checks and the transfer encoding need: where the headers of parts begin and end.

use message::header::{Field, Kind};
use message::mime::{BoundaryLine, ContentType, Encoding, Multiparts, TooDeep};

/// What a line was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A part begins or ends.
    Boundary,
    /// Something else.
    Nothing,
}

/// Where in a message we are.
#[derive(Debug, Default)]
pub struct Structure {
    /// The lines that come are the header of a part.
    pub in_part_header: bool,
    /// That header is the one of an attached message.
    pub in_attached_header: bool,
    open: Multiparts,
    /// The type of what follows the header that is being read.
    kind: Option<ContentType>,
    /// The Content-Type field as it stands in the message.
    kind_field: Vec<u8>,
    /// disable_mime_input_processing.
    off: bool,
    /// detect_8bit_encoding_header.
    detects_encoding: bool,
    /// Some part says that it needs eight bits.
    pub is_eight_bit: bool,
}

impl Structure {
    /// disable_mime_input_processing: nothing is followed. detect_8bit_encoding_header: the header says what it needs.
    pub fn new(off: bool, detects_encoding: bool) -> Self {
        Structure { off, detects_encoding, ..Structure::default() }
    }

    /// Whether body lines are looked at.
    pub fn is_followed(&self) -> bool {
        self.in_part_header || !self.open.is_empty()
    }

    /// Notes a field of the header that is being read.
    pub fn note(&mut self, field: &Field<'_>) {
        match field.kind() {
            Kind::ContentType if !self.off => {
                self.kind = Some(ContentType::parse(field.value));
                self.kind_field = [field.name, b":", field.value].concat();
            }
            Kind::ContentTransferEncoding => {
                // A body that calls itself binary needs no less.
                let encoding = Encoding::parse(field.value);
                self.is_eight_bit |= self.detects_encoding && encoding.is_some_and(|encoding| !encoding.is_seven_bit());
            }
            _ => {}
        }
    }

    /// The message's header ends.
    ///
    /// # Errors
    /// What follows is nested deeper than `limit` allows (mime_nesting_limit), and is not followed.
    pub fn end_header(&mut self, limit: usize) -> Result<(), TooDeep> {
        self.enter(limit)
    }

    /// The header of a part ends.
    ///
    /// # Errors
    /// As [`end_header`](Self::end_header).
    pub fn end_part_header(&mut self, limit: usize) -> Result<(), TooDeep> {
        self.in_part_header = false;
        self.in_attached_header = false;
        self.enter(limit)
    }

    /// The last Content-Type field.
    pub fn last_kind(&self) -> &[u8] {
        &self.kind_field
    }

    /// Looks at a line of the body.
    pub fn boundary(&mut self, line: &[u8]) -> Seen {
        let Some((found, kind)) = self.open.line(line) else { return Seen::Nothing };
        self.in_part_header = found == BoundaryLine::Opens;
        self.in_attached_header = false;
        self.kind = self.in_part_header.then_some(kind);
        Seen::Boundary
    }

    fn enter(&mut self, limit: usize) -> Result<(), TooDeep> {
        let Some(kind) = self.kind.take() else { return Ok(()) };
        if kind.is_message() {
            self.in_part_header = true;
            self.in_attached_header = true;
            return Ok(());
        }
        self.open.enter(kind, limit)
    }
}
