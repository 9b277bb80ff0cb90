//! The addresses that a table has for an address: canonical_maps, virtual_alias_maps, smtp_generic_maps.

use crate::Found;

impl Found {
    /// The addresses of the value (internal form), for the address that was looked up: each with the unmatched
    /// extension where `propagate` says so, and with the local part of `address` where the value is `@domain`. One that
    /// is `<>` and nothing else is the null address. None: the value holds no address.
    pub fn addresses(&self, address: &[u8], propagate: bool) -> Vec<Vec<u8>> {
        if self.value.trim_ascii() == b"<>" {
            return vec![Vec::new()];
        }
        let mailboxes = address::mailboxes(&self.value);
        let result = |mailbox: address::Mailbox| {
            let value = address::unquote(&mailbox.address);
            let (local, domain) = address::split(&value);
            let domain = domain.map(<[u8]>::to_vec);
            let mut local = local.to_vec();
            if local.is_empty() && mailbox.address.starts_with(b"@") {
                local = address::split(address).0.to_vec();
            } else if let (true, false, Some(extension)) = (propagate, self.whole_domain, &self.extension) {
                local.extend_from_slice(extension);
            }
            match domain {
                Some(domain) => [&local[..], b"@", &domain].concat(),
                None => local,
            }
        };
        mailboxes.into_iter().filter(|mailbox| !mailbox.address.is_empty()).map(result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str, extension: Option<&str>, whole_domain: bool) -> Found {
        let extension = extension.map(|text| text.as_bytes().to_vec());
        Found { value: value.as_bytes().to_vec(), extension, whole_domain }
    }

    #[test]
    fn unmatched_extensions_go_to_every_result() {
        let values = found("one@y, two", Some("+x"), false).addresses(b"list+x@z", true);
        assert_eq!(values, [b"one+x@y".to_vec(), b"two+x".to_vec()]);
        let values = found("one@y", Some("+x"), false).addresses(b"list+x@z", false);
        assert_eq!(values, [b"one@y".to_vec()]);
    }

    #[test]
    fn a_result_without_local_part_keeps_the_one_that_was_looked_up() {
        assert_eq!(found("@other", Some("+x"), true).addresses(b"a+x@d", true), [b"a+x@other".to_vec()]);
    }
}
