//! Which keys an address, a host name or a network address is looked up by, and in which order.
//!
//! Keys are made in the external form, as the manual asks for in table sources; when that differs from the internal
//! form, the latter is tried second. Only the first, complete key is given to tables of patterns.

use address::{Delimiters, quote, quote_local_part, split};

use crate::ParentStyle;

/// One key of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    text: Vec<u8>,
    plain: Option<Vec<u8>>,
    /// True if the key is a part of what is looked up, so that tables of patterns are not asked.
    pub partial: bool,
    /// The address extension that the key lacks, with its delimiter.
    pub extension: Option<Vec<u8>>,
    /// True for `@domain`.
    pub whole_domain: bool,
}

impl Key {
    fn new(text: Vec<u8>, partial: bool) -> Key {
        Key { text, plain: None, partial, extension: None, whole_domain: false }
    }

    /// A key from an internal form: looked up quoted first.
    fn of(internal: Vec<u8>, partial: bool) -> Key {
        let text = quote(&internal);
        let plain = (text != internal).then_some(internal);
        Key { text, plain, partial, extension: None, whole_domain: false }
    }

    fn lacking(mut self, extension: Option<&[u8]>) -> Key {
        self.extension = extension.map(<[u8]>::to_vec);
        self
    }

    /// The key, and its internal form if that differs.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.text.as_slice()).chain(self.plain.as_deref())
    }
}

/// A local part in its pieces.
struct Local<'a> {
    whole: &'a [u8],
    base: &'a [u8],
    extension: Option<&'a [u8]>,
}

impl<'a> Local<'a> {
    fn split(whole: &'a [u8], delimiters: &Delimiters) -> Self {
        let (base, extension) = delimiters.split(whole);
        Local { whole, base, extension: extension.map(|_| &whole[base.len()..]) }
    }
}

fn joined(local: &[u8], domain: &[u8]) -> Vec<u8> {
    [local, b"@", domain].concat()
}

/// Address tables (canonical, virtual alias, relocated, recipient and sender-dependent tables): `user+ext@domain`,
/// `user@domain`, then, if the domain is one of ours, `user+ext` and `user`, then `@domain`.
///
/// An address without a domain has the keys `user+ext` and `user`.
pub fn address_keys(address: &[u8], delimiters: &Delimiters, is_ours: impl Fn(&[u8]) -> bool) -> Vec<Key> {
    let (local, domain) = split(address);
    let local = Local::split(local, delimiters);
    let mut keys = vec![Key::of(address.to_vec(), false)];
    let Some(domain) = domain else {
        keys.extend(local.extension.map(|ext| Key::of(local.base.to_vec(), true).lacking(Some(ext))));
        return keys;
    };
    if local.extension.is_some() {
        keys.push(Key::of(joined(local.base, domain), true).lacking(local.extension));
    }
    if is_ours(domain) {
        keys.push(Key::of(local.whole.to_vec(), true));
        keys.extend(local.extension.map(|ext| Key::of(local.base.to_vec(), true).lacking(Some(ext))));
    }
    let mut whole = Key::new(joined(b"", domain), true).lacking(local.extension);
    whole.whole_domain = true;
    keys.push(whole);
    keys
}

/// transport(5): `user+ext@domain`, `user@domain`, `domain`, its parents, `*`.
pub fn transport_keys(address: &[u8], delimiters: &Delimiters, parents: ParentStyle) -> Vec<Key> {
    let (mut keys, _) = address_and_domain_keys(address, delimiters, parents);
    keys.push(Key::new(b"*".to_vec(), true));
    keys
}

/// access(5) for sender and recipient: `user+ext@domain`, `user@domain`, `domain`, its parents, `user+ext@`, `user@`.
pub fn access_keys(address: &[u8], delimiters: &Delimiters, parents: ParentStyle) -> Vec<Key> {
    let (mut keys, local) = address_and_domain_keys(address, delimiters, parents);
    let at = |local: &[u8]| {
        let internal = joined(local, b"");
        let text = [&quote_local_part(local), &b"@"[..]].concat();
        let plain = (text != internal).then_some(internal);
        Key { plain, ..Key::new(text, true) }
    };
    keys.push(at(local.whole));
    if local.extension.is_some() {
        keys.push(at(local.base));
    }
    keys
}

