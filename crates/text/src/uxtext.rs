//! utf-8-addr-xtext, the encoding of an address in ORCPT whose type is utf-8 (RFC 6533 section 3).
//!
//! It is ASCII, for servers that have not SMTPUTF8. What comes from a server that has it may stand there in UTF-8.

use std::fmt::Write;

/// `\x{HEX}` for `+`, `=`, `\` and every character outside 33..=126. A byte that belongs to no character is U+FFFD: the
/// encoding has no other name for it.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut put = |c: char| match c {
        '!'..='~' if !matches!(c, '+' | '=' | '\\') => out.push(c),
        // Writing to a String does not fail.
        _ => drop(write!(out, "\\x{{{:02X}}}", u32::from(c))),
    };
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(&mut put);
        if !chunk.invalid().is_empty() {
            put(char::REPLACEMENT_CHARACTER);
        }
    }
    out
}

/// The text that it stands for; `None` where a `\x{` is not followed by the number of a character and `}`.
pub fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        let Some(number) = rest.strip_prefix(b"\\x{") else {
            out.push(byte);
            rest = after;
            continue;
        };
        let end = number.iter().position(|byte| *byte == b'}')?;
        let digits = std::str::from_utf8(&number[..end]).ok().filter(|digits| !digits.starts_with('+'))?;
        let c = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &number[end + 1..];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_undoes_encoding() {
        let all: String = (0..=0x2ff).chain(0x1f600..0x1f610).filter_map(char::from_u32).collect();
        let encoded = encode(all.as_bytes());
        assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(decode(encoded.as_bytes()), Some(all.into_bytes()));
        assert_eq!(encode("j\u{fc}+x@\u{1f600}".as_bytes()), "j\\x{FC}\\x{2B}x@\\x{1F600}");
        assert_eq!(encode(b"j\xfc@d"), "j\\x{FFFD}@d");
    }

    #[test]
    fn what_names_no_character_is_refused() {
        for text in ["\\x{}", "\\x{41", "\\x{D800}", "\\x{110000}", "\\x{+41}", "\\x{1FFFFFFFF}", "\\x{g}"] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decode(b"a\\b\\x"), Some(b"a\\b\\x".to_vec()));
    }
}
