//! Addresses as strangers write them: into envelopes, headers, lists.

use address::token::{Kind, leading_tokens, tokens};
use address::{Delimiters, list, mailboxes, quote, split, split_external, unquote};

/// Quoting is undone by unquoting, splitting by joining, and neither adds or loses a byte.
pub fn address_forms(data: &[u8]) {
    let external = quote(data);
    assert_eq!(unquote(&external), data);
    assert!(external.len() <= 2 * data.len() + 2);
    assert!(unquote(data).len() <= data.len());
    for (local, domain) in [split(data), split_external(data)] {
        let joined = match domain {
            Some(domain) => [local, b"@", domain].concat(),
            None => local.to_vec(),
        };
        assert_eq!(joined, data);
    }
    assert_eq!(split_external(&external).1, split(data).1, "both forms have the same domain");
    for delimiters in [Delimiters::new("+-", true), Delimiters::new("+", false)] {
        let (user, extension) = delimiters.split(data);
        let joined = match extension {
            Some(extension) => [user, &data[user.len()..=user.len()], extension].concat(),
            None => user.to_vec(),
        };
        assert_eq!(joined, data);
        assert!(extension.is_none() || !user.is_empty());
    }
}

/// The addresses of a header stand where they are said to stand; when each is replaced by itself, nothing changes any
/// more.
pub fn header_addresses(data: &[u8]) {
    let mut end = 0;
    for token in tokens(data) {
        assert_eq!(token.range.start, end, "every byte belongs to one token");
        assert!(token.range.end > end);
        end = token.range.end;
    }
    assert_eq!(end, data.len());
    let mut end = 0;
    for mailbox in mailboxes(data) {
        assert!(mailbox.range.start >= end && mailbox.range.end <= data.len(), "addresses do not overlap");
        end = mailbox.range.end;
        // A bracket without another, and what stands beside it, gets into quotes.
        assert!(mailbox.address.len() <= 2 * mailbox.range.len() + 2);
        assert!(mailbox.bracketed || !mailbox.address.is_empty());
    }
    for most in [1, 7, 70] {
        let kept = leading_tokens(data, most);
        assert!(data.starts_with(kept));
        assert!(kept.len() == data.len() || counted(kept) == most, "what is cut has as many words as it may");
    }
    let once = replaced_by_themselves(data);
    assert_eq!(replaced_by_themselves(&once), once);
}

fn counted(text: &[u8]) -> usize {
    tokens(text).iter().filter(|token| token.kind != Kind::Space).count()
}

fn replaced_by_themselves(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut kept = 0;
    for mailbox in mailboxes(value) {
        out.extend_from_slice(&value[kept..mailbox.range.start]);
        out.extend_from_slice(&mailbox.address);
        kept = mailbox.range.end;
    }
    out.extend_from_slice(&value[kept..]);
    out
}

/// A list of addresses is no larger than its text, and written as a list again it is the same one.
pub fn address_list(data: &[u8]) {
    let found = list(data);
    assert!(found.iter().map(Vec::len).sum::<usize>() <= data.len() && found.len() <= data.len());
    let quoted = found.iter().map(|address| [b"\"", &escaped(address)[..], b"\""].concat());
    assert_eq!(list(&quoted.collect::<Vec<_>>().join(&b", "[..])), found);
}

/// As a quoted string holds it.
pub(crate) fn escaped(address: &[u8]) -> Vec<u8> {
    address.iter().flat_map(|byte| if b"\"\\".contains(byte) { vec![b'\\', *byte] } else { vec![*byte] }).collect()
}
