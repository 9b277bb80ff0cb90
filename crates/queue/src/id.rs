//! Queue identifiers: the name of a queue file, short or long form.
//!
//! A name is unique because the inode number is part of it for as long as the file exists. That is why a file's name
//! must match its inode, and why no lock or counter is needed to make one. This module must never accept a name that
//! could leave its directory: letters, digits and `_` are all a queue identifier is made of.

use std::fmt;
use std::time::Duration;

/// Digits of the long form; the last one, `z`, separates time and inode.
const ALPHABET: &[u8; 52] = b"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
const SEPARATOR: u8 = b'z';
/// Digits of the microseconds in the long form.
const LONG_USEC: usize = 4;
/// Smallest number of digits of the seconds in the long form.
const LONG_SEC: usize = 6;
/// Digits of the microseconds in the short form.
const SHORT_USEC: usize = 5;
/// Longest name that is still an identifier.
/// told: the caller; a longer one is no identifier.
const MAX_LENGTH: usize = 255;

/// The name of a message in the queue: 1 to 255 letters, digits and underscores.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(Box<str>);

impl QueueId {
    /// The identifier spelled by `name`, or nothing when it is not one.
    pub fn parse(name: &[u8]) -> Option<Self> {
        let valid = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        if name.is_empty() || name.len() > MAX_LENGTH || !name.iter().all(valid) {
            return None;
        }
        let text = std::str::from_utf8(name).ok()?;
        Some(Self(text.into()))
    }

    /// The short form (`enable_long_queue_ids = no`): microseconds and inode in hexadecimal.
    pub fn short(now: Duration, inode: u64) -> Self {
        Self(format!("{:05X}{:X}", now.subsec_micros(), inode).into())
    }

    /// The long form (`enable_long_queue_ids = yes`): not reused before the clock comes round.
    pub fn long(now: Duration, inode: u64) -> Self {
        let mut name = digits(now.as_secs(), 52, LONG_SEC);
        name.push_str(&digits(u64::from(now.subsec_micros()), 52, LONG_USEC));
        name.push(char::from(SEPARATOR));
        name.push_str(&digits(inode, 51, 1));
        Self(name.into())
    }

    /// The form that `long` asks for.
    pub fn new(now: Duration, inode: u64, long: bool) -> Self {
        if long { Self::long(now, inode) } else { Self::short(now, inode) }
    }

    /// The same name with another inode: what a file gets that came from another disk.
    pub fn with_inode(&self, inode: u64) -> Self {
        let (head, digits) = match self.separator() {
            Some(at) => (&self.0[..=at], digits(inode, 51, 1)),
            None => (self.0.get(..SHORT_USEC).unwrap_or(&self.0), format!("{inode:X}")),
        };
        Self(format!("{head}{digits}").into())
    }

    /// The name as it stands in the directory and in the log.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// True for the long form: the last `z` comes after seconds and microseconds.
    pub fn is_long(&self) -> bool {
        self.separator().is_some()
    }

    /// The inode number that the name claims; nothing when the name holds none.
    pub fn inode(&self) -> Option<u64> {
        match self.separator() {
            Some(at) => number(self.as_bytes().get(at + 1..)?, 51),
            None => {
                let text = self.0.get(SHORT_USEC..)?;
                // A sign would be accepted by from_str_radix.
                let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
                if hex { u64::from_str_radix(text, 16).ok() } else { None }
            }
        }
    }

    /// The microseconds that the name claims.
    pub fn micros(&self) -> Option<u32> {
        let micros = match self.separator() {
            Some(at) => number(self.as_bytes().get(at - LONG_USEC..at)?, 52)?,
            None => u64::from_str_radix(self.0.get(..SHORT_USEC)?, 16).ok()?,
        };
        u32::try_from(micros).ok()
    }

    /// The characters that name the subdirectories of a hashed queue, without end: what the name lacks is `_`.
    pub(crate) fn hash_characters(&self) -> impl Iterator<Item = u8> {
        let long = self.separator().and(self.micros()).map(|micros| format!("{micros:05X}"));
        let text = long.unwrap_or_else(|| self.0.to_string());
        text.into_bytes().into_iter().chain(std::iter::repeat(b'_'))
    }

