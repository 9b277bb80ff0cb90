//! Bytes that are mostly UTF-8 as a `String`, and back without loss.
//!
//! A byte that belongs to no character becomes one of the last 128 code points, which nobody assigns; so that the way
//! back is unambiguous, what already is one of those counts as four such bytes.

/// Stands for the byte 0; bytes from 0x80 on are in use.
const BASE: u32 = 0x10_ff00;

/// Any bytes as text.
pub fn decode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match byte_of(c) {
                None => out.push(c),
                Some(_) => out.extend(c.encode_utf8(&mut [0; 4]).bytes().filter_map(char_of)),
            }
        }
        out.extend(chunk.invalid().iter().copied().filter_map(char_of));
    }
    out
}

/// The bytes that [`decode`] made the text of.
pub fn encode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => out.push(byte),
            None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// How many bytes [`encode`] makes of the text.
pub fn encoded_len(text: &str) -> usize {
    text.chars().map(|c| if byte_of(c).is_some() { 1 } else { c.len_utf8() }).sum()
}

/// The text with U+FFFD for bytes that belong to no character: for those who take nothing but UTF-8.
pub fn to_utf8(text: &str) -> String {
    text.chars().map(|c| if byte_of(c).is_some() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn byte_of(c: char) -> Option<u8> {
    let byte = u8::try_from(u32::from(c).checked_sub(BASE)?).ok()?;
    (byte >= 0x80).then_some(byte)
}

fn char_of(byte: u8) -> Option<char> {
    char::from_u32(BASE + u32::from(byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_of_no_character_are_kept_and_counted_as_one() {
        let text = decode(b"caf\xe9 caf\xc3\xa9");
        assert_eq!(encode(&text), b"caf\xe9 caf\xc3\xa9");
        assert_eq!((encoded_len(&text), to_utf8(&text).as_str()), (10, "caf\u{fffd} caf\u{e9}"));
        assert_eq!(encode(&decode("\u{10ffe9}".as_bytes())), "\u{10ffe9}".as_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in any::<Vec<u8>>(), text in any::<String>()) {
            prop_assert_eq!(encode(&decode(&bytes)), &bytes[..]);
            prop_assert_eq!(encoded_len(&decode(&bytes)), bytes.len());
            prop_assert_eq!(encode(&decode(text.as_bytes())), text.as_bytes());
        }
    }
}
