//! MIME structure, as much as checks and the transfer encoding need: where the headers of parts begin and end.

use message::mime::{BoundaryLine, ContentType, boundary_line};

use crate::gathered::Gathered;

/// Multipart levels that are followed (mime_nesting_limit has the same default).
const MAX_LEVELS: usize = 100;

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
    /// The last line goes on in the next record.
    pub in_line: bool,
    /// The lines that come are the header of a part.
    pub in_part_header: bool,
    /// That header is the one of an attached message.
    pub in_attached_header: bool,
    /// The field that is being read, of a part's header.
    pub part_field: Gathered,
    boundaries: Vec<Vec<u8>>,
    kind: Option<ContentType>,
    off: bool,
}

impl Structure {
    /// Follows nothing (disable_mime_input_processing).
    pub fn turn_off(&mut self) {
        self.off = true;
    }

    /// Whether body lines are looked at.
    pub fn is_followed(&self) -> bool {
        self.in_part_header || !self.boundaries.is_empty()
    }

    /// A Content-Type field of the header that is being read.
    pub fn content_type(&mut self, value: &[u8]) {
        if !self.off {
            self.kind = Some(ContentType::parse(value));
        }
    }

    /// The message's header ends.
    pub fn end_header(&mut self) {
        self.enter();
    }

    /// The header of a part ends.
    pub fn end_part_header(&mut self) {
        self.in_part_header = false;
        self.in_attached_header = false;
        self.enter();
    }

    /// Looks at a line of the body.
    pub fn boundary(&mut self, line: &[u8]) -> Seen {
        if !line.starts_with(b"--") {
            return Seen::Nothing;
        }
        for level in (0..self.boundaries.len()).rev() {
            let Some(found) = boundary_line(line, &self.boundaries[level]) else { continue };
            self.kind = None;
            self.in_attached_header = false;
            if matches!(found, BoundaryLine::Closes) {
                self.boundaries.truncate(level);
                self.in_part_header = false;
            } else {
                self.boundaries.truncate(level + 1);
                self.in_part_header = true;
            }
            return Seen::Boundary;
        }
        Seen::Nothing
    }

    fn enter(&mut self) {
        let Some(kind) = self.kind.take() else { return };
        if kind.is_message() {
            self.in_part_header = true;
            self.in_attached_header = true;
        } else if kind.is_multipart()
            && let Some(boundary) = kind.boundary
            && self.boundaries.len() < MAX_LEVELS
        {
            self.boundaries.push(boundary);
        }
    }
}
