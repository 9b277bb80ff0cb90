//! ETRN: a site that was not there wants its mail. RFC 1985
//!
//! Replies have no enhanced status codes, as in Postfix.

use net::hostname;
use smtp_protocol::Reply;

use crate::dialogue::Dialogue;
use crate::facts::Facts;
use crate::services::{Flushed, Services, Stage};
use crate::turn::{Answer, Turn};

/// `ETRN domain`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8]) -> Answer {
    if dialogue.needs_helo() {
        return Err(Turn::misused(503, "Error: send HELO/EHLO first"));
    }
    if dialogue.transaction.is_some() {
        return Err(Turn::misused(503, "Error: MAIL transaction in progress"));
    }
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let mut words = argument.split(is_blank).filter(|word| !word.is_empty());
    let (Some(argument), None) = (words.next(), words.next()) else {
        return Err(Turn::misused(500, "Syntax: ETRN domain"));
    };
    // `@domain` stands for its parts as well, `#queue` for a queue: there is one for all.
    let domain = argument.strip_prefix(b"@").or_else(|| argument.strip_prefix(b"#")).unwrap_or(argument);
    if !is_site(domain) {
        return Err(Turn::misused(501, "Error: invalid parameter syntax"));
    }
    let facts = Facts { etrn_domain: Some(domain), ..dialogue.facts(None, None) };
    dialogue.judge(services, Stage::Etrn, facts).await?;
    let (shown, client) = (text::printable(domain), &dialogue.peer.label);
    match services.flush(domain).await {
        Flushed::Begun => Ok(Turn::say(Reply::plain(250, "Queuing started"))),
        Flushed::NotServed => {
            logging::warning!("reject: ETRN {shown}... from {client}");
            Err(Turn::say(Reply::plain(459, format!("<{shown}>: service unavailable"))))
        }
        Flushed::Bad => {
            logging::warning!("bad ETRN {shown}... from {client}");
            Err(Turn::say(Reply::plain(458, "Unable to queue messages")))
        }
        Flushed::Unable => Err(Turn::say(Reply::plain(458, "Unable to queue messages"))),
    }
}

/// A name of a host, or an address in brackets.
fn is_site(domain: &[u8]) -> bool {
    if domain.starts_with(b"[") { net::literal::mailhost(domain).is_some() } else { hostname::is_valid(domain) }
}

#[cfg(test)]
mod tests {
    use super::is_site;

    #[test]
    fn a_site_is_a_host_or_an_address_in_brackets() {
        for site in [&b"foo.test"[..], b"foo", b"[192.0.2.1]", b"[ipv6:2001:db8::1]"] {
            assert!(is_site(site), "{}", text::printable(site));
        }
        for other in [&b""[..], b"-x-", b"foo..bar", b"[foo]", b"[192.0.2.1", b"a\0b"] {
            assert!(!is_site(other), "{}", text::printable(other));
        }
    }
}
