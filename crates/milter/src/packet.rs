//! Packets: a length, a command byte, and what belongs to it.
//!
//! Lengths of a filter's packets are believed as far as [`MAX_PACKET`]: nothing is allocated before the bytes are
//! there.

/// Most bytes of a packet that is taken as a whole, command byte included: more than any header or address needs.
/// Pieces of a new body are not kept, and may be as long as [`MAX_LENGTH`].
/// told: the log, and milter_default_action decides.
pub const MAX_PACKET: usize = 16 << 20;
/// Most bytes of any packet, as in Postfix.
/// told: as above.
pub const MAX_LENGTH: usize = (1 << 30) - 1;
/// Bytes of a length field.
pub const LENGTH: usize = 4;
/// Bytes of a packet's head: its length and its command.
pub const HEAD: usize = LENGTH + 1;

/// The start of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it says.
    pub command: u8,
    /// Bytes that follow.
    pub length: usize,
}

/// Why a packet cannot be read. Display is what the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthError {
    /// No room for a command.
    Bad(u32),
    /// More than anybody needs.
    Unreasonable(u32, usize),
}

impl std::fmt::Display for LengthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LengthError::Bad(length) => write!(f, "bad packet length: {length}"),
            LengthError::Unreasonable(length, limit) => {
                write!(f, "unreasonable packet length: {length} > {limit}")
            }
        }
    }
}

/// Reads the length of a packet, command byte included: at least 1.
///
/// # Errors
/// It is none.
pub fn length(bytes: [u8; LENGTH]) -> Result<usize, LengthError> {
    let length = u32::from_be_bytes(bytes);
    match usize::try_from(length).unwrap_or(usize::MAX) {
        0 => Err(LengthError::Bad(length)),
        whole if whole > MAX_LENGTH => Err(LengthError::Unreasonable(length, MAX_LENGTH)),
        whole => Ok(whole),
    }
}

impl Head {
    /// Reads the start of a packet.
    ///
    /// # Errors
    /// Its length is none.
    pub fn parse(bytes: &[u8; HEAD]) -> Result<Head, LengthError> {
        let [a, b, c, d, command] = *bytes;
        Ok(Head { command, length: length([a, b, c, d])? - 1 })
    }

    /// The same where the packet is to be taken as a whole.
    ///
    /// # Errors
    /// It is too long for that.
    pub fn bounded(self) -> Result<Head, LengthError> {
        if self.length < MAX_PACKET {
            return Ok(self);
        }
        // cannot fail: see MAX_LENGTH
        Err(LengthError::Unreasonable(u32::try_from(self.length + 1).unwrap_or(u32::MAX), MAX_PACKET))
    }
}

/// Appends a packet.
pub fn encode(out: &mut Vec<u8>, command: u8, parts: &[&[u8]]) {
    let length: usize = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    // cannot fail: what is sent is a line, a header of the queue file or a piece of a body
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    out.push(command);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// The text up to the next NUL, or to the end, and what follows it.
pub fn text(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, b""),
    }
}

/// A number, and what follows it.
pub fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (first, rest) = bytes.split_first_chunk::<LENGTH>()?;
    Some((u32::from_be_bytes(*first), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packet_without_a_command_and_one_of_a_gigabyte_are_none() {
        assert_eq!(Head::parse(&[0, 0, 0, 0, b'c']), Err(LengthError::Bad(0)));
        assert_eq!(Head::parse(&[0, 0, 0, 1, b'c']), Ok(Head { command: b'c', length: 0 }));
        let error = Head::parse(&[0x40, 0, 0, 0, b'c']).unwrap_err();
        assert_eq!(error.to_string(), "unreasonable packet length: 1073741824 > 1073741823");
        let long = Head::parse(&[0x3f, 0xff, 0xff, 0xff, b'b']).unwrap();
        assert_eq!(long.bounded().unwrap_err().to_string(), "unreasonable packet length: 1073741823 > 16777216");
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(command: u8, data in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut out = Vec::new();
            encode(&mut out, command, &[&data]);
            let (head, rest) = out.split_first_chunk::<HEAD>().unwrap();
            prop_assert_eq!(Head::parse(head), Ok(Head { command, length: data.len() }));
            prop_assert_eq!(rest, &data[..]);
        }
    }
}
