//! Domain names as they travel (RFC 1035 3.1, 4.1.4).
//!
//! A name of an answer comes from a stranger and may hold any bytes. Its text is only what log lines quote and what is
//! checked for being a host name or an address: an ordinary name comes out as it was written in the zone, without
//! escapes.

use std::fmt;

/// Longest name on the wire, lengths and final zero included (RFC 1035 2.3.4).
/// told: the caller; a longer one is no name.
const LONGEST: usize = 255;
/// Longest label.
/// told: the caller; a longer one is no name.
const LONGEST_LABEL: usize = 63;
/// Pointers that are followed in one name: more than any honest compression has.
/// told: the caller; the answer makes no sense.
const MOST_POINTERS: usize = 64;

/// A name in wire form, without compression.
#[derive(Clone, Debug)]
pub(crate) struct Name(Vec<u8>);

impl Name {
    /// A host name with or without a final dot; `None` if a label is empty or too long, or the whole is.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.') {
            let length = u8::try_from(label.len()).ok().filter(|length| (1..=LONGEST_LABEL as u8).contains(length))?;
            wire.push(length);
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        (wire.len() <= LONGEST).then_some(Self(wire))
    }

    /// The root.
    pub(crate) fn root() -> Self {
        Self(vec![0])
    }

    /// Reads the name that begins at `start` of a message, and gives the place after it. `None`: it runs out of the
    /// message, is too long, or its pointers lead nowhere.
    pub(crate) fn read(message: &[u8], start: usize) -> Option<(Self, usize)> {
        let (mut at, mut end, mut pointers) = (start, None, 0);
        let mut wire = Vec::new();
        loop {
            let length = *message.get(at)?;
            match length {
                0 => {
                    wire.push(0);
                    return (wire.len() <= LONGEST).then_some((Self(wire), end.unwrap_or(at + 1)));
                }
                1..=63 => {
                    let next = at + 1 + usize::from(length);
                    wire.extend_from_slice(message.get(at..next)?);
                    if wire.len() > LONGEST {
                        return None;
                    }
                    at = next;
                }
                192.. => {
                    pointers += 1;
                    if pointers > MOST_POINTERS {
                        return None;
                    }
                    end = end.or(Some(at + 2));
                    at = usize::from(u16::from_be_bytes([length & 63, *message.get(at + 1)?]));
                }
                _ => return None,
            }
        }
    }

    /// The wire form.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The root: in a mail exchanger's place it means that there is none (RFC 7505).
    pub(crate) fn is_root(&self) -> bool {
        self.0 == [0]
    }

    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first().filter(|(length, _)| **length > 0)?;
            let (label, next) = after.split_at_checked(usize::from(*length))?;
            rest = next;
            Some(label)
        })
    }
}

impl PartialEq for Name {
    /// RFC 4343: letters without their case. A length is never a letter.
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl fmt::Display for Name {
    /// Without final dot; RFC 1035 5.1 escapes for what would be read as something else, as the system's resolver has
    /// them.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, label) in self.labels().enumerate() {
            if at > 0 {
                out.write_str(".")?;
            }
            for byte in label {
                match byte {
                    b'.' | b';' | b'\\' | b'(' | b')' | b'@' | b'$' | b'"' => write!(out, "\\{}", char::from(*byte))?,
                    b'!'..=b'~' => write!(out, "{}", char::from(*byte))?,
                    _ => write!(out, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_in_the_place_of_a_name_comes_out_as_it_stands_in_the_zone() {
        for text in ["2001:db8::5", "127.0.0.5", "mx_a.example", "-a.example"] {
            let wire = Name::parse(text).unwrap();
            let read = Name::read(wire.wire(), 0).unwrap().0;
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_host_name_is_escaped() {
        let name = Name::read(b"\x04mx.o\x03a b\x02\xfc\n\0", 0).unwrap().0;
        assert_eq!(name.to_string(), "mx\\.o.a\\032b.\\252\\010");
        assert!(Name::read(b"\0", 0).unwrap().0.is_root());
    }

    #[test]
    fn pointers_are_followed_and_those_in_a_circle_are_not() {
        let message = b"\x01a\x04test\0\x03www\xc0\x02";
        let (name, end) = Name::read(message, 8).unwrap();
        assert_eq!((name.to_string().as_str(), end), ("www.test", message.len()));
        assert_eq!(Name::read(b"\xc0\0", 0), None);
        assert_eq!(Name::read(b"\x01a\xc0\0", 0), None);
    }

    #[test]
    fn names_are_equal_in_any_case_of_letters() {
        assert_eq!(Name::parse("A.tEst."), Name::parse("a.Test"));
        assert_ne!(Name::parse("a.test"), Name::parse("b.test"));
    }

    #[test]
    fn too_long_labels_and_names_are_none() {
        assert_eq!(Name::parse(&"x".repeat(64)), None);
        assert_eq!(Name::parse(&vec!["x".repeat(63); 5].join(".")), None);
        assert_eq!(Name::parse("a..b"), None);
        assert_eq!(Name::parse(""), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_read_is_bounded(bytes: Vec<u8>, start in 0usize..40) {
            if let Some((name, _)) = Name::read(&bytes, start) {
                prop_assert!(name.wire().len() <= LONGEST);
                let _ = name.to_string();
            }
        }
    }
}
