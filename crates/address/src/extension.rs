//! `user+detail`: where a local part ends and its extension begins.
//!
//! Must never split the names that the mail system itself uses: mail for them would go astray.

/// Local parts that have no extension whatever the delimiters are.
const RESERVED: [&[u8]; 3] = [b"postmaster", b"mailer-daemon", b"double-bounce"];

/// How local parts are split: recipient_delimiter and owner_request_special.
#[derive(Clone, Debug, Default)]
pub struct Delimiters {
    characters: Vec<u8>,
    owner_request_special: bool,
}

impl Delimiters {
    /// `characters` is the value of recipient_delimiter: each of its characters separates; empty means that nothing is
    /// split. `owner_request_special` keeps `owner-list` and `list-request` whole when `-` separates.
    pub fn new(characters: &str, owner_request_special: bool) -> Self {
        Delimiters { characters: characters.as_bytes().to_vec(), owner_request_special }
    }

    /// Splits a local part at the first delimiter: what is before it, and what is after it.
    ///
    /// The delimiter itself is the byte between the two: `local[base.len()]`. A delimiter in front of everything
    /// separates nothing.
    pub fn split<'a>(&self, local: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
        if self.characters.is_empty() || self.is_whole(local) {
            return (local, None);
        }
        match local.iter().position(|b| self.characters.contains(b)) {
            Some(at) if at > 0 => (&local[..at], Some(&local[at + 1..])),
            _ => (local, None),
        }
    }

    fn is_whole(&self, local: &[u8]) -> bool {
        if RESERVED.iter().any(|name| local.eq_ignore_ascii_case(name)) {
            return true;
        }
        // owner_request_special
        let lower = local.to_ascii_lowercase();
        self.owner_request_special
            && self.characters.contains(&b'-')
            && (lower.starts_with(b"owner-") || lower.ends_with(b"-request"))
    }
}

/// [`Delimiters::split`] with owner_request_special at its default, yes.
pub fn split_extension<'a>(local: &'a [u8], delimiters: &str) -> (&'a [u8], Option<&'a [u8]>) {
    Delimiters::new(delimiters, true).split(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_delimiter_of_the_set_separates() {
        assert_eq!(split_extension(b"user+a-b", "+-"), (&b"user"[..], Some(&b"a-b"[..])));
        assert_eq!(split_extension(b"user-a+b", "+"), (&b"user-a"[..], Some(&b"b"[..])));
        assert_eq!(split_extension(b"user+", "+"), (&b"user"[..], Some(&b""[..])));
        assert_eq!(split_extension(b"user+a", ""), (&b"user+a"[..], None));
        assert_eq!(split_extension(b"+a", "+"), (&b"+a"[..], None));
    }

    #[test]
    fn reserved_names_are_never_split() {
        assert_eq!(split_extension(b"Mailer-Daemon", "-"), (&b"Mailer-Daemon"[..], None));
        assert_eq!(split_extension(b"double-bounce", "-"), (&b"double-bounce"[..], None));
    }

    #[test]
    fn owner_and_request_addresses_stay_whole_unless_told_otherwise() {
        assert_eq!(split_extension(b"owner-list", "-"), (&b"owner-list"[..], None));
        assert_eq!(split_extension(b"list-request", "-"), (&b"list-request"[..], None));
        assert_eq!(Delimiters::new("-", false).split(b"list-request"), (&b"list"[..], Some(&b"request"[..])));
    }
}
