//! Strings of JSON (RFC 8259 section 7).

use std::fmt::Write;

/// A JSON string, with its quotes; control characters are escaped.
pub fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    if text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\') {
        out.push_str(text);
        out.push('"');
        return out;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A JSON string of bytes that need not be UTF-8. What is not stays as it is, as in Postfix's: whoever asked for such
/// keys and values gets them back.
pub fn json_bytes(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for chunk in text.utf8_chunks() {
        let quoted = json_string(chunk.valid());
        out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
        out.extend_from_slice(chunk.invalid());
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_stay_in_a_string_as_they_are() {
        assert_eq!(json_bytes(b"a\"\xff\x01\xc3\xa9\xc3"), b"\"a\\\"\xff\\u0001\xc3\xa9\xc3\"");
        assert_eq!(json_bytes(b""), b"\"\"");
    }

    #[test]
    fn quotes_backslashes_and_control_characters_are_escaped() {
        assert_eq!(json_string("a\"b\\c\n\u{7f}/\u{e9}"), "\"a\\\"b\\\\c\\n\\u007F/\u{e9}\"");
    }
}
