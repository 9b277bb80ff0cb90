//! A header whose addresses were changed is written anew: one blank where blanks mean something, none elsewhere, and
//! line breaks behind commas.
//!
//! It must never change what a word, a quoted string or a comment means: only what stands between them. A word that
//! holds what ends words (`a\,b`) becomes a quoted string, as Postfix has it: there are readers that know no backslash
//! outside of one.

use std::borrow::Cow;

use address::quoted_string;
use address::token::{Kind, Token, tokens};

/// A line is shorter than this, where commas permit it; the TAB of a continuation does not count.
const WIDTH: usize = 70;

/// The header `name` with this value, in lines that newlines separate; it holds no line break that is not followed by a
/// TAB.
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
        // Nothing begins no line: one of blanks alone would end the header for some readers.
        if !first && length >= WIDTH && !element.is_empty() {
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
    let mut reading = Reading::default();
    for token in tokens(value) {
        let is_comma = token.kind == Kind::Special(b',') && !reading.in_brackets;
        if is_comma || reading.begins_anew(&token) {
            elements.push(Vec::new());
            reading = Reading { in_group: reading.in_group, ..Reading::default() };
        }
        // cannot fail: there is always a last element
        let Some(element) = elements.last_mut() else { break };
        if token.kind == Kind::Space || is_comma {
            continue;
        }
        if reading.has_blank_before(token.kind) && !element.is_empty() {
            element.push(b' ');
        }
        element.extend(in_one_line(&written(&token, value)));
        reading.pass(token.kind);
    }
    elements
}

/// Where in an element of the list the reader stands.
#[derive(Default)]
struct Reading {
    before: Option<Kind>,
    /// Between `<` and `>`, where commas and colons are those of a source route.
    in_brackets: bool,
    /// Between `name:` and `;`.
    in_group: bool,
    /// Behind what ends an address.
    is_behind_end: bool,
}

impl Reading {
    /// Words behind the end of an address are the next one, whose comma is missing.
    fn begins_anew(&self, token: &Token) -> bool {
        self.is_behind_end && token.is_word()
    }

    fn has_blank_before(&self, kind: Kind) -> bool {
        match self.before {
            _ if kind == Kind::Special(b'<') => self.before.is_some(),
            Some(Kind::Special(b':')) => !self.in_brackets,
            Some(Kind::Special(_)) | None => false,
            Some(_) => !matches!(kind, Kind::Special(_)),
        }
    }

    fn pass(&mut self, kind: Kind) {
        self.before = Some(kind);
        self.is_behind_end &= kind == Kind::Comment;
        match kind {
            Kind::Special(b'<') => self.in_brackets = true,
            Kind::Special(b'>') => (self.is_behind_end, self.in_brackets) = (self.in_brackets, false),
            Kind::Special(b':') if !self.in_brackets => self.in_group = true,
            Kind::Special(b';') if !self.in_brackets => self.in_group = false,
            _ => {}
        }
    }
}

fn written<'v>(token: &Token, value: &'v [u8]) -> Cow<'v, [u8]> {
    let text = &value[token.range.clone()];
    let needs_quotes = |byte: &u8| *byte == b'\\' || byte.is_ascii_control();
    if token.kind == Kind::Atom && text.iter().any(needs_quotes) {
        return quoted_string(&in_one_line(&token.internal(value)).collect::<Vec<_>>()).into();
    }
    text.into()
}

/// The text with a blank for each line end.
fn in_one_line(text: &[u8]) -> impl Iterator<Item = u8> {
    text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte })
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
        assert_eq!(folded("a, , b,"), "To: a, , b, ");
    }

    #[test]
    fn lines_are_shorter_than_seventy_characters() {
        let filled = |width: usize| format!("bob@mail.test, {}@y.test, c@d.test", "x".repeat(width));
        assert!(folded(&filled(42)).starts_with(&format!("To: bob@mail.test, {}@y.test,\n\t", "x".repeat(42))));
        assert!(folded(&filled(43)).starts_with("To: bob@mail.test,\n\tx"));
        let line = |width| folded(&filled(width)).lines().count();
        assert_eq!((line(52), line(53)), (2, 3));
        for commas in 1..100 {
            let folded = folded(&",".repeat(commas));
            assert!(folded.lines().all(|line| !line.trim().is_empty()), "{folded:?}");
        }
    }

    #[test]
    fn a_word_that_needs_quotes_gets_them_and_is_not_divided() {
        assert_eq!(folded(r"a\,b <c@d>, x@y"), "To: \"a,b\" <c@d>, x@y");
        assert_eq!(folded(r#"a\ b\"c <c@d>"#), "To: \"a b\\\"c\" <c@d>");
        assert_eq!(folded("a\\\n b\u{1} <c@d>"), "To: \"a \" \"b\u{1}\" <c@d>");
    }

    #[test]
    fn operators_of_other_networks_hold_words_together() {
        assert_eq!(folded("a ! b % c | d <e@f>, x] <g@h>"), "To: a!b%c|d <e@f>, x] <g@h>");
    }

    #[test]
    fn words_behind_an_address_are_the_next_one() {
        assert_eq!(folded("<a@b> c@d"), "To: <a@b>, c@d");
        assert_eq!(folded("<a@b><c@d>"), "To: <a@b> <c@d>");
        assert_eq!(folded("g: a@b;<c@d>"), "To: g: a@b; <c@d>");
        assert_eq!(folded("a@b ; c <d@e>"), "To: a@b;c <d@e>");
    }

    proptest! {
        #[test]
        fn words_and_what_stands_for_itself_are_kept(value in "[ab \t\n\"\\\\()<>@,;:.!\\[\\]]{0,60}") {
            let kept = |text: &[u8]| {
                let marks = |t: &Token| !matches!(t.kind, Kind::Space | Kind::Special(b','));
                let kept = tokens(text).into_iter().filter(marks);
                kept.map(|t| in_one_line(&t.internal(text)).collect::<Vec<_>>()).collect::<Vec<_>>()
            };
            prop_assert_eq!(kept(&refold(b"", value.as_bytes())), kept(&[b":", value.as_bytes()].concat()));
        }
    }
}
