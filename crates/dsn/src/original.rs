//! Whom the sender wrote to, whatever aliases made of it since: ORCPT (RFC 3461 4.2, RFC 6533 3).

/// `TYPE;ADDRESS` with the address decoded, as queue files and logs have it; or nothing, where nobody said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OriginalRecipient(Vec<u8>);

impl OriginalRecipient {
    /// What stands for the ORCPT that the client did not give: `rfc822;user@domain`, or `utf-8;` where the address,
    /// given in internal form, is not ASCII.
    pub fn of(address: &[u8]) -> Self {
        let kind: &[u8] = if address.is_ascii() { b"rfc822" } else { b"utf-8" };
        Self::from_parts(kind, &address::quote(address))
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
        Some(format!("{kind};{}", text::xtext::encode(&address[1..])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_one_of_its_kind() {
        assert_eq!(OriginalRecipient::of(b"a b@c.test").as_stored(), b"rfc822;\"a b\"@c.test");
        assert_eq!(OriginalRecipient::of("\u{e4}@c.test".as_bytes()).as_stored(), "utf-8;\u{e4}@c.test".as_bytes());
    }

    #[test]
    fn the_parameter_is_encoded_and_needs_a_type() {
        let stored = |text: &[u8]| OriginalRecipient::from_stored(text.to_vec()).parameter();
        assert_eq!(stored(b"rfc822;o+x@d.test").as_deref(), Some("rfc822;o+2Bx@d.test"));
        for without in [&b""[..], b"o@d.test", b"a b;o@d.test", b"\xff;o"] {
            assert_eq!(stored(without), None);
        }
    }
}