/// What transport(5) and access(5) begin with, and the local part: the address with and without its extension, the
/// domain, its parents.
fn address_and_domain_keys<'a>(
    address: &'a [u8],
    delimiters: &Delimiters,
    parents: ParentStyle,
) -> (Vec<Key>, Local<'a>) {
    let (local, domain) = split(address);
    let local = Local::split(local, delimiters);
    let mut keys = vec![Key::of(address.to_vec(), false)];
    if let Some(domain) = domain {
        if local.extension.is_some() {
            keys.push(Key::of(joined(local.base, domain), true));
        }
        keys.push(Key::new(domain.to_vec(), true));
        keys.extend(parents.parents(domain).map(|parent| Key::new(parent.to_vec(), true)));
    }
    (keys, local)
}

/// access(5) for a host name or a domain: the name, then its parents.
pub fn host_keys(name: &[u8], parents: ParentStyle) -> Vec<Key> {
    let mut keys = vec![Key::new(name.to_vec(), false)];
    keys.extend(parents.parents(name).map(|parent| Key::new(parent.to_vec(), true)));
    keys
}

/// access(5) for a network address, as printed: the address, then what is left when its last `.` or `:` and the text
/// after it is cut, again and again.
pub fn network_keys(address: &[u8]) -> Vec<Key> {
    let separator = if address.contains(&b':') { b':' } else { b'.' };
    let mut keys = vec![Key::new(address.to_vec(), false)];
    let mut rest = address;
    while let Some(at) = rest.iter().rposition(|&b| b == separator) {
        rest = &rest[..at];
        if rest.is_empty() {
            break;
        }
        keys.push(Key::new(rest.to_vec(), true));
    }
    keys
}

/// aliases(5): the local part, then without its extension; both in lower case.
pub fn alias_keys(local: &[u8], delimiters: &Delimiters, utf8: bool) -> Vec<Key> {
    let folded = crate::fold::fold(local, utf8);
    let local = Local::split(&folded, delimiters);
    let mut keys = vec![Key::new(folded.clone(), false)];
    keys.extend(local.extension.map(|ext| Key::new(local.base.to_vec(), true).lacking(Some(ext))));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(keys: &[Key]) -> Vec<String> {
        keys.iter().flat_map(Key::texts).map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }

    fn plus() -> Delimiters {
        Delimiters::new("+", true)
    }

    #[test]
    fn address_tables_are_searched_from_the_most_to_the_least_specific_key() {
        let keys = address_keys(b"u+e@d.c", &plus(), |_| false);
        assert_eq!(texts(&keys), ["u+e@d.c", "u@d.c", "@d.c"]);
        let keys = address_keys(b"u+e@d.c", &plus(), |_| true);
        assert_eq!(texts(&keys), ["u+e@d.c", "u@d.c", "u+e", "u", "@d.c"]);
        assert_eq!(keys[1].extension.as_deref(), Some(&b"+e"[..]));
        assert_eq!(keys[2].extension, None);
        assert!(keys[4].whole_domain);
        assert!(!keys[0].partial && keys[1].partial);
    }

    #[test]
    fn a_key_that_needs_quotes_is_tried_with_and_without() {
        let keys = address_keys(b"a b@d", &plus(), |_| false);
        assert_eq!(texts(&keys), ["\"a b\"@d", "a b@d", "@d"]);
    }

    #[test]
    fn transport_tables_end_with_the_wildcard() {
        let keys = transport_keys(b"u+e@a.b", &plus(), ParentStyle::Dotted);
        assert_eq!(texts(&keys), ["u+e@a.b", "u@a.b", "a.b", ".b", "*"]);
        let keys = transport_keys(b"u@a.b", &plus(), ParentStyle::Bare);
        assert_eq!(texts(&keys), ["u@a.b", "a.b", "b", "*"]);
    }

    #[test]
    fn access_tables_end_with_the_local_part() {
        let keys = access_keys(b"u+e@a.b", &plus(), ParentStyle::Bare);
        assert_eq!(texts(&keys), ["u+e@a.b", "u@a.b", "a.b", "b", "u+e@", "u@"]);
    }

    #[test]
    fn network_addresses_are_cut_as_text() {
        assert_eq!(texts(&network_keys(b"10.1.2.4")), ["10.1.2.4", "10.1.2", "10.1", "10"]);
        assert_eq!(texts(&network_keys(b"::1")), ["::1", ":"]);
        assert_eq!(
            texts(&network_keys(b"2001:db8:1::26")),
            ["2001:db8:1::26", "2001:db8:1:", "2001:db8:1", "2001:db8", "2001"]
        );
        assert_eq!(
            texts(&network_keys(b"fe80::ff:fe00:1")),
            ["fe80::ff:fe00:1", "fe80::ff:fe00", "fe80::ff", "fe80:", "fe80"]
        );
    }

    #[test]
    fn aliases_are_searched_in_lower_case() {
        assert_eq!(texts(&alias_keys(b"User+Ext", &plus(), true)), ["user+ext", "user"]);
    }
}
