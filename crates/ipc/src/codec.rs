//! The encoding of one frame: bincode behind a wall of one file, so that it can be replaced.
//!
//! A frame is a 32-bit little-endian length and that many bytes of bincode. The reader refuses a length above
//! [`MAX_FRAME`] before it allocates, and a value that does not use up its frame.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest frame body in bytes. The largest honest one is a delivery request with thousands of recipients.
pub(crate) const MAX_FRAME: usize = 4 << 20;

/// Bytes of the length that precedes each body.
pub(crate) const PREFIX: usize = 4;

fn format() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_FRAME>()
}

/// Appends a frame that holds the value. On error nothing is appended.
pub(crate) fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), String> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    let result = bincode::serde::encode_into_std_write(value, out, format()).map_err(|error| error.to_string());
    let body = out.len() - start - PREFIX;
    let result = result.and_then(|_| if body > MAX_FRAME { Err(format!("frame of {body} bytes")) } else { Ok(()) });
    match result {
        Ok(()) => {
            // The check above keeps the length far below 2^32.
            out[start..start + PREFIX].copy_from_slice(&(body as u32).to_le_bytes());
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
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
    fn a_value_that_is_too_large_leaves_the_buffer_as_it_was() {
        let mut out = b"before".to_vec();
        assert!(encode(&vec![0u8; MAX_FRAME + 1], &mut out).is_err());
        assert_eq!(out, b"before");
    }
}
