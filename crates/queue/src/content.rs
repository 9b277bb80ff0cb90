//! The content of a message: lines, from after the envelope to the record that ends it.
//!
//! It reads through a descriptor alone, so that a delivery agent that holds nothing but the open file can read its
//! message. It never holds more than one record.

use crate::envelope::EnvelopeError;
use crate::record::{ReadAt, Reader, Record, Type};

/// A whole line or a piece of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Text<'a> {
    /// Its bytes, without a line end.
    pub data: &'a [u8],
    /// True when the line ends after these bytes; false when the next text continues it.
    pub ends_line: bool,
}

/// Reads the content of one message.
pub struct Content<S> {
    reader: Reader<S>,
    finished: bool,
}

impl<S: ReadAt> Content<S> {
    /// The content that starts at `data_offset` (`SizeRecord::data_offset`, `Envelope::data_offset`).
    pub fn new(source: S, data_offset: u64) -> Self {
        let mut reader = Reader::new(source);
        reader.seek(data_offset);
        Self { reader, finished: false }
    }

    /// The next text; nothing after the last one.
    pub fn next_text(&mut self) -> Result<Option<Text<'_>>, EnvelopeError> {
        if self.finished {
            return Ok(None);
        }
        match self.reader.next_record()? {
            Some(Record { kind: Type::LINE, data, .. }) => Ok(Some(Text { data, ends_line: true })),
            Some(Record { kind: Type::PARTIAL, data, .. }) => Ok(Some(Text { data, ends_line: false })),
            Some(Record { kind: Type::EXTRACTED, .. }) => {
                self.finished = true;
                Ok(None)
            }
            Some(Record { kind, offset, .. }) => Err(EnvelopeError::Unexpected { kind, offset }),
            None => Err(EnvelopeError::Incomplete),
        }
    }

    /// Where the next record starts; after the end, where the extracted records start.
    pub fn position(&self) -> u64 {
        self.reader.position()
    }
}
