//! The attribute encoding of Postfix's own services: `name NUL value NUL ... NUL`.
//!
//! A message is a list of pairs that an empty name ends. Order carries meaning, names may repeat. The reader takes one
//! pair at a time and bounds each string, so that a message of any length can be read in little memory.

use std::fmt;
use std::io::{self, BufRead};

use bstr::ByteSlice;

/// Longest name or value that is accepted: more than a record of a queue file or a line of a delivery log holds, so
/// that no message keeps a listing from being read. told: the caller, by the error.
const MAX_STRING: usize = 2 << 20;

/// Appends messages to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a pair. A NUL in the value would end it; it is written as `?`.
    pub fn put(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
        let value = value.as_ref();
        match value.find_byte(0) {
            None => self.out.extend_from_slice(value),
            Some(_) => self.out.extend(value.iter().map(|b| if *b == 0 { b'?' } else { *b })),
        }
        self.out.push(0);
        self
    }

    /// Appends a number, in decimal.
    pub fn put_number(&mut self, name: &str, value: impl fmt::Display) -> &mut Self {
        self.put(name, value.to_string())
    }

    /// Ends the message.
    pub fn end(&mut self) -> &mut Self {
        self.out.push(0);
        self
    }

    /// Appends messages that another writer has made.
    pub fn append(&mut self, encoded: &[u8]) -> &mut Self {
        self.out.extend_from_slice(encoded);
        self
    }

    /// The bytes so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.out
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The bytes, and an empty buffer again.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

/// The message with which a server greets: `protocol=NAME`, the end left open for more.
pub fn greeting(protocol: &str) -> Writer {
    let mut writer = Writer::new();
    writer.put("protocol", protocol);
    writer
}

/// A pair of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// Its name, never empty.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Reads messages.
pub struct Reader<R> {
    input: R,
    /// The last name.
    name: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// A reader at the start of a message.
    pub fn new(input: R) -> Self {
        Self { input, name: Vec::new() }
    }

    /// What is read from.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// The next pair; nothing at the end of the message.
    ///
    /// # Errors
    /// The stream ends within a message, a string is too long, or the stream cannot be read.
    pub fn pair(&mut self) -> io::Result<Option<Pair>> {
        let Some(name) = self.name()?.map(<[u8]>::to_vec) else { return Ok(None) };
        Ok(Some(Pair { name, value: self.value()? }))
    }

    /// The name of the next pair, whose [`value`](Self::value) is to be read next; nothing at the end of the message.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn name(&mut self) -> io::Result<Option<&[u8]>> {
        self.name.clear();
        read_string(&mut self.input, &mut self.name)?;
        Ok(if self.name.is_empty() { None } else { Some(&self.name) })
    }

    /// The value that belongs to the last name.
    ///
    /// # Errors
    /// As [`Self::pair`].
    pub fn value(&mut self) -> io::Result<Vec<u8>> {
        let mut value = Vec::new();
        read_string(&mut self.input, &mut value)?;
        Ok(value)
    }

    /// The value of the next pair, which must have this name.
    ///
    /// # Errors
    /// As [`Self::pair`]; another name, or none.
    pub fn value_of(&mut self, name: &str) -> io::Result<Vec<u8>> {
        match self.name()? {
            Some(found) if found == name.as_bytes() => self.value(),
            found => Err(unexpected(found.unwrap_or_default(), name)),
        }
    }

    /// The end of the message.
    ///
    /// # Errors
    /// As [`Self::pair`]; another pair.
    pub fn end(&mut self) -> io::Result<()> {
        match self.name()? {
            None => Ok(()),
            Some(name) => Err(unexpected(name, "(list terminator)")),
        }
    }
}

/// Appends the next string to `text`.
fn read_string(input: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "premature end of input"));
        }
        let end = available.find_byte(0);
        text.extend_from_slice(&available[..end.unwrap_or(available.len())]);
        let used = end.map_or(available.len(), |end| end + 1);
        input.consume(used);
        if text.len() > MAX_STRING {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "attribute is too long"));
        }
        if end.is_some() {
            return Ok(());
        }
    }
}

fn unexpected(found: &[u8], wanted: &str) -> io::Error {
    let found = text::printable(found);
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected attribute {found} (expecting: {wanted})"))
}

/// Reads the greeting of a server.
///
/// # Errors
/// The server greets otherwise, or not at all.
pub fn read_greeting<R: BufRead>(reader: &mut Reader<R>, protocol: &str) -> io::Result<()> {
    let found = reader.value_of("protocol")?;
    if found == protocol.as_bytes() { Ok(()) } else { Err(unexpected(&found, protocol)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_pairs_and_an_empty_name() {
        let mut writer = greeting("postdrop_protocol");
        writer.put("queue_id", "ABC").end();
        assert_eq!(writer.take(), b"protocol\0postdrop_protocol\0queue_id\0ABC\0\0");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut writer = Writer::new();
        writer.put("a", b"").put_number("n", 5).put("a", [0xff]).end().put("b", "x\0y").end();
        let bytes = writer.take();
        let mut reader = Reader::new(bytes.as_slice());
        assert_eq!(reader.value_of("a").unwrap(), b"");
        assert_eq!(reader.value_of("n").unwrap(), b"5");
        assert_eq!(reader.value_of("a").unwrap(), [0xff]);
        reader.end().unwrap();
        assert_eq!(reader.value_of("b").unwrap(), b"x?y");
        assert_eq!(reader.pair().unwrap(), None);
        assert!(reader.pair().is_err());
    }

    #[test]
    fn a_message_that_is_cut_or_endless_is_an_error() {
        for cut in [&b"a"[..], b"a\0", b"a\0b", b"a\0b\0"] {
            let mut reader = Reader::new(cut);
            assert!((0..2).any(|_| reader.pair().is_err()));
        }
        let endless = vec![b'x'; MAX_STRING + 10];
        assert!(Reader::new(endless.as_slice()).pair().is_err());
        assert!(Reader::new(&b"x\0y\0"[..]).value_of("z").is_err());
        assert!(Reader::new(&b"x\0y\0"[..]).end().is_err());
    }

    proptest::proptest! {
        #[test]
        fn pairs_are_read_back(
            pairs in proptest::collection::vec(("[a-z_]{1,20}", proptest::collection::vec(1u8..=255, 0..50)), 0..20)
        ) {
            let mut writer = Writer::new();
            for (name, value) in &pairs {
                writer.put(name, value);
            }
            let bytes = writer.end().take();
            let mut reader = Reader::new(bytes.as_slice());
            for (name, value) in &pairs {
                let expected = Pair { name: name.clone().into_bytes(), value: value.clone() };
                proptest::prop_assert_eq!(reader.pair().unwrap(), Some(expected));
            }
            proptest::prop_assert_eq!(reader.pair().unwrap(), None);
        }
    }
}
