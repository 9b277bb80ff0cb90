//! A server that will have nothing to do with our address may take the same mail from our address of the other family.
//!
//! Only a refusal that is about the client's address is worth the second attempt: a name that the address does not
//! have, a list that it is on, a sender policy that it is not in. What is about the recipient or the content stays as
//! it is.

use std::net::IpAddr;

use delivery::Finding;
use net::Shown;

use crate::failure::{Failure, Subject};

/// A recipient that was refused because of our address, and what becomes of it if there is no other way.
pub struct Refused {
    /// Which recipient.
    pub index: usize,
    /// Its result without an appeal.
    pub finding: Finding,
}

/// RFC 7208 (policy of the sender's domain), RFC 7372 (reverse name, several at once).
const DETAILS: [u16; 4] = [23, 24, 25, 26];

/// Words of texts about a client's address, lower case.
const WORDS: [&str; 24] = [
    "ptr",
    "reverse",
    "rdns",
    "ipv4",
    "ipv6",
    "ip address",
    "client",
    "hostname",
    "host name",
    "your host",
    "your server",
    "your address",
    "your ip",
    "your network",
    "sending ip",
    "sender ip",
    "blocklist",
    "blacklist",
    "denylist",
    "dnsbl",
    "rbl",
    "listed",
    "reputation",
    "spf",
];

/// Whether a failure is a final refusal because of the address that we have come from.
pub fn is_worth_it(failure: &Failure, own: Option<IpAddr>) -> bool {
    // 5.7.x: security and policy (RFC 3463).
    if !failure.is_permanent() || failure.status.subject() != 7 {
        return false;
    }
    // A login is the same from any address.
    let Some(reply) = failure.reply.as_ref().filter(|_| failure.subject != Subject::Login) else { return false };
    // Who is refused at the greeting has said nothing yet but where he comes from.
    if failure.subject == Subject::Host || DETAILS.contains(&failure.status.detail()) {
        return true;
    }
    let reply = reply.to_ascii_lowercase();
    own.is_some_and(|own| reply.contains(&Shown(own).to_string())) || has_word(&reply)
}

/// A text with one of the words, at the beginnings of words.
fn has_word(text: &str) -> bool {
    WORDS.iter().any(|word| {
        text.match_indices(word).any(|(at, _)| !text[..at].ends_with(|before: char| before.is_alphanumeric()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::status_of;
    use dsn::Status;
    use smtp_protocol::Reply;

    fn worth(code: u16, text: &str) -> bool {
        let reply = Reply::plain(code, text);
        let failure = Failure { reply: Some(format!("{code} {text}")), ..Failure::of_message(status_of(&reply), "x") };
        is_worth_it(&failure, Some("2001:db8::26".parse().unwrap()))
    }

    #[test]
    fn a_refusal_about_our_address_is_worth_an_appeal() {
        for text in [
            "5.7.25 rejected",
            "5.7.1 no PTR record for your address",
            "5.7.1 Client host rejected: cannot find your reverse hostname, [2001:db8::26]",
            "5.7.1 Our system has detected that this message does not meet IPv6 sending guidelines",
            "5.7.1 Service unavailable; Client host [2001:db8::26] blocked using bl.test",
            "5.7.0 2001:db8::26 is not allowed to send mail",
            "5.7.23 SPF validation failed",
        ] {
            assert!(worth(550, text), "{text}");
        }
    }

    #[test]
    fn any_other_refusal_is_not() {
        for text in [
            "5.7.1 <u@d.test>: Relay access denied",
            "5.7.1 message content rejected",
            "5.7.1 <u@d.test>: Recipient address rejected: Access denied",
            "5.1.1 no such client",
            "no PTR record",
        ] {
            assert!(!worth(550, text), "{text}");
        }
        assert!(!worth(450, "4.7.25 no PTR record"));
        let refused = Failure::of_host(Status::new(5, 7, 8), "x");
        let login = Failure { reply: Some("535 5.7.8 client, go away".to_owned()), subject: Subject::Login, ..refused };
        assert!(!is_worth_it(&login, None));
        let ours = Failure::of_host(Status::new(5, 7, 4), "TLS is required, and your host has none");
        assert!(!is_worth_it(&ours, None));
    }
}
