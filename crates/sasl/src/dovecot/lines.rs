//! Lines of a stream, in whatever pieces they come.

use std::fmt;

use zeroize::Zeroize;

/// The longest line that is read, without its end.
/// told: the log, by [`TooLong`]; the connection ends.
pub const LINE_LIMIT: usize = 64 << 10;

/// Bytes that have come and are no whole line yet. What was used is wiped: a challenge may be half of a secret.
#[derive(Default)]
pub struct Lines {
    bytes: Vec<u8>,
    used: usize,
}

/// A line has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line longer than {LINE_LIMIT} bytes")
    }
}

impl std::error::Error for TooLong {}

impl Lines {
    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes[..self.used].zeroize();
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line, without its end.
    ///
    /// # Errors
    /// There is more than [`LINE_LIMIT`] without an end.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let rest = &self.bytes[self.used..];
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) if end > LINE_LIMIT => Err(TooLong),
            Some(end) => {
                let start = self.used;
                self.used += end + 1;
                Ok(Some(&self.bytes[start..start + end]))
            }
            None if rest.len() > LINE_LIMIT => Err(TooLong),
            None => Ok(None),
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in pieces {
            lines.push(piece);
            while let Ok(Some(line)) = lines.next_line() {
                found.push(line.to_vec());
            }
        }
        found
    }

    #[test]
    fn a_line_without_an_end_is_an_error_and_not_memory() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_LIMIT]);
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"x");
        assert_eq!(lines.next_line(), Err(TooLong));
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_makes_no_difference(
            text in prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..60),
            cut in 0usize..60,
        ) {
            let (head, tail) = text.split_at(cut.min(text.len()));
            prop_assert_eq!(all(&[head, tail]), all(&[&text]));
        }
    }
}
