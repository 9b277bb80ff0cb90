//! Records that come through a pipe: one after the other, no way back.
//!
//! There are no offsets here, so that pointers are records like others. Used where a local user's bytes come in:
//! nothing is allocated before it is there, and nothing beyond the limit.

use std::io::{self, BufRead, Read};

use crate::record::{RecordError, Type, read_length};

/// Reads records from a pipe.
pub struct Stream<R> {
    input: R,
    offset: u64,
    limit: usize,
    payload: Vec<u8>,
}

impl<R: BufRead> Stream<R> {
    /// A reader of records with payloads up to `limit` bytes.
    pub fn new(input: R, limit: usize) -> Self {
        Self { input, offset: 0, limit, payload: Vec::new() }
    }

    /// The next record; nothing at the end of the stream.
    ///
    /// # Errors
    /// The stream cannot be read, ends within a record, or holds a record that is too long.
    pub fn next_record(&mut self) -> Result<Option<(Type, &[u8])>, RecordError> {
        let start = self.offset;
        let Some(kind) = self.byte()? else { return Ok(None) };
        let length = read_length(start, || Ok(self.byte()?))?;
        if length > self.limit {
            return Err(RecordError::TooLong { offset: start, length });
        }
        self.payload.clear();
        // told: nobody; the record ends there.
        self.input.by_ref().take(length as u64).read_to_end(&mut self.payload)?;
        self.offset += self.payload.len() as u64;
        if self.payload.len() < length {
            return Err(RecordError::Truncated { offset: start });
        }
        Ok(Some((Type(kind), &self.payload)))
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = loop {
            match self.input.fill_buf() {
                Ok(available) => break available.first().copied(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        if byte.is_some() {
            self.input.consume(1);
            self.offset += 1;
        }
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::encode;

    #[test]
    fn records_come_out_as_they_went_in() {
        let mut bytes = Vec::new();
        encode(&mut bytes, Type::SENDER, b"");
        encode(&mut bytes, Type::LINE, &[b'x'; 300]);
        let mut stream = Stream::new(bytes.as_slice(), 300);
        assert_eq!(stream.next_record().unwrap(), Some((Type::SENDER, &b""[..])));
        assert_eq!(stream.next_record().unwrap(), Some((Type::LINE, &[b'x'; 300][..])));
        assert_eq!(stream.next_record().unwrap(), None);
    }

    #[test]
    fn a_record_that_is_cut_or_too_long_is_an_error() {
        for bytes in [&b"N"[..], b"N\x80", b"N\x05abc", b"N\xff\xff\xff\xff\x01", b"N\xff\x7f"] {
            assert!(Stream::new(bytes, 300).next_record().is_err());
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..500)) {
            let mut stream = Stream::new(bytes.as_slice(), 100);
            while let Ok(Some(_)) = stream.next_record() {}
        }
    }
}
