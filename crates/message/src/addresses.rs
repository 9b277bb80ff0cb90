//! Addresses in a header field, and what takes their place.

use address::Mailbox;

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

    /// The value with these addresses (internal form) in place of its own; everything else stays as it was written.
    pub fn replaced(&self, new: &[Vec<u8>]) -> Vec<u8> {
        let (value, mut out, mut kept) = (self.value, Vec::new(), 0);
        let mut bare_end = None;
        for (mailbox, address) in self.mailboxes.iter().zip(new) {
            out.extend_from_slice(&value[kept..mailbox.range.start]);
            // Addresses that only blanks separate get the comma that they lack.
            let gap = bare_end.filter(|_| !mailbox.bracketed).map(|end: usize| &value[end..mailbox.range.start]);
            if gap.is_some_and(|gap| gap.iter().all(u8::is_ascii_whitespace)) {
                out.push(b',');
            }
            match &address[..] {
                b"" if !mailbox.bracketed => out.extend_from_slice(b"\"\""),
                address => out.extend_from_slice(&address::quote(address)),
            }
            kept = mailbox.range.end;
            bare_end = (!mailbox.bracketed).then_some(kept);
        }
        out.extend_from_slice(&value[kept..]);
        out
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
    fn an_address_that_goes_leaves_an_empty_one() {
        assert_eq!(replaced(" a@b, N <c@d>", &["", ""]), " \"\", N <>");
    }

    #[test]
    fn addresses_that_blanks_alone_separate_get_a_comma() {
        assert_eq!(replaced(" a@b c@d", &["x@y", "z@y"]), " x@y ,z@y");
    }
}
