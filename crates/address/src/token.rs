//! The words of RFC 5322 structured fields, with their place in the text.
//!
//! Every byte of the input belongs to exactly one token, so a reader of tokens can put the text together again. What is
//! not terminated (a quoted string, a comment, a domain literal) ends where the text ends.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Blanks, tabs, line ends.
    Space,
    /// `(...)`, nested comments included.
    Comment,
    /// `"..."`
    Quoted,
    /// `[...]`
    Literal,
    /// Any run of other characters, quoted pairs included.
    Atom,
    /// One of `<>@,;:.`, a stray `)` or `]`, or one of the operators of other networks and of alias files, `!%|`.
    Special(u8),
}

/// A token: its kind and the bytes it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it stands, never empty.
    pub range: Range<usize>,
}

impl Token {
    /// True for what a reader of addresses skips.
    pub fn is_blank(&self) -> bool {
        matches!(self.kind, Kind::Space | Kind::Comment)
    }

    /// True for what can be an address or a part of a phrase by itself.
    pub fn is_word(&self) -> bool {
        matches!(self.kind, Kind::Atom | Kind::Quoted | Kind::Literal)
    }

    /// `<` or `>`
    pub fn is_bracket(&self) -> bool {
        matches!(self.kind, Kind::Special(b'<' | b'>'))
    }

    /// The token without quotes and backslashes, as it stands in the internal form of an address.
    pub fn internal(&self, text: &[u8]) -> Vec<u8> {
        let bytes = &text[self.range.clone()];
        match self.kind {
            Kind::Atom => unescaped(bytes),
            Kind::Quoted => unescaped(inside(bytes)),
            _ => bytes.to_vec(),
        }
    }
}

/// As much of a text as holds this many tokens that are no blanks; comments count.
pub fn leading_tokens(text: &[u8], most: usize) -> &[u8] {
    // No token is empty.
    if text.len() <= most {
        return text;
    }
    let mut counted = tokens(text).into_iter().filter(|token| token.kind != Kind::Space);
    match counted.nth(most.saturating_sub(1)) {
        // told: the caller, who sees that text is left; blanks alone are none.
        Some(last) if counted.next().is_some() => &text[..last.range.end],
        _ => text,
    }
}

/// All tokens of a text, in order.
pub fn tokens(text: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(&first) = text.get(start) {
        let (kind, end) = match first {
            b if b.is_ascii_whitespace() || b == 0x0b => (Kind::Space, run(text, start, is_space)),
            b'(' => (Kind::Comment, comment(text, start)),
            b'"' => (Kind::Quoted, enclosed(text, start, b'"')),
            b'[' => (Kind::Literal, enclosed(text, start, b']')),
            b if is_special(b) => (Kind::Special(b), start + 1),
            _ => (Kind::Atom, atom(text, start)),
        };
        tokens.push(Token { kind, range: start..end });
        start = end;
    }
    tokens
}

fn is_space(b: u8) -> bool {
    b.is_ascii_whitespace() || b == 0x0b
}

fn is_special(b: u8) -> bool {
    b"<>@,;:.)]!%|".contains(&b)
}

fn run(text: &[u8], start: usize, belongs: fn(u8) -> bool) -> usize {
    text[start..].iter().position(|&b| !belongs(b)).map_or(text.len(), |n| start + n)
}

fn atom(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(&b) = text.get(at) {
        match b {
            b'\\' => at += 2,
            b'(' | b'"' | b'[' => break,
            b if is_space(b) || is_special(b) => break,
            _ => at += 1,
        }
    }
    // told: nobody; a backslash at the end has nothing behind it.
    at.min(text.len())
}

fn enclosed(text: &[u8], start: usize, close: u8) -> usize {
    let mut at = start + 1;
    while let Some(&b) = text.get(at) {
        at += if b == b'\\' { 2 } else { 1 };
        if b == close {
            break;
        }
    }
    // told: nobody; as above.
    at.min(text.len())
}

/// What stands between the quotes of a quoted string, which need not be terminated.
fn inside(quoted: &[u8]) -> &[u8] {
    let inner = quoted.strip_prefix(b"\"").unwrap_or(quoted);
    // A quote behind an odd number of backslashes is a part of the text.
    match inner.strip_suffix(b"\"") {
        Some(rest) if rest.iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 0 => rest,
        _ => inner,
    }
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&b) = bytes.next() {
        match b {
            b'\\' => plain.extend(bytes.next()),
            _ => plain.push(b),
        }
    }
    plain
}

fn comment(text: &[u8], start: usize) -> usize {
    let mut depth = 0usize;
    let mut at = start;
    while let Some(&b) = text.get(at) {
        at += if b == b'\\' { 2 } else { 1 };
        match b {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    // told: nobody; as above.
    at.min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_leading_tokens_of_a_text_end_where_the_last_of_them_ends() {
        for (most, kept) in [
            (1, "\"x y\""),
            (2, "\"x y\" <"),
            (7, "\"x y\" <a@b.c"),
            (9, "\"x y\" <a@b.c>,"),
            (10, "\"x y\" <a@b.c>, (one)"),
            (11, "\"x y\" <a@b.c>, (one) z "),
            (99, "\"x y\" <a@b.c>, (one) z "),
        ] {
            assert_eq!(leading_tokens(b"\"x y\" <a@b.c>, (one) z ", most), kept.as_bytes(), "{most}");
        }
    }

    proptest! {
        #[test]
        fn every_byte_belongs_to_one_token(text in "[a \t\n\"\\\\()<>@,;:.\\[\\]!%]{0,40}") {
            let mut end = 0;
            for token in tokens(text.as_bytes()) {
                prop_assert_eq!(token.range.start, end);
                prop_assert!(token.range.end > end);
                end = token.range.end;
            }
            prop_assert_eq!(end, text.len());
        }
    }

    #[test]
    fn comments_nest_and_quotes_escape() {
        let text = b"(a(b)\\)c)\"x\\\"y\"[1]z";
        let kinds: Vec<_> = tokens(text).into_iter().map(|t| t.kind).collect();
        assert_eq!(kinds, [Kind::Comment, Kind::Quoted, Kind::Literal, Kind::Atom]);
    }
}
