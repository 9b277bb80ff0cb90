//! Internal form to external form and back.
//!
//! Only the local part changes: a domain is written as it is. Bytes above 127 count as ordinary characters, because an
//! internationalized local part needs no quotes (RFC 6531 3.3). Nothing here rejects an address: what cannot be a
//! dot-string becomes a quoted string.

/// The external form of an address of the internal form, for SMTP, headers and log lines.
///
/// The empty address stays empty (the null sender).
pub fn quote(internal: &[u8]) -> Vec<u8> {
    if internal.is_empty() {
        return Vec::new();
    }
    let (local, domain) = crate::split(internal);
    let mut external = quote_local_part(local);
    if let Some(domain) = domain {
        external.push(b'@');
        external.extend_from_slice(domain);
    }
    external
}

/// A local part as it stands in the external form: unchanged if it is a dot-string, else a quoted string.
pub fn quote_local_part(local: &[u8]) -> Vec<u8> {
    if is_dot_string(local) { local.to_vec() } else { quoted_string(local) }
}

/// A quoted string (RFC 5322 3.2.4): what would end or break it is escaped.
pub fn quoted_string(text: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    quoted.push(b'"');
    for &b in text {
        if matches!(b, b'"' | b'\\' | b'\r') {
            quoted.push(b'\\');
        }
        quoted.push(b);
    }
    quoted.push(b'"');
    quoted
}

/// The internal form of an address of the external form: quotes and backslashes of the local part are removed.
///
/// Accepts what is not well formed: an unbalanced quote ends with the address, a final backslash disappears. An `@`
/// within quotes stays part of the local part.
pub fn unquote(external: &[u8]) -> Vec<u8> {
    let (local, domain) = crate::split_external(external);
    let mut internal = Vec::with_capacity(external.len());
    let mut bytes = local.iter();
    while let Some(&b) = bytes.next() {
        match b {
            b'"' => {}
            b'\\' => internal.extend(bytes.next()),
            _ => internal.push(b),
        }
    }
    if let Some(domain) = domain {
        internal.push(b'@');
        internal.extend_from_slice(domain);
    }
    internal
}

/// True if the bytes are atoms joined by single dots (RFC 5321 `Dot-string`), so that they need no quotes.
pub fn is_dot_string(local: &[u8]) -> bool {
    local.split(|&b| b == b'.').all(|atom| !atom.is_empty() && atom.iter().all(|&b| is_atom_byte(b)))
}

fn is_atom_byte(b: u8) -> bool {
    let is_special =
        matches!(b, b'(' | b')' | b'<' | b'>' | b'@' | b',' | b';' | b':' | b'\\' | b'"' | b'.' | b'[' | b']');
    b > b' ' && b != 0x7f && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dot_string_needs_no_quotes() {
        for plain in [&b"user@example.com"[..], b"a.b+c@d", b"a%b!c", b"j\xc3\xb6rg@x"] {
            assert_eq!(quote(plain), plain);
        }
    }

    #[test]
    fn anything_else_is_quoted() {
        assert_eq!(quote(b"john doe@example.com"), b"\"john doe\"@example.com");
        assert_eq!(quote(b"a@b@c"), b"\"a@b\"@c");
        assert_eq!(quote(b"a..b@c"), b"\"a..b\"@c");
        assert_eq!(quote(b".a@c"), b"\".a\"@c");
        assert_eq!(quote(b"a\"b\\c@d"), b"\"a\\\"b\\\\c\"@d");
        assert_eq!(quote(b"@c"), b"\"\"@c");
        assert_eq!(quote(b""), b"");
    }

    #[test]
    fn unquoting_accepts_bad_quoting() {
        assert_eq!(unquote(b"\"john doe\"@example.com"), b"john doe@example.com");
        assert_eq!(unquote(b"\"a@b"), b"a@b");
        assert_eq!(unquote(b"a\\"), b"a");
        assert_eq!(unquote(b"a\\@b@c"), b"a@b@c");
    }

    proptest! {
        #[test]
        fn unquote_undoes_quote(local in proptest::collection::vec(any::<u8>(), 0..40), domain in "[a-z0-9.-]{0,20}") {
            let mut internal = local;
            internal.push(b'@');
            internal.extend_from_slice(domain.as_bytes());
            prop_assert_eq!(unquote(&quote(&internal)), internal);
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            unquote(&bytes);
            quote(&bytes);
        }
    }
}
