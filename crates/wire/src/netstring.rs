//! Netstrings: a length in decimal digits, a colon, so many bytes, a comma. <https://cr.yp.to/proto/netstrings.txt>

use std::fmt;

/// Why what comes is no netstring that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetstringError {
    /// Another byte than one that can stand there.
    Format,
    /// It is longer than the reader takes.
    TooLong,
}

impl fmt::Display for NetstringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NetstringError::Format => "netstring format error",
            NetstringError::TooLong => "netstring length exceeds storage limit",
        })
    }
}

/// Reads the length of a netstring, digit by digit: no number of zeros in front needs memory. No digits are 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Length {
    value: u64,
    has_digits: bool,
}

impl Length {
    /// No digit has come.
    pub fn is_unread(self) -> bool {
        !self.has_digits
    }

    /// The length, with its colon, within `limit`; nothing while more bytes have to come. How many bytes are used up.
    ///
    /// # Errors
    /// A byte that is neither digit nor colon, a number beyond the limit.
    pub fn read(&mut self, bytes: &[u8], limit: u64) -> Result<(usize, Option<u64>), NetstringError> {
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b':' => return Ok((at + 1, Some(self.value))),
                b'0'..=b'9' => {
                    let digit = u64::from(byte - b'0');
                    let value = self.value.checked_mul(10).and_then(|tens| tens.checked_add(digit));
                    self.value = value.filter(|value| *value <= limit).ok_or(NetstringError::TooLong)?;
                    self.has_digits = true;
                }
                _ => return Err(NetstringError::Format),
            }
        }
        Ok((bytes.len(), None))
    }
}

/// Appends a netstring of these bytes.
pub fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(format!("{}:", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.push(b',');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, limit: u64) -> Result<(usize, Option<u64>), NetstringError> {
        Length::default().read(text.as_bytes(), limit)
    }

    #[test]
    fn a_length_is_digits_up_to_a_colon() {
        assert_eq!(read("12:x", 99), Ok((3, Some(12))));
        assert_eq!(read("000012:", 99), Ok((7, Some(12))));
        assert_eq!(read(":", 99), Ok((1, Some(0))));
        assert_eq!(read("12", 99), Ok((2, None)));
        assert_eq!(read("-1:", 99), Err(NetstringError::Format));
        assert_eq!(read(" 1:", 99), Err(NetstringError::Format));
        assert_eq!(read("1,", 99), Err(NetstringError::Format));
    }

    #[test]
    fn a_length_beyond_the_limit_or_any_number_is_too_long() {
        assert_eq!(read("99:", 99), Ok((3, Some(99))));
        assert_eq!(read("100:", 99), Err(NetstringError::TooLong));
        assert_eq!(read(&"9".repeat(50), u64::MAX), Err(NetstringError::TooLong));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Vec::new();
        encode(&mut out, b"hello world!");
        encode(&mut out, b"");
        assert_eq!(out, b"12:hello world!,0:,");
    }
}
