//! Address lists of RFC 5322 headers: where each address stands, so that it can be replaced there.
//!
//! Must never count a byte to an address that is not part of it: display names, comments, group names and folding are
//! the author's. Tolerant: whatever the text is, each byte is either kept or part of an address; commas that are
//! missing between addresses are tolerated.

use std::ops::Range;

use crate::token::{Kind, Token, tokens};

/// An address in a header value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The bytes that a replacement takes the place of: from the first to the last word of the address, without angle
    /// brackets.
    pub range: Range<usize>,
    /// The address in external form, without blanks and comments. Empty for `<>`. A source route is included.
    pub address: Vec<u8>,
    /// True if it stands between `<` and `>`.
    pub bracketed: bool,
}

/// The addresses of a header value, in order.
///
/// ```
/// let found = address::mailboxes(b"Wile E. Coyote <wile@example.com>, g: a@b, c (d);");
/// let texts: Vec<_> = found.iter().map(|m| m.address.as_slice()).collect();
/// assert_eq!(texts, [&b"wile@example.com"[..], b"a@b", b"c"]);
/// ```
pub fn mailboxes(value: &[u8]) -> Vec<Mailbox> {
    let tokens: Vec<Token> = tokens(value).into_iter().filter(|token| !token.is_blank()).collect();
    let mut reader = Reader { value, tokens: &tokens, found: Vec::new() };
    let groups = group_names(&tokens);
    let mut phrase = 0; // where the words since the last separator begin
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.kind {
            Kind::Special(b'<') if reader.closes(at) => {
                // The words before are the display name.
                at = reader.bracketed(at);
                phrase = at;
                continue;
            }
            Kind::Special(b':') if groups.binary_search(&at).is_ok() => phrase = at + 1,
            Kind::Special(b',' | b';' | b'>') => {
                reader.bare(phrase, at);
                phrase = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    reader.bare(phrase, tokens.len());
    reader.found
}

struct Reader<'a> {
    value: &'a [u8],
    /// Without blanks and comments.
    tokens: &'a [Token],
    found: Vec<Mailbox>,
}

impl Reader<'_> {
    /// Whether the `<` at `open` has its `>`. One that has none is a part of what stands around it.
    fn closes(&self, open: usize) -> bool {
        self.close_of(open + 1).is_some()
    }

    /// Reads the address after the `<` at `open`; returns the index after its `>`.
    fn bracketed(&mut self, open: usize) -> usize {
        let inner = open + 1;
        let close = self.close_of(inner).unwrap_or(inner);
        let words: Vec<&Token> = self.tokens[inner..close].iter().collect();
        let range = match (words.first(), words.last()) {
            (Some(first), Some(last)) => first.range.start..last.range.end,
            _ => self.tokens[open].range.end..self.tokens[open].range.end,
        };
        self.push(range, &words, true);
        close + 1
    }

    /// The index of the `>` that ends a bracket, if one does.
    fn close_of(&self, inner: usize) -> Option<usize> {
        let mut brackets = self.tokens[inner..].iter().enumerate().filter(|(_, token)| token.is_bracket());
        brackets.next().filter(|(_, token)| token.kind == Kind::Special(b'>')).map(|(n, _)| inner + n)
    }

    /// Reads the addresses without brackets among the tokens `from..to`. Words that only blanks separate are addresses
    /// of their own.
    fn bare(&mut self, from: usize, to: usize) {
        let mut words: Vec<&Token> = Vec::new();
        let tokens = self.tokens;
        for token in &tokens[from..to] {
            if let Some(last) = words.last()
                && last.is_word()
                && token.is_word()
                && last.range.end != token.range.start
            {
                self.flush(&mut words);
            }
            words.push(token);
        }
        self.flush(&mut words);
    }

    fn flush(&mut self, words: &mut Vec<&Token>) {
        if let (Some(first), Some(last)) = (words.first(), words.last()) {
            let range = first.range.start..last.range.end;
            self.push(range, words, false);
        }
        words.clear();
    }

    fn push(&mut self, range: Range<usize>, words: &[&Token], bracketed: bool) {
        let at = words.iter().rposition(|token| token.kind == Kind::Special(b'@')).unwrap_or(words.len());
        let (local, domain) = words.split_at(at);
        let address = match local.iter().any(|token| token.is_bracket()) {
            true => [self.with_bracket(local), self.text(domain)].concat(),
            false => self.text(words),
        };
        self.found.push(Mailbox { range, address, bracketed });
    }

    fn text(&self, words: &[&Token]) -> Vec<u8> {
        words.iter().flat_map(|token| &self.value[token.range.clone()]).copied().collect()
    }

    /// A local part in which a bracket is a character like others: it gets into quotes as a whole.
    fn with_bracket(&self, words: &[&Token]) -> Vec<u8> {
        let mut local = Vec::new();
        for token in words {
            if token.is_bracket() && !local.is_empty() {
                local.push(b' ');
            }
            local.extend(token.internal(self.value));
        }
        crate::quote_local_part(&local)
    }
}

