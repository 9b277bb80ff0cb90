//! Variable envelope return paths: a sender that names the one recipient of a copy, so that whoever gets it back knows
//! whom it was for.

use crate::split;

/// `list+user=host@domain` for the sender `list@domain` and the recipient `user@host`, with delimiters `+=`.
pub fn verp_sender(delimiters: &[u8], sender: &[u8], recipient: &[u8]) -> Vec<u8> {
    let [first, second] = delimiters else { return sender.to_vec() };
    let (local, domain) = split(sender);
    let (user, host) = split(recipient);
    if local.is_empty() {
        return sender.to_vec(); // the null sender stays
    }
    let mut out = [local, &[*first], user].concat();
    if let Some(host) = host {
        out.push(*second);
        out.extend_from_slice(host);
    }
    if let Some(domain) = domain {
        out.push(b'@');
        out.extend_from_slice(domain);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_verp_the_sender_names_the_recipient() {
        assert_eq!(verp_sender(b"+=", b"list@a.test", b"bob@b.test"), b"list+bob=b.test@a.test");
        assert_eq!(verp_sender(b"+=", b"list@a.test", b"bob"), b"list+bob@a.test");
        assert_eq!(verp_sender(b"+=", b"", b"bob@b.test"), b"");
        assert_eq!(verp_sender(b"+", b"list@a.test", b"bob@b.test"), b"list@a.test");
    }
}
