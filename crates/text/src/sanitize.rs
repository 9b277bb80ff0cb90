//! Making foreign bytes harmless before a person or a program reads them.

use std::fmt::Write;

/// The form in which text may enter a log line: control characters and invalid UTF-8 become `?`, valid UTF-8 is kept.
pub fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    printable_into(bytes, &mut out);
    out
}

/// [`printable`], appended to a buffer that the caller keeps.
pub fn printable_into(bytes: &[u8], out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            out.push(if c.is_control() { '?' } else { c });
        }
        for _ in chunk.invalid() {
            out.push('?');
        }
    }
}

/// Every byte that is not printable ASCII (0x20 to 0x7e) becomes `?`.
pub fn printable_ascii(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| if (0x20..0x7f).contains(&b) { b as char } else { '?' }).collect()
}

/// Bytes as a C string literal shows them: `\r`, `\n`, `\t`, `\\`, and three octal digits for other non-printables.
pub fn c_escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &b in bytes {
        match b {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            0x0b => out.push_str("\\v"),
            0x0c => out.push_str("\\f"),
            b'\\' => out.push_str("\\\\"),
            0x20..0x7f => out.push(b as char),
            // Writing to a String does not fail.
            _ => {
                let _ = write!(out, "\\{b:03o}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_broken_utf8_never_reach_a_log() {
        assert_eq!(printable(b"a\r\nb\x00\xff\xc3\xa9"), "a??b??\u{e9}");
        assert_eq!(printable("\u{85}x".as_bytes()), "?x");
    }

    #[test]
    fn ascii_only_text_replaces_every_other_byte() {
        assert_eq!(printable_ascii("é ok\t".as_bytes()), "?? ok?");
    }

    #[test]
    fn escapes_are_those_of_c() {
        assert_eq!(c_escape(b"MAIL\r\n\x01\\"), "MAIL\\r\\n\\001\\\\");
    }
}
