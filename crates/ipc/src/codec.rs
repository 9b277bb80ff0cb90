//! The encoding of one frame: bincode behind a wall of one file, so that it can be replaced.
//!
//! A frame is a 32-bit little-endian length and that many bytes of bincode. The writer makes none above [`MAX_FRAME`];
//! the reader refuses such a length before it allocates, and a value that does not use up its frame. What one of them
//! takes, the other one takes.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bounds::MAX_FRAME;

/// Bytes of the length that precedes each body.
pub(crate) const PREFIX: usize = 4;

/// What bincode counts against its limit while it reads: the size of a number in memory, which may be eight times that
/// of the number in the frame.
/// told: nobody; a frame that fits is never larger.
const MAX_COUNTED: usize = 8 * MAX_FRAME;

fn format() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_COUNTED>()
}

/// Appends a frame that holds the value. On error nothing is appended.
pub(crate) fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    let mut body = Body { out, room: MAX_FRAME };
    match bincode::serde::encode_into_std_write(value, &mut body, format()) {
        Ok(_) => {
            // Below MAX_FRAME, and so below 2^32.
            let length = (MAX_FRAME - body.room) as u32;
            out[start..start + PREFIX].copy_from_slice(&length.to_le_bytes());
            Ok(())
        }
        Err(error) => {
            // told: the caller.
            out.truncate(start);
            Err(reason(error))
        }
    }
}

/// The place of a frame's body, which takes no more than a frame may have.
struct Body<'a> {
    out: &'a mut Vec<u8>,
    room: usize,
}

impl io::Write for Body<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room = self.room.checked_sub(bytes.len()).ok_or_else(|| {
            io::Error::new(io::ErrorKind::FileTooLarge, format!("a frame of more than {MAX_FRAME} bytes"))
        })?;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reason(error: bincode::error::EncodeError) -> String {
    match error {
        bincode::error::EncodeError::Io { inner, .. } => inner.to_string(),
        bincode::error::EncodeError::OtherString(reason) => reason,
        error => error.to_string(),
    }
}

/// The length of the frame that starts the buffer, prefix included; `None` until the prefix is there.
pub(crate) fn frame_length(buffer: &[u8]) -> Option<Result<usize, String>> {
    let prefix: [u8; PREFIX] = buffer.get(..PREFIX)?.try_into().ok()?;
    let body = u32::from_le_bytes(prefix) as usize;
    Some(if body > MAX_FRAME { Err(format!("frame of {body} bytes")) } else { Ok(PREFIX + body) })
}

/// The value of a complete frame (prefix included).
pub(crate) fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, String> {
    let body = frame.get(PREFIX..).unwrap_or_default();
    let (value, used) = bincode::serde::decode_from_slice(body, format()).map_err(|error| error.to_string())?;
    if used == body.len() { Ok(value) } else { Err(format!("{} bytes behind the message", body.len() - used)) }
}

/// A complete frame as it is written when it is read as a value of the type: what one process understands of the bytes
/// of another.
///
/// # Errors
/// It is no such value.
pub fn read_and_written<T: Serialize + DeserializeOwned>(frame: &[u8]) -> Result<Vec<u8>, String> {
    let mut written = Vec::new();
    encode(&decode::<T>(frame)?, &mut written)?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_undoes_encoding() {
        let value = ("x".to_owned(), vec![1u64, 2, u64::MAX], Some(false));
        let mut frame = Vec::new();
        encode(&value, &mut frame).unwrap();
        assert_eq!(frame_length(&frame), Some(Ok(frame.len())));
        assert_eq!(decode::<(String, Vec<u64>, Option<bool>)>(&frame).unwrap(), value);
    }

    #[test]
    fn a_frame_with_bytes_to_spare_is_refused() {
        let mut frame = Vec::new();
        encode(&7u8, &mut frame).unwrap();
        frame.push(0);
        assert!(decode::<u8>(&frame).unwrap_err().contains("1 bytes behind"));
    }

    #[test]
    fn an_absurd_length_is_refused_before_anything_is_allocated() {
        assert!(frame_length(&[0xff; 8]).unwrap().is_err());
        let mut frame = vec![9, 0, 0, 0, 0xfd];
        frame.extend_from_slice(&[0xff; 8]);
        assert!(decode::<Vec<u64>>(&frame).is_err());
    }

    #[test]
    fn what_fits_a_frame_is_read_whatever_it_takes_in_memory() {
        // A length of five bytes, and numbers of one byte each that are eight in memory.
        let value = vec![7u64; MAX_FRAME - 5];
        let mut frame = Vec::new();
        encode(&value, &mut frame).unwrap();
        assert_eq!(frame.len(), PREFIX + MAX_FRAME);
        assert!(decode::<Vec<u64>>(&frame).is_ok_and(|read| read == value));
    }

    #[test]
    fn a_value_that_is_too_large_leaves_the_buffer_as_it_was() {
        let mut out = b"before".to_vec();
        let error = encode(&vec![0u8; MAX_FRAME - 4], &mut out).unwrap_err();
        assert_eq!(error, "a frame of more than 4194304 bytes");
        assert_eq!(out, b"before");
    }
}