/// The tokens that end the name of a group: each `:` that some `;` follows before the next `:` does. Another `:` is
/// part of an address, as in a source route without brackets (`@a:user@b`).
fn group_names(tokens: &[Token]) -> Vec<usize> {
    let (mut found, mut in_group, mut end) = (Vec::new(), false, tokens.len());
    while end > 0 {
        end -= 1;
        match tokens[end].kind {
            Kind::Special(b';') => in_group = true,
            Kind::Special(b':') if std::mem::take(&mut in_group) => found.push(end),
            // What stands in brackets is an address.
            Kind::Special(b'>') => {
                let open = tokens[..end].iter().rposition(Token::is_bracket);
                end = open.filter(|open| tokens[*open].kind == Kind::Special(b'<')).unwrap_or(end);
            }
            _ => {}
        }
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The value with every address for which `replace` returns something replaced by it.
    fn rewrite(value: &[u8], mut replace: impl FnMut(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
        let mut rewritten = Vec::with_capacity(value.len());
        let mut kept = 0;
        for mailbox in mailboxes(value) {
            if let Some(replacement) = replace(&mailbox.address) {
                rewritten.extend_from_slice(&value[kept..mailbox.range.start]);
                rewritten.extend_from_slice(&replacement);
                kept = mailbox.range.end;
            }
        }
        rewritten.extend_from_slice(&value[kept..]);
        rewritten
    }

    fn texts(value: &[u8]) -> Vec<String> {
        mailboxes(value).iter().map(|m| String::from_utf8_lossy(&m.address).into_owned()).collect()
    }

    #[test]
    fn a_colon_without_a_group_is_part_of_an_address() {
        assert_eq!(texts(b"x:y"), ["x:y"]);
        assert_eq!(texts(b"g: a@b, x:y@c"), ["g:a@b", "x:y@c"]);
        assert_eq!(texts(b"x:y, g: a@b, c@d;"), ["x:y", "a@b", "c@d"]);
        assert_eq!(texts(b"g: <@a,@b:c@d>;, x:y"), ["@a,@b:c@d", "x:y"]);
        assert_eq!(texts(b"undisclosed-recipients:;"), [""; 0]);
        assert_eq!(texts(b"@a:user@b"), ["@a:user@b"]);
    }

    #[test]
    fn addresses_are_found_in_every_form_of_rfc_5322() {
        assert_eq!(texts(b"a@b"), ["a@b"]);
        assert_eq!(texts(b"A B <a@b>, \"C, D\" <c@d>"), ["a@b", "c@d"]);
        assert_eq!(texts(b"a@b (comment, with (nested) comma), c"), ["a@b", "c"]);
        assert_eq!(texts(b"team: a@b, <c@d>;, e"), ["a@b", "c@d", "e"]);
        assert_eq!(texts(b"undisclosed-recipients:;"), [""; 0]);
        assert_eq!(texts(b"<@r1,@r2:a@b>"), ["@r1,@r2:a@b"]);
        assert_eq!(texts(b"a . b @ (x) c . d"), ["a.b@c.d"]);
        assert_eq!(texts(b"u@[IPv6:::1], \"x y\"@z"), ["u@[IPv6:::1]", "\"x y\"@z"]);
        assert_eq!(texts(b"<>"), [""]);
        assert_eq!(texts(b"a\\,b@c"), ["a\\,b@c"]);
    }

    #[test]
    fn missing_commas_and_brackets_are_tolerated() {
        assert_eq!(texts(b"a@b c@d"), ["a@b", "c@d"]);
        assert_eq!(texts(b"<a@b> <c@d>"), ["a@b", "c@d"]);
        assert_eq!(texts(b"a@b>, c"), ["a@b", "c"]);
    }

    #[test]
    fn a_bracket_that_is_not_closed_is_part_of_a_local_part() {
        assert_eq!(texts(b"<a@b, c@d"), ["\"<a\"@b", "c@d"]);
        assert_eq!(texts(b"<a@b x"), ["\"<a\"@b", "x"]);
        assert_eq!(texts(b"a <b, c <d>"), ["\"a <b\"", "d"]);
        assert_eq!(texts(b"x \"a@b\" <c"), ["x", "\"a@b <c\""]);
        assert_eq!(texts(b"g: <a, b;"), ["\"<a\"", "b"]);
        assert_eq!(texts(b"<@a:b@c"), ["\"<@a:b\"@c"]);
        assert_eq!(texts(b"<"), ["\"<\""]);
        assert_eq!(texts(b"<a <b@c>"), ["b@c"]);
        assert_eq!(texts(b"a@<b"), ["a@<b"]);
    }

    #[test]
    fn only_the_replaced_address_changes() {
        let value = b"\"A, B\" <a@x>,\n\t(c) b . c @ x (d), keep";
        let rewritten = rewrite(value, |address| match address {
            b"a@x" => Some(b"a@y".to_vec()),
            b"b.c@x" => Some(b"z".to_vec()),
            _ => None,
        });
        assert_eq!(rewritten, b"\"A, B\" <a@y>,\n\t(c) z (d), keep");
    }

    proptest! {
        #[test]
        fn keeping_every_address_keeps_every_byte(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(rewrite(&bytes, |_| None), bytes);
        }

        #[test]
        fn replacing_an_address_by_itself_is_stable(text in "[ab \t\n\"\\\\()<>@,;:.\\[\\]!%]{0,40}") {
            let once = rewrite(text.as_bytes(), |address| Some(address.to_vec()));
            prop_assert_eq!(rewrite(&once, |address| Some(address.to_vec())), once);
        }

        #[test]
        fn ranges_are_ordered_and_disjoint(text in "[ab \"\\\\()<>@,;:.\\[\\]]{0,40}") {
            let mut end = 0;
            for mailbox in mailboxes(text.as_bytes()) {
                prop_assert!(mailbox.range.start >= end && mailbox.range.end <= text.len());
                end = mailbox.range.end;
            }
        }
    }
}
