//! Addresses in a header field, and what takes their place.

use address::Mailbox;
use address::token::{Kind, Token, tokens};

/// The addresses of a field's value, in their order.
pub struct Addresses<'a> {
    value: &'a [u8],
    mailboxes: Vec<Mailbox>,
}

impl<'a> Addresses<'a> {
    /// Reads the value of a field that holds addresses.
    pub fn of(value: &'a [u8]) -> Self {
        Addresses { value, mailboxes: address::mailboxes(value) }
    }

    /// The addresses in internal form.
    pub fn internal(&self) -> Vec<Vec<u8>> {
        self.mailboxes.iter().map(|mailbox| address::unquote(&mailbox.address)).collect()
    }

    /// Whether one of these (internal form) is another than the one in its place, or is written in another way: quotes
    /// that an address does not need are no part of its standard form.
    pub fn differ_from(&self, new: &[Vec<u8>]) -> bool {
        let differs = |(mailbox, address): (&Mailbox, &Vec<u8>)| {
            // A backslash does the same as quotes.
            let is_escaped = !mailbox.address.contains(&b'"') && address::unquote(&mailbox.address) == *address;
            let is_other = written(mailbox, address) != mailbox.address;
            is_other && !(is_escaped && mailbox.address.contains(&b'\\')) || self.is_repaired(mailbox)
        };
        self.mailboxes.iter().zip(new).any(differs)
    }

    /// A bracket without another is among the words of the address.
    fn is_repaired(&self, mailbox: &Mailbox) -> bool {
        tokens(&self.value[mailbox.range.clone()]).iter().any(Token::is_bracket)
    }

    /// Which of the addresses have a local part alone that looks like more (`"a@b"`): in internal form they would be
    /// other addresses.
    pub fn are_undivided(&self) -> Vec<bool> {
        let is_undivided = |mailbox: &Mailbox| {
            let (local, domain) = address::split_external(&mailbox.address);
            domain.is_none()
                && address::unquote(local).iter().any(|byte| b"@%!".contains(byte))
                && local.iter().any(|byte| b"\"\\".contains(byte))
        };
        self.mailboxes.iter().map(is_undivided).collect()
    }

    /// The value with these addresses (internal form) in place of its own; everything else stays as it was written, but
    /// comments before and within an address, which stand behind it, and commas that are missing between addresses.
    pub fn replaced(&self, new: &[Vec<u8>]) -> Vec<u8> {
        let (value, mut out, mut kept, mut comments) = (self.value, Vec::new(), 0, Vec::new());
        for (mailbox, address) in self.mailboxes.iter().zip(new) {
            let before = &value[kept..mailbox.range.start];
            let tokens = tokens(before);
            let end = tokens.iter().rposition(|token| !token.is_blank());
            let (text, blanks) = tokens.split_at(end.map_or(0, |end| end + 1));
            out.extend_from_slice(&before[..text.last().map_or(0, |token| token.range.end)]);
            for token in blanks {
                let place = if token.kind == Kind::Comment { &mut comments } else { &mut out };
                place.extend_from_slice(&before[token.range.clone()]);
            }
            let is_apart = match text.last() {
                Some(token) => token.kind != Kind::Special(b';'),
                None => kept == 0,
            };
            if !is_apart && !mailbox.bracketed {
                out.push(b',');
            }
            out.extend(written(mailbox, address));
            comments.extend_from_slice(&value[mailbox.range.clone()]);
            for comment in address::token::tokens(&comments).into_iter().filter(|token| token.kind == Kind::Comment) {
                out.push(b' ');
                out.extend_from_slice(&comments[comment.range]);
            }
            comments.clear();
            kept = mailbox.range.end;
        }
        out.extend_from_slice(&value[kept..]);
        out
    }
}

/// An address (internal form) as it stands in the place of another.
fn written(place: &Mailbox, address: &[u8]) -> Vec<u8> {
    match address {
        b"" if !place.bracketed => b"\"\"".to_vec(),
        address => address::quote(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(value: &str, new: &[&str]) -> String {
        let new: Vec<_> = new.iter().map(|text| text.as_bytes().to_vec()).collect();
        String::from_utf8(Addresses::of(value.as_bytes()).replaced(&new)).unwrap()
    }

    #[test]
    fn names_and_comments_stay_and_addresses_are_quoted_where_they_have_to_be() {
        assert_eq!(replaced(" \"A, B\" <a@b> , c@d (c)", &["x y@z", "e@f"]), " \"A, B\" <\"x y\"@z> , e@f (c)");
    }

    #[test]
    fn a_comment_before_or_within_an_address_stands_behind_it() {
        assert_eq!(replaced(" bob (x) @ b.test (y), z", &["bob@b.test", "z"]), " bob@b.test (x) (y), z");
        assert_eq!(replaced(" (c) a, <(d) b> (e)", &["a@x", "b@x"]), "  a@x (c), < b@x (d)> (e)");
        assert_eq!(replaced("(c) n <a>, b (d) c", &["a@x", "b@x", "c@x"]), "(c) n <a@x>, b@x  ,c@x (d)");
    }

    #[test]
    fn quotes_that_nobody_needs_are_a_difference_and_blanks_are_none() {
        let differ = |value: &str, new: &str| Addresses::of(value.as_bytes()).differ_from(&[new.as_bytes().to_vec()]);
        assert!(differ("\"a\"@b", "a@b") && differ("a..b@c", "a..b@c") && differ("a@b", "a@c") && differ("@b", "@b"));
        assert!(!differ("a @ b", "a@b") && !differ("\"a b\"@c", "a b@c") && !differ("<>", "") && !differ("\"\"", ""));
        assert!(!differ("a\\,b@c", "a,b@c"));
    }

    #[test]
    fn an_address_that_goes_leaves_an_empty_one() {
        assert_eq!(replaced(" a@b, N <c@d>", &["", ""]), " \"\", N <>");
    }

    #[test]
    fn addresses_that_blanks_alone_separate_get_a_comma() {
        assert_eq!(replaced(" a@b c@d", &["x@y", "z@y"]), " x@y ,z@y");
        assert_eq!(replaced("g: a; b", &["a@x", "b@x"]), "g: a@x; ,b@x");
        assert_eq!(replaced("g: a; n <b>;<c>", &["a@x", "b@x", "c@x"]), "g: a@x; n <b@x>;<c@x>");
    }
}
