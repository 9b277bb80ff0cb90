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
    // Nearly everything is plain ASCII.
    if bytes.iter().all(|b| (0x20..0x7f).contains(b))
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return out.push_str(text);
    }
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

/// What a C string literal stands for: the escapes of [`c_escape`], and one to three octal digits. A backslash before
/// anything else stands for that, and one at the end for nothing.
pub fn c_unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let (b'\\', [escaped, after @ ..]) = (first, tail) else {
            if *first != b'\\' {
                out.push(*first);
            }
            continue;
        };
        rest = after;
        out.push(match escaped {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'a' => 0x07,
            b'b' => 0x08,
            b'v' => 0x0b,
            b'f' => 0x0c,
            b'0'..=b'7' => {
                // told: nobody; an octal escape has three digits, the rest is text.
                let digits = tail.iter().take(3).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
                rest = &tail[digits..];
                tail[..digits].iter().fold(0u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit - b'0'))
            }
            other => *other,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_escaped_is_what_it_was() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(c_unescape(&c_escape(&all)), all);
        assert_eq!(c_unescape(r"\t\40!\\x\q\"), b"\t !\\xq");
    }

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
