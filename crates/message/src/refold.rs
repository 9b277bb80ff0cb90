//! A header whose addresses were changed is written anew: one blank where blanks mean something, none elsewhere, and
//! line breaks behind commas.
//!
//! It must never change a word, a quoted string or a comment: only what stands between them.

/// A line is shorter than this, where commas permit it; the TAB of a continuation does not count.
const WIDTH: usize = 70;

/// What a piece of a header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// An atom, a quoted string, a domain literal or a comment.
    Word,
    /// `<`.
    Open,
    /// `:` that ends the name of a group.
    Colon,
    /// `,`.
    Comma,
    /// Anything else that stands for itself.
    Special,
}

/// The header `name` with this value, in lines that newlines separate; it holds no line break that is not followed by a TAB.
pub fn refold(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = [name, b":"].concat();
    let mut line_start = 0;
    let mut elements = elements(value).into_iter().peekable();
    let mut first = true;
    while let Some(mut element) = elements.next() {
        if elements.peek().is_some() {
            element.push(b',');
        }
        let length = out.len() - line_start + 1 + element.len();
        if !first && length >= WIDTH {
            out.extend_from_slice(b"\n\t");
            line_start = out.len();
        } else {
            out.push(b' ');
        }
        out.extend_from_slice(&element);
        first = false;
    }
    out
}

/// What stands between commas.
fn elements(value: &[u8]) -> Vec<Vec<u8>> {
    let mut elements = vec![Vec::new()];
    let mut before: Option<Piece> = None;
    let mut in_brackets = false;
    let mut rest = value;
    while let Some((mut piece, length)) = piece(rest) {
        let (text, after) = rest.split_at(length);
        rest = after;
        if text[0].is_ascii_whitespace() {
            continue;
        }
        match piece {
            Piece::Open => in_brackets = true,
            Piece::Special if text == b">" => in_brackets = false,
            Piece::Colon | Piece::Comma if in_brackets => piece = Piece::Special, // a source route
            _ => {}
        }
        if piece == Piece::Comma {
            elements.push(Vec::new());
            before = None;
            continue;
        }
        // cannot fail: there is always a last element
        let Some(element) = elements.last_mut() else { break };
        let apart = matches!((before, piece), (Some(Piece::Word), Piece::Word | Piece::Open) | (Some(Piece::Colon), _));
        if apart && !element.is_empty() {
            element.push(b' ');
        }
        element.extend(text.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }));
        before = Some(piece);
    }
    elements.retain(|element| !element.is_empty());
    elements
}

/// The first piece of the text and its length.
fn piece(text: &[u8]) -> Option<(Piece, usize)> {
    let found = match text.first()? {
        b'"' => (Piece::Word, enclosed(text, b'"')),
        b'(' => (Piece::Word, comment(text)),
        b'[' => (Piece::Word, enclosed(text, b']')),
        b'<' => (Piece::Open, 1),
        b':' => (Piece::Colon, 1),
        b',' => (Piece::Comma, 1),
        b if b.is_ascii_whitespace() => (Piece::Special, 1),
        b if is_special(*b) => (Piece::Special, 1),
        _ => {
            let end = text.iter().position(|b| b.is_ascii_whitespace() || is_special(*b) || b"\"([<:,".contains(b));
            (Piece::Word, end.unwrap_or(text.len()))
        }
    };
    Some(found)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'>' | b';' | b'@' | b'.' | b')' | b']')
}

/// The length of a quoted string or literal.
fn enclosed(text: &[u8], end: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b if *b == end => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn comment(text: &[u8]) -> usize {
    let (mut depth, mut escaped) = (0usize, false);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(value: &str) -> String {
        String::from_utf8(refold(b"To", value.as_bytes())).unwrap()
    }

    #[test]
    fn blanks_stand_where_postfix_has_them() {
        assert_eq!(folded(" a <b@c> (c), (d) e (f) <g@h>"), "To: a <b@c>(c), (d) e (f) <g@h>");
        assert_eq!(folded("b@c,   carol\n   <c@d> ,\n \"q,  n\" <d@e>"), "To: b@c, carol <c@d>, \"q,  n\" <d@e>");
        assert_eq!(folded("Joe . Q. Public <c@d>, \"a\" b \"c\" <e@f>"), "To: Joe.Q.Public <c@d>, \"a\" b \"c\" <e@f>");
        assert_eq!(folded("g: a@b, b@c ;, <e@f>"), "To: g: a@b, b@c;, <e@f>");
        assert_eq!(folded(" bob@b (a\n b)"), "To: bob@b (a  b)");
        assert_eq!(folded("a . b @ c"), "To: a.b@c");
    }

    #[test]
    fn lines_are_shorter_than_seventy_characters() {
        let filled = |width: usize| format!("bob@mail.test, {}@y.test, c@d.test", "x".repeat(width));
        assert!(folded(&filled(42)).starts_with(&format!("To: bob@mail.test, {}@y.test,\n\t", "x".repeat(42))));
        assert!(folded(&filled(43)).starts_with("To: bob@mail.test,\n\tx"));
        let line = |width| folded(&filled(width)).lines().count();
        assert_eq!((line(52), line(53)), (2, 3));
    }

    proptest! {
        #[test]
        fn only_blanks_and_line_ends_change(value in "[ab \t\n\"\\\\()<>@,;:.\\[\\]]{0,60}") {
            let kept = |text: &[u8]| text.iter().filter(|b| !b.is_ascii_whitespace() && **b != b',').copied().collect::<Vec<_>>();
            prop_assert_eq!(kept(&refold(b"", value.as_bytes())), kept(&[b":", value.as_bytes()].concat()));
        }
    }
}
