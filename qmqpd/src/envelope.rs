//! The records of a message's envelope, in the order in which Postfix's server writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use net::Peer;
use queue::record::{Type, encode, encode_attribute};

use crate::settings::Settings;

/// The protocol, as log lines and headers name it.
pub const PROTOCOL: &str = "QMQP";

/// The delimiters that the sender of a list asks for are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDelimiters(pub Vec<u8>);

/// A sender, and the delimiters of VERP if it asks for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sender<'a> {
    before_delimiter: &'a [u8],
    domain: &'a [u8],
    delimiters: Option<[u8; 2]>,
}

/// How a sender ends that is to be another one for each recipient: `list-@example.org-@[]`.
const VERP: &[u8] = b"-@[]";

impl<'a> Sender<'a> {
    /// `list-@example.org-@[]` is list@example.org with the delimiters `-=`, the second of which stands for the `@` of
    /// the recipient. Every other address is itself.
    fn parse(address: &'a [u8]) -> Sender<'a> {
        let plain = Sender { before_delimiter: address, domain: b"", delimiters: None };
        let Some(list) = address.strip_suffix(VERP) else { return plain };
        match list.iter().position(|byte| *byte == b'@') {
            Some(at @ 2..) => {
                let delimiters = Some([list[at - 1], b'=']);
                Sender { before_delimiter: &list[..at - 1], domain: &list[at..], delimiters }
            }
            _ => plain,
        }
    }
}

/// Everything before the first recipient.
///
/// # Errors
/// The sender asks for delimiters that verp_delimiter_filter does not allow.
pub fn begin(out: &mut Vec<u8>, address: &[u8], peer: &Peer, settings: &Settings) -> Result<(), BadDelimiters> {
    let sender = Sender::parse(address);
    let is_allowed =
        |delimiters: &[u8; 2]| delimiters.iter().all(|byte| settings.verp_filter.as_bytes().contains(byte));
    if let Some(delimiters) = sender.delimiters.filter(|delimiters| !is_allowed(delimiters)) {
        return Err(BadDelimiters(delimiters.to_vec()));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    encode(out, Type::TIME, format!("{} {}", now.as_secs(), now.subsec_micros()).as_bytes());
    if !settings.content_filter.is_empty() {
        encode(out, Type::FILTER, settings.content_filter.as_bytes()); // content_filter
    }
    encode(out, Type::SENDER, &[sender.before_delimiter, sender.domain].concat());
    if let Some(delimiters) = sender.delimiters {
        encode(out, Type::VERP, &delimiters);
    }
    receiving::client::logged(out, peer, None, PROTOCOL);
    let mut attribute = |name: &str, value: &str| encode_attribute(out, name, value.as_bytes());
    attribute("client_name", &peer.name);
    attribute("client_address", &peer.address_text());
    attribute("client_port", &peer.port);
    attribute("client_address_type", &receiving::client::family(peer));
    attribute("protocol_name", PROTOCOL);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(address: &str) -> (String, Option<String>) {
        let Sender { before_delimiter, domain, delimiters } = Sender::parse(address.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&[before_delimiter, domain].concat()), delimiters.map(|delimiters| text(&delimiters)))
    }

    #[test]
    fn the_senders_that_ask_for_verp_are_those_of_postfix() {
        for (address, sender, delimiters) in [
            ("user-@b.test-@[]", "user@b.test", Some("-=")),
            ("user+-@b.test-@[]", "user+@b.test", Some("-=")),
            ("user/@b.test-@[]", "user@b.test", Some("/=")),
            ("ab-@x-@[]", "ab@x", Some("-=")),
            ("-@b.test-@[]", "-@b.test-@[]", None),
            ("a@b-@c-@[]", "a@b-@c-@[]", None),
            ("user-@[]", "user-@[]", None),
            ("-@-@[]", "-@-@[]", None),
            ("-@[]", "-@[]", None),
            ("#@[]", "#@[]", None),
            ("a@b.test", "a@b.test", None),
            ("", "", None),
        ] {
            assert_eq!(parsed(address), (sender.to_owned(), delimiters.map(str::to_owned)), "{address}");
        }
    }
}
