//! Address masquerading: `user@host.example.com` becomes `user@example.com`.

use lookup::fold;

/// Strips the host part below the first masquerade domain that matches. A domain with `!` in front is left as it is,
/// and so are users in `exceptions`.
/// `utf8`: letters beyond ASCII have no case either.
pub fn apply(address: &mut Vec<u8>, domains: &[String], exceptions: &[String], utf8: bool) {
    let (local, Some(domain)) = address::split(address) else { return };
    if exceptions.iter().any(|exception| fold::same(local, exception.as_bytes(), utf8)) {
        return;
    }
    let domain = fold::fold(domain, utf8);
    for masquerade in domains {
        let (keep, parent) = match masquerade.strip_prefix('!') {
            Some(parent) => (true, parent.as_bytes()),
            None => (false, masquerade.as_bytes()),
        };
        let below = domain.strip_suffix(parent).is_some_and(|host| host.is_empty() || host.ends_with(b"."));
        if below {
            if !keep && domain.len() > parent.len() {
                let new = [local, b"@", parent].concat();
                *address = new;
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masqueraded(address: &str) -> String {
        let mut bytes = address.as_bytes().to_vec();
        let domains = ["!keep.example.com", "example.com"].map(str::to_owned);
        apply(&mut bytes, &domains, &["root".to_owned(), "r\u{f6}ot".to_owned()], true);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn hosts_below_a_masquerade_domain_disappear() {
        assert_eq!(masqueraded("a@host.Example.com"), "a@example.com");
        assert_eq!(masqueraded("a@example.com"), "a@example.com");
        assert_eq!(masqueraded("a@notexample.com"), "a@notexample.com");
        assert_eq!(masqueraded("a@x.keep.example.com"), "a@x.keep.example.com");
        assert_eq!(masqueraded("Root@host.example.com"), "Root@host.example.com");
        assert_eq!(masqueraded("R\u{d6}ot@host.example.com"), "R\u{d6}ot@host.example.com");
    }
}
