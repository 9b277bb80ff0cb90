//! Mail addresses as bytes: the internal form, the external form, and where one hides in the other.
//!
//! - Internal form: what the queue file, the tables and the programs hold. No quotes, no backslashes;
//!   everything after the last `@` is the domain. `john doe@example.com`.
//! - External form: what RFC 5321 and RFC 5322 put on the wire and into headers, and what log lines show.
//!   `"john doe"@example.com`.
//!
//! This crate must never do I/O, never read configuration, never assume that a byte string is UTF-8, and never panic on
//! any input: all of it comes from strangers.
//!
//! | file | concept |
//! |---|---|
//! | `quote` | internal form to external form and back |
//! | `extension` | `user+detail` |
//! | `header` | address lists of RFC 5322 headers |
//! | `list` | lists of addresses in aliases and settings |
//! | `token` | the words of RFC 5322, which `header` and `list` read |
//! | `verp` | senders that name a recipient |

mod extension;
mod header;
mod list;
mod quote;
pub mod token;
mod verp;

pub use extension::{Delimiters, split_extension};
pub use header::{Mailbox, mailboxes};
pub use list::list;
pub use quote::{is_dot_string, quote, quote_local_part, quoted_string, unquote};
pub use token::leading_tokens;
pub use verp::verp_sender;

/// Splits an address of the internal form at its last `@`: local part, and domain if there is an `@`.
///
/// The domain may be empty (`user@`). In the external form of an address that has a domain the last `@` is the same
/// one, since a domain holds neither quotes nor `@`.
pub fn split(address: &[u8]) -> (&[u8], Option<&[u8]>) {
    match address.iter().rposition(|&b| b == b'@') {
        Some(at) => (&address[..at], Some(&address[at + 1..])),
        None => (address, None),
    }
}

/// The domain of an address of the internal form; None without an `@`.
pub fn domain(address: &[u8]) -> Option<&[u8]> {
    split(address).1
}

/// Splits an address of the external form at the last `@` that is not within a quoted string.
///
/// Unlike [`split`] this sees that `"a@b"` has no domain.
pub fn split_external(address: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut quoted = false;
    let mut escaped = false;
    let mut at = None;
    for (i, &b) in address.iter().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'@' if !quoted => at = Some(i),
            _ => {}
        }
    }
    match at {
        Some(at) => (&address[..at], Some(&address[at + 1..])),
        None => (address, None),
    }
}

/// Whether an address is what rewriting makes of addresses already: `name@host.domain` of characters that mean nothing
/// more, and no dot at either end of the domain. Most are, and are not worth a question; what is not may still be one.
pub fn is_standard(address: &[u8]) -> bool {
    let (local, Some(domain)) = split(address) else { return false };
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'+' | b'-' | b'=');
    let in_domain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    !local.is_empty()
        && local.iter().all(plain)
        && domain.iter().all(in_domain)
        && domain.contains(&b'.')
        && !domain.starts_with(b".")
        && !domain.ends_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_anything_unusual_is_not_taken_for_standard() {
        assert!(is_standard(b"a.b+c=d-e_f@mail.example.com"));
        for other in [
            "a",
            "a@b",
            "@b.test",
            "a@.b.test",
            "a@b.test.",
            "a%b@c.test",
            "a!b@c.test",
            "a b@c.test",
            "a@[1.2.3.4]",
            "@a.b:c@d.e",
            "",
        ] {
            assert!(!is_standard(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn the_domain_starts_after_the_last_at_sign() {
        assert_eq!(split(b"a@b@c"), (&b"a@b"[..], Some(&b"c"[..])));
        assert_eq!(split(b"user@"), (&b"user"[..], Some(&b""[..])));
        assert_eq!(split(b"user"), (&b"user"[..], None));
        assert_eq!(domain(b"user@[IPv6:::1]"), Some(&b"[IPv6:::1]"[..]));
    }

    #[test]
    fn a_quoted_at_sign_does_not_start_a_domain() {
        assert_eq!(split_external(b"\"a@b\""), (&b"\"a@b\""[..], None));
        assert_eq!(split_external(b"\"a\\\"@b\"@c"), (&b"\"a\\\"@b\""[..], Some(&b"c"[..])));
    }
}
