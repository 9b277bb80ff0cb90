//! Lists of addresses as people write them into alias files, `.forward` files and settings: RFC 5322 with Postfix's
//! tolerance, each address in internal form.
//!
//! Blanks and comments separate nothing by themselves: two words that stand side by side are two addresses, and blanks
//! beside an operator (`. @ % ! : |`) do not count, so that `| /bin/cat` and `|/bin/cat` are one thing. Must never make
//! one address of two, or lose one, whatever the text is.

use std::collections::VecDeque;

use crate::token::{Kind, Token, tokens};

/// The addresses of a list, in order and in internal form. `<>` is no address, `""` is the empty one.
///
/// ```
/// let found = address::list(b"Wile E. Coyote <wile@example.com>, \"a b\"@c | x");
/// assert_eq!(found, [&b"wile@example.com"[..], b"a b@c|x"]);
/// ```
pub fn list(text: &[u8]) -> Vec<Vec<u8>> {
    let tokens: Vec<Token> = tokens(text).into_iter().filter(|token| !token.is_blank()).collect();
    let mut reader = Reader { text, tokens: &tokens, found: VecDeque::new(), words: Vec::new(), in_group: false };
    let mut at = tokens.len();
    while at > 0 {
        at = reader.step(at - 1);
    }
    reader.flush();
    reader.found.into()
}

/// Reads from the end: what a `:` means is known only to who has seen whether a `;` follows, and what words before a
/// `<` are to who has seen the `>`.
struct Reader<'a> {
    text: &'a [u8],
    tokens: &'a [Token],
    found: VecDeque<Vec<u8>>,
    /// The words of one address, the last first.
    words: Vec<&'a Token>,
    in_group: bool,
}

impl Reader<'_> {
    /// Reads the token `at`; returns where to go on: everything from there on is read.
    fn step(&mut self, at: usize) -> usize {
        match self.tokens[at].kind {
            Kind::Special(b',') => self.flush(),
            Kind::Special(b';') => {
                self.flush();
                self.in_group = true;
            }
            Kind::Special(b':') if self.in_group => {
                self.flush();
                self.in_group = false;
                return self.name_before(at);
            }
            Kind::Special(b'>') => {
                self.flush();
                return self.bracketed(at);
            }
            _ => self.word(at),
        }
        at
    }

    /// The address whose `>` stands at `close`, and the display name before it; a `>` without `<` is nothing.
    fn bracketed(&mut self, close: usize) -> usize {
        let opens = |token: &Token| matches!(token.kind, Kind::Special(b'<' | b'>'));
        let open = self.tokens[..close].iter().rposition(opens);
        match open.filter(|&open| self.tokens[open].kind == Kind::Special(b'<')) {
            Some(open) => {
                self.words = self.tokens[open + 1..close].iter().rev().collect();
                self.flush();
                self.name_before(open)
            }
            None => close,
        }
    }

    /// Where the display name or group name that ends before `end` begins.
    fn name_before(&self, end: usize) -> usize {
        let in_group = self.in_group;
        let separates = |token: &Token| match token.kind {
            Kind::Special(b',' | b';' | b'>') => true,
            Kind::Special(b':') => in_group,
            _ => false,
        };
        self.tokens[..end].iter().rposition(separates).map_or(0, |at| at + 1)
    }

    fn word(&mut self, at: usize) {
        let token = &self.tokens[at];
        if token.is_word() && self.words.last().is_some_and(|next| next.is_word()) {
            self.flush();
        }
        self.words.push(token);
    }

    fn flush(&mut self) {
        if !self.words.is_empty() {
            let pieces = self.words.drain(..).rev();
            let address = pieces.flat_map(|token| token.internal(self.text)).collect();
            self.found.push_front(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<String> {
        list(text.as_bytes()).iter().map(|address| String::from_utf8_lossy(address).into_owned()).collect()
    }

    #[test]
    fn words_side_by_side_are_addresses_of_their_own() {
        assert_eq!(texts("a b,c;d\te\n f"), ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(texts("x\"y z\"w"), ["x", "y z", "w"]);
        assert_eq!(texts("a(c)b (c) [d]"), ["a", "b", "[d]"]);
        assert_eq!(texts("a / b"), ["a", "/", "b"]);
        assert_eq!(texts(", ,"), [""; 0]);
    }

    #[test]
    fn blanks_beside_an_operator_do_not_count() {
        for (text, address) in [
            ("| /p", "|/p"),
            ("\t|\t\"/p x\"", "|/p x"),
            ("|(c)/p", "|/p"),
            ("a | b", "a|b"),
            ("a % b", "a%b"),
            ("a ! b", "a!b"),
            ("a . b @ c . d", "a.b@c.d"),
            (": include : /x", ":include:/x"),
            ("alice:bob", "alice:bob"),
        ] {
            assert_eq!(texts(text), [address], "{text}");
        }
        assert_eq!(texts("|/p |/q z"), ["|/p|/q", "z"]);
        assert_eq!(texts("\"|\" /p"), ["|", "/p"]);
    }

    #[test]
    fn names_brackets_and_groups_are_no_addresses() {
        assert_eq!(texts("Al Foo <a@b>, \"C, D\" <c>"), ["a@b", "c"]);
        assert_eq!(texts("a <b> c, <d> <e>"), ["b", "c", "d", "e"]);
        assert_eq!(texts("<>, <>a"), ["a"]);
        assert_eq!(texts("\"\" a"), ["", "a"]);
        assert_eq!(texts("x, g: a, F <b>; c"), ["x", "a", "b", "c"]);
        assert_eq!(texts(":include:/x;"), ["/x"]);
        assert_eq!(texts("a>, b"), ["a", "b"]);
        assert_eq!(texts("<a, |/p <in"), ["<a", "|/p<in"]);
        assert_eq!(texts("<@r,@s:a@b>, @r:c@d"), ["@r,@s:a@b", "@r:c@d"]);
    }

    #[test]
    fn quotes_and_backslashes_protect_and_disappear() {
        assert_eq!(texts(r#""|/p \"x y\" <z>", a\,b, x\ y, "\\a""#), ["|/p \"x y\" <z>", "a,b", "x y", "\\a"]);
        assert_eq!(texts(r#"\a, "b"#), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn every_word_outside_of_names_arrives(words in proptest::collection::vec("[a-z]{1,4}", 0..20)) {
            prop_assert_eq!(texts(&words.join(" ")), words.clone());
            prop_assert_eq!(texts(&words.join(",")), words);
        }

        #[test]
        fn any_text_is_a_list(text in "[ab \t\n\"\\\\()<>@,;:.|\\[\\]]{0,60}") {
            let _ = list(text.as_bytes());
        }
    }
}
