//! Whom the sender wrote to, whatever aliases made of it since: ORCPT (RFC 3461 4.2, RFC 6533 3).

/// `TYPE;ADDRESS` with the address decoded, as queue files and logs have it; or nothing, where nobody said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OriginalRecipient(Vec<u8>);

impl OriginalRecipient {
    /// What stands for the ORCPT that the client did not give: `rfc822;user@domain`, of an address in internal form.
    pub fn of(address: &[u8]) -> Self {
        Self::from_parts(b"rfc822", &address::quote(address))
    }

    /// The same, as the client wrote the address (`\"a\"@b` and not `a@b`), unless something in it cannot be printed.
    pub fn as_written(written: &[u8], address: &[u8]) -> Self {
        match std::str::from_utf8(written).is_ok_and(|text| !text.contains(char::is_control)) {
            true => Self::from_parts(b"rfc822", written),
            false => Self::of(address),
        }
    }

    /// The same for a message that travels with SMTPUTF8: `utf-8;` where the address is not ASCII.
    pub fn of_utf8(address: &[u8]) -> Self {
        let is_plain = address.is_ascii() || std::str::from_utf8(address).is_err();
        if is_plain { Self::of(address) } else { Self::from_parts(UTF8.as_bytes(), &address::quote(address)) }
    }

    /// From a type and a decoded address.
    pub fn from_parts(kind: &[u8], address: &[u8]) -> Self {
        Self([kind, b";", address].concat())
    }

    /// From the text in a queue file or a log; an empty one is nothing.
    pub fn from_stored(text: Vec<u8>) -> Self {
        Self(text)
    }

    /// The text for queue files and logs.
    pub fn as_stored(&self) -> &[u8] {
        &self.0
    }

    /// Whether nobody said anything.
    pub fn is_unset(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the ORCPT parameter for the next host; `None` where there is none that can be sent.
    pub fn parameter(&self) -> Option<String> {
        let at = self.0.iter().position(|&byte| byte == b';')?;
        let (kind, address) = self.0.split_at(at);
        let kind = std::str::from_utf8(kind).ok().filter(|kind| kind.bytes().all(|byte| byte.is_ascii_graphic()))?;
        let encode = if kind.eq_ignore_ascii_case(UTF8) { text::uxtext::encode } else { text::xtext::encode };
        Some(format!("{kind};{}", encode(&address[1..])))
    }
}

/// The address type of RFC 6533 3.
const UTF8: &str = "utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_one_of_its_kind() {
        assert_eq!(OriginalRecipient::of(b"a b@c.test").as_stored(), b"rfc822;\"a b\"@c.test");
        let accented = "\u{e4}@c.test".as_bytes();
        assert_eq!(OriginalRecipient::of(accented).as_stored(), "rfc822;\u{e4}@c.test".as_bytes());
        assert_eq!(OriginalRecipient::of_utf8(accented).as_stored(), "utf-8;\u{e4}@c.test".as_bytes());
        assert_eq!(OriginalRecipient::of_utf8(b"a@c.test").as_stored(), b"rfc822;a@c.test");
        assert_eq!(OriginalRecipient::of_utf8(b"\xe4@c.test").as_stored(), b"rfc822;\xe4@c.test");
    }

    #[test]
    fn the_parameter_is_encoded_and_needs_a_type() {
        let stored = |text: &[u8]| OriginalRecipient::from_stored(text.to_vec()).parameter();
        assert_eq!(stored(b"rfc822;o+x@d.test").as_deref(), Some("rfc822;o+2Bx@d.test"));
        assert_eq!(stored("rfc822;\u{fc}@d".as_bytes()).as_deref(), Some("rfc822;+C3+BC@d"));
        assert_eq!(stored("UTF-8;\u{fc}+@d".as_bytes()).as_deref(), Some("UTF-8;\\x{FC}\\x{2B}@d"));
        for without in [&b""[..], b"o@d.test", b"a b;o@d.test", b"\xff;o"] {
            assert_eq!(stored(without), None);
        }
    }
}
