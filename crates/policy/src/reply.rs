//! What a policy service answers: attributes up to an empty line, of which `action` counts.

use std::fmt;

/// The longest answer: an action is a line for a table, and goes to a client in one reply.
/// told: the log, by [`ReplyError::TooLong`].
pub const MAX_REPLY: usize = 64 << 10;

/// Reads one answer as it comes.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    /// Bytes so far.
    length: usize,
    action: Option<Vec<u8>>,
}

/// An answer that is none. Display is the warning about `SERVER`, as far as [`ReplyError::about`] has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// The connection was closed before a single byte.
    Nothing,
    /// It ended, or nothing more came of it, within an attribute.
    Unfinished {
        /// Nothing more came, as far as it was waited for.
        timed_out: bool,
        /// Behind the `=`.
        in_value: bool,
    },
    /// The empty line came first.
    NoAction,
    /// `action` alone.
    NoValue,
    /// More than [`MAX_REPLY`].
    TooLong,
}

impl ReplyError {
    /// The warning about it; none where the service has just gone.
    pub fn about(self, server: &str) -> Option<String> {
        let part = |in_value| if in_value { "value" } else { "name" };
        Some(match self {
            ReplyError::Nothing => return None,
            ReplyError::Unfinished { timed_out: false, in_value } => {
                format!("premature end-of-input on {server} while reading input attribute {}", part(in_value))
            }
            ReplyError::Unfinished { timed_out: true, in_value } => {
                format!("timeout on {server} while reading input attribute {}", part(in_value))
            }
            ReplyError::NoAction => format!("missing attribute action in input from {server}"),
            ReplyError::NoValue => format!("missing value for string attribute action from {server}"),
            ReplyError::TooLong => format!("input from {server} is longer than {MAX_REPLY} bytes"),
        })
    }
}

impl fmt::Display for ReplyError {
    /// Why there is no answer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReplyError::Unfinished { timed_out: true, .. } => "Connection timed out",
            _ => "Application error",
        })
    }
}

impl std::error::Error for ReplyError {}

/// The end of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What to do, in the words of access(5); may be empty.
    pub action: Vec<u8>,
    /// The service has said more than it was asked: the connection is good for nothing else.
    pub excess: bool,
}

impl Reader {
    /// Takes what has come; the answer once it is complete.
    ///
    /// # Errors
    /// It is none.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Answer>, ReplyError> {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            self.length += 1;
            if self.length > MAX_REPLY {
                return Err(ReplyError::TooLong);
            }
            if *byte != b'\n' {
                self.line.push(*byte);
            } else if self.line.is_empty() {
                let action = self.action.take().ok_or(ReplyError::NoAction)?;
                return Ok(Some(Answer { action, excess: !rest.is_empty() }));
            } else {
                self.end_line()?;
            }
        }
        Ok(None)
    }

    /// The first `action` counts; other attributes are of later versions of the protocol.
    fn end_line(&mut self) -> Result<(), ReplyError> {
        let line = std::mem::take(&mut self.line);
        let equals = line.iter().position(|byte| *byte == b'=');
        match (line.split_at(equals.unwrap_or(line.len())), equals) {
            ((b"action", _), None) => return Err(ReplyError::NoValue),
            ((b"action", value), Some(_)) if self.action.is_none() => {
                // As a program that has C strings sees it.
                let value = value[1..].split(|byte| *byte == 0).next().unwrap_or_default();
                self.action = Some(value.to_vec());
            }
            _ => {}
        }
        Ok(())
    }

    /// Nothing more comes.
    pub fn end(&self, timed_out: bool) -> ReplyError {
        match self.length {
            0 => ReplyError::Nothing,
            _ => ReplyError::Unfinished { timed_out, in_value: self.line.contains(&b'=') },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Option<Answer>, ReplyError> {
        Reader::default().push(text)
    }

    fn action(text: &[u8]) -> Option<String> {
        read(text).ok().flatten().map(|answer| String::from_utf8(answer.action).unwrap())
    }

    #[test]
    fn the_first_action_counts_and_what_else_is_said_does_not() {
        assert_eq!(action(b"action=dunno\n\n"), Some("dunno".to_owned()));
        assert_eq!(action(b"x=y\naction=a=b\naction=c\nz\n\n"), Some("a=b".to_owned()));
        assert_eq!(action(b"action=\n\n"), Some(String::new()));
        assert_eq!(action(b"action=reject a\0b\n\n"), Some("reject a".to_owned()));
        let more = read(b"action=dunno\n\naction=reject\n\n").unwrap().unwrap();
        assert!(more.excess);
    }

    #[test]
    fn an_answer_without_an_action_is_none() {
        for text in [&b"\n"[..], b"foo\n\n", b"action = ok\n\n", b"ACTION=ok\n\n"] {
            assert_eq!(read(text), Err(ReplyError::NoAction));
        }
        assert_eq!(read(b"action\n"), Err(ReplyError::NoValue));
        assert_eq!(read(&[b'x'; MAX_REPLY + 1]), Err(ReplyError::TooLong));
        assert_eq!(read(b"action=dunno\r\n\r\n"), Ok(None));
    }

    #[test]
    fn an_answer_that_ends_early_says_where() {
        let end = |text: &[u8]| {
            let mut reader = Reader::default();
            assert_eq!(reader.push(text), Ok(None));
            reader.end(false)
        };
        let unfinished = |in_value| ReplyError::Unfinished { timed_out: false, in_value };
        assert_eq!(end(b""), ReplyError::Nothing);
        assert_eq!(end(b"action=du"), unfinished(true));
        assert_eq!(end(b"action=dunno\n"), unfinished(false));
        assert_eq!(end(b"action"), unfinished(false));
    }
}
