//! Encoded words (RFC 2047): text beyond ASCII in a display name or a comment.
//!
//! No byte of the text goes out as it is unless it may stand anywhere in a header: a text cannot end its word, its
//! phrase or its line.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// RFC 2047 section 2: the longest encoded word.
/// told: nobody; the next word follows.
const LONGEST: usize = 75;
/// A shorter text stays readable, whatever is in it.
const SHORT: usize = 20;

/// The words of a text; a reader puts them together without the blanks between them. `charset` is what the text is
/// written in, which nobody looks at.
pub fn encode(text: &[u8], charset: &str) -> Vec<String> {
    let special = text.iter().filter(|byte| !byte.is_ascii_alphanumeric()).count();
    // Base64 is shorter where much has to be encoded.
    let is_readable = text.len() < SHORT || special * 5 <= text.len() * 2;
    let (start, room) = {
        let start = format!("=?{charset}?{}?", if is_readable { 'Q' } else { 'B' });
        let room = LONGEST.saturating_sub(start.len() + 2).max(4);
        (start, room)
    };
    let contents = if is_readable { quoted(text, room) } else { in_base64(text, room) };
    contents.into_iter().map(|content| format!("{start}{content}?=")).collect()
}

/// "Q" of RFC 2047 section 4.2, with what section 5 (3) wants of a phrase, in pieces.
fn quoted(text: &[u8], room: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for &byte in text {
        let length = if is_plain(byte) || byte == b' ' { 1 } else { 3 };
        if piece.len() + length > room {
            pieces.push(std::mem::take(&mut piece));
        }
        match byte {
            b' ' => piece.push('_'),
            _ if is_plain(byte) => piece.push(char::from(byte)),
            // cannot fail: a String takes all that is written to it
            _ => drop(write!(piece, "={byte:02X}")),
        }
    }
    pieces.push(piece);
    pieces
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!*+-/".contains(&byte)
}

fn in_base64(text: &[u8], room: usize) -> Vec<String> {
    text.chunks(room / 4 * 3).map(|chunk| STANDARD.encode(chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_readable_unless_much_of_it_is_encoded() {
        for (name, words) in [
            ("J\u{fc}rgen M\u{fc}ller", "=?utf-8?Q?J=C3=BCrgen_M=C3=BCller?="),
            ("J\u{f6}rg (x) \"q\"", "=?utf-8?Q?J=C3=B6rg_=28x=29_=22q=22?="),
            ("\u{65e5}\u{65e5}\u{65e5}\u{65e5}\u{65e5}aaaaa", "=?utf-8?B?5pel5pel5pel5pel5pelYWFhYWE=?="),
            ("a=b_c?\u{e9}", "=?utf-8?Q?a=3Db=5Fc=3F=C3=A9?="),
        ] {
            assert_eq!(encode(name.as_bytes(), "utf-8"), [words], "{name}");
        }
    }

    #[test]
    fn a_long_name_is_several_words_none_of_which_is_too_long() {
        for name in [format!("\u{fc}{}", "x".repeat(200)), "\u{f6}".repeat(200)] {
            let words = encode(name.as_bytes(), "utf-8");
            assert!(words.len() > 2 && words.iter().all(|word| word.len() <= LONGEST), "{words:?}");
        }
        assert_eq!(encode(&[b'x'; 64], "utf-8")[1], "=?utf-8?Q?x?=");
    }

    #[test]
    fn nothing_of_a_text_ends_a_word_or_a_line() {
        let all: Vec<u8> = (0..=255).collect();
        for words in [encode(&all, "utf-8"), encode(&all[..19], "utf-8")] {
            let plain =
                |word: &String| word.bytes().all(|byte| byte.is_ascii_graphic()) && word.matches('?').count() == 4;
            assert!(words.iter().all(plain), "{words:?}");
        }
    }
}