    fn separator(&self) -> Option<usize> {
        let at = self.as_bytes().iter().rposition(|b| *b == SEPARATOR)?;
        (at >= LONG_SEC + LONG_USEC).then_some(at)
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `value` in the safe alphabet, padded with zeros to `width`.
fn digits(mut value: u64, base: u64, width: usize) -> String {
    let mut reversed = Vec::with_capacity(16);
    while value > 0 {
        // cannot fail: the remainder is below 52
        reversed.push(ALPHABET[(value % base) as usize]);
        value /= base;
    }
    while reversed.len() < width {
        reversed.push(ALPHABET[0]);
    }
    reversed.iter().rev().map(|b| char::from(*b)).collect()
}

/// The number that `text` spells in the safe alphabet.
fn number(text: &[u8], base: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, byte| {
        let digit = ALPHABET.iter().position(|b| b == byte)? as u64;
        if digit >= base {
            return None;
        }
        value.checked_mul(base)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_microseconds_and_inode_in_hexadecimal() {
        let id = QueueId::short(Duration::new(1, 0xDAD8C * 1000), 5_579_030);
        assert_eq!(id.as_str(), "DAD8C552116");
        assert_eq!(id.inode(), Some(5_579_030));
        assert_eq!(id.micros(), Some(0xDAD8C));
        assert!(!id.is_long());
    }

    #[test]
    fn a_long_name_is_seconds_microseconds_and_inode_in_a_safe_alphabet() {
        let id = QueueId::long(Duration::new(1_795_346_012, 520_416_000), 5_578_954);
        assert_eq!(id.as_str(), "4jXRJr3hS0zp2vF");
        assert_eq!(id.inode(), Some(5_578_954));
        assert_eq!(id.micros(), Some(520_416));
        assert!(id.is_long());
    }

    #[test]
    fn a_name_can_be_given_another_inode() {
        for name in ["DAD8C552116", "4jXRJr3hS0zp2vF"] {
            let id = QueueId::parse(name.as_bytes()).unwrap();
            let other = id.with_inode(77);
            assert_eq!((other.inode(), other.micros(), other.is_long()), (Some(77), id.micros(), id.is_long()));
        }
    }

    #[test]
    fn hash_characters_are_the_name_or_the_microseconds_in_hexadecimal() {
        let hash = |name: &str| -> String {
            QueueId::parse(name.as_bytes()).unwrap().hash_characters().take(6).map(char::from).collect()
        };
        assert_eq!(hash("DAD8C552116"), "DAD8C5");
        assert_eq!(hash("4jXRJr3hS0zp2vF"), "7F0E0_");
        assert_eq!(hash("AB"), "AB____");
    }

    #[test]
    fn names_that_could_leave_the_directory_are_not_identifiers() {
        for name in ["", ".", "..", "a/b", "a.b", "a b", "a\0", "é"] {
            assert_eq!(QueueId::parse(name.as_bytes()), None, "{name:?}");
        }
        assert!(QueueId::parse(&[b'A'; 255]).is_some());
        assert!(QueueId::parse(&[b'A'; 256]).is_none());
    }

    #[test]
    fn a_name_without_an_inode_has_none() {
        for name in ["ABCDE", "ABCDEXYZ", "0000000000z", "ABCDE+12"] {
            assert_eq!(QueueId::parse(name.as_bytes()).and_then(|id| id.inode()), None, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn both_forms_give_back_inode_and_microseconds(sec in 0u64..1 << 40, usec in 0u32..1_000_000, inode: u64) {
            let now = Duration::new(sec, usec * 1000);
            for long in [false, true] {
                let id = QueueId::new(now, inode, long);
                proptest::prop_assert_eq!(id.inode(), Some(inode));
                proptest::prop_assert_eq!(id.micros(), Some(usec));
                proptest::prop_assert_eq!(id.is_long(), long);
                proptest::prop_assert_eq!(QueueId::parse(id.as_bytes()), Some(id));
            }
        }
    }
}
