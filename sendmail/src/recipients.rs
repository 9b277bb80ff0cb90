//! Addresses on the command line and in the header of a message.
//!
//! No I/O. A header field is read up to a bound; a longer one is an error, whatever it is called: nobody would be told
//! which recipients it names.

use std::fmt;

use message::header;

/// The recipients that a header names: those of Resent- fields when there is one, else of the plain fields.
#[derive(Debug)]
pub struct Recipients {
    field: Vec<u8>,
    limit: usize,
    in_header: bool,
    plain: Vec<Vec<u8>>,
    resent: Vec<Vec<u8>>,
    is_resent: bool,
}

/// A header field is longer than header_size_limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unable to extract recipients: message header length exceeds safety limit")
    }
}

impl Recipients {
    /// Before the first line; a field of `limit` bytes (header_size_limit) does not go on.
    pub fn new(limit: usize) -> Self {
        Self { field: Vec::new(), limit, in_header: true, plain: Vec::new(), resent: Vec::new(), is_resent: false }
    }

    /// Sees a piece of the text: one that goes on with the line before (`continued`), or starts one.
    ///
    /// # Errors
    /// It belongs to a field that is too long already.
    pub fn text(&mut self, piece: &[u8], continued: bool) -> Result<(), TooLong> {
        if !self.in_header {
            return Ok(());
        }
        let goes_on = continued || header::is_continuation(piece) && !self.field.is_empty();
        if !goes_on {
            self.end_of_field();
            self.in_header = header::name_length(piece).is_some();
        } else if self.field.len() >= self.limit {
            return Err(TooLong);
        } else if !continued {
            self.field.push(b'\n');
        }
        if self.in_header {
            self.field.extend_from_slice(piece);
        }
        Ok(())
    }

    /// The end of the text.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        self.end_of_field();
        if self.is_resent { self.resent } else { self.plain }
    }

    fn end_of_field(&mut self) {
        let field = std::mem::take(&mut self.field);
        let Some(field) = header::Field::parse(&field) else { return };
        let named = |names: [&str; 3]| names.iter().any(|name| field.is(name));
        let target = if named(["Resent-To", "Resent-Cc", "Resent-Bcc"]) {
            self.is_resent = true;
            &mut self.resent
        } else if named(["To", "Cc", "Bcc"]) {
            &mut self.plain
        } else {
            return;
        };
        target.extend(addresses(field.value));
    }
}

/// The addresses of a list, internal form.
pub fn addresses(list: &[u8]) -> Vec<Vec<u8>> {
    address::mailboxes(list).iter().map(|mailbox| address::unquote(&mailbox.address)).collect()
}

/// The sender of `-f`: its address, and whether there was anything but one address.
pub fn sender(text: &[u8]) -> (Vec<u8>, bool) {
    let mut found = addresses(text).into_iter();
    let first = found.next().unwrap_or_default();
    (first, found.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let mut recipients = Recipients::new(102_400);
        for line in text.lines() {
            recipients.text(line.as_bytes(), false).unwrap();
        }
        recipients.finish().into_iter().map(|address| String::from_utf8(address).unwrap()).collect()
    }

    #[test]
    fn recipients_are_those_of_to_cc_and_bcc_up_to_the_end_of_the_header() {
        let text = "To: a@x,\n b@x\nX: y@x\nTo: third@x\nCc:\nBcc: \"x, y\" <z@x>, (comment) k@x (c)\n\nTo: body@x\n";
        assert_eq!(found(text), ["a@x", "b@x", "third@x", "z@x", "k@x"]);
        assert_eq!(found("Cc: c1@x, grp: g1@x, g2@x;\nTo: \"q q\"@y\n"), ["c1@x", "g1@x", "g2@x", "q q@y"]);
        assert_eq!(found("no header\nTo: a@x\n"), [""; 0]);
    }

    #[test]
    fn resent_fields_replace_the_plain_ones() {
        assert_eq!(found("To: a@x\nResent-To: r@x\nResent-Bcc: rb@x\n\nhi\n"), ["r@x", "rb@x"]);
    }

    #[test]
    fn a_field_of_the_largest_size_does_not_go_on_and_the_next_one_may() {
        for first in [&b"X: 789"[..], b"To: 89"] {
            let mut recipients = Recipients::new(7);
            assert_eq!(recipients.text(first, false), Ok(()));
            assert_eq!(recipients.text(b" b", false), Ok(()));
            assert_eq!(recipients.text(b"c", true), Err(TooLong));
            assert_eq!(recipients.text(b" d", false), Err(TooLong));
            assert_eq!(recipients.text(b"Cc: a-longer-name", false), Ok(()));
        }
    }

    #[test]
    fn a_sender_is_one_address_or_none() {
        assert_eq!(sender(b""), (b"".to_vec(), true));
        assert_eq!(sender(b"<>"), (b"".to_vec(), true));
        assert_eq!(sender(b"Alice <al@x.test>"), (b"al@x.test".to_vec(), true));
        assert_eq!(sender(b"\"a b\"@x.test"), (b"a b@x.test".to_vec(), true));
        assert_eq!(sender(b"a@b, c@d"), (b"a@b".to_vec(), false));
    }
}
