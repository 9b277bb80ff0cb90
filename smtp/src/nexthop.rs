//! The places where mail is tried, and who named each of them: whose mistake is it when one cannot be used?
//!
//! A domain of a recipient that does not exist is the sender's mistake, and its mail goes back. A relay that the
//! administrator names in main.cf and that does not exist says nothing about any recipient: mail waits until it is
//! mended.

use delivery::Request;
use dsn::Status;
use smtp_client::Protocol;

use crate::failure::{Failure, Subject};
use crate::settings::Settings;

/// Who named a nexthop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// The recipient's domain, or an entry of a table or a transport that is about it.
    Recipient,
    /// relayhost.
    Relayhost,
    /// smtp_fallback_relay, lmtp_fallback_relay.
    FallbackRelay,
}

/// A nexthop of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nexthop {
    /// The nexthop as written: `domain`, `[host]:port`, `unix:path`.
    pub name: String,
    /// Who named it.
    pub named_by: NamedBy,
}

impl Nexthop {
    /// The nexthop of a request, which may be several, and the relays to fall back to.
    pub fn list(request: &Request, settings: &Settings) -> Vec<Self> {
        let text = String::from_utf8_lossy(&request.nexthop);
        // As in Postfix, a nexthop that is written like relayhost is the same place, whichever way it was chosen.
        let is_relayhost = settings.protocol == Protocol::Smtp && !text.is_empty() && *text == *settings.relayhost;
        let named_by = if is_relayhost { NamedBy::Relayhost } else { NamedBy::Recipient };
        let listed = text.split([',', ' ', '\t']).filter(|word| !word.is_empty());
        let listed = listed.map(|name| Self { name: name.to_owned(), named_by });
        let fallback = settings.fallback.iter();
        listed.chain(fallback.map(|name| Self { name: name.clone(), named_by: NamedBy::FallbackRelay })).collect()
    }

    /// What a failure means for the recipients: an error that is final about the way there only counts as final if the
    /// way is theirs.
    pub fn judge(&self, failure: Failure, protocol: Protocol) -> Failure {
        let is_about_way = matches!(failure.subject, Subject::Way | Subject::Loop);
        if !is_about_way || !failure.is_permanent() {
            return failure;
        }
        let parameter = match self.named_by {
            NamedBy::Recipient => return failure,
            NamedBy::Relayhost => "relayhost".to_owned(),
            NamedBy::FallbackRelay => format!("{}_fallback_relay", protocol.name()),
        };
        logging::warning!("{parameter} configuration problem");
        Failure { status: Status::new(4, 3, 5), ..failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixture;

    fn named(nexthop: &str, relayhost: &str) -> Vec<(String, NamedBy)> {
        let mut settings = fixture::settings();
        relayhost.clone_into(&mut settings.relayhost);
        settings.fallback = vec!["[back.test]".to_owned()];
        let request =
            Request { nexthop: nexthop.as_bytes().to_vec(), ..Request::new(queue::QueueId::parse(b"Q").unwrap()) };
        Nexthop::list(&request, &settings).into_iter().map(|it| (it.name, it.named_by)).collect()
    }

    #[test]
    fn a_nexthop_is_the_relayhosts_where_it_is_written_like_it_and_each_of_a_list_is() {
        let back = ("[back.test]".to_owned(), NamedBy::FallbackRelay);
        let one = |name: &str, by| (name.to_owned(), by);
        assert_eq!(named("d.test", "r.test"), [one("d.test", NamedBy::Recipient), back.clone()]);
        assert_eq!(named("r.test", "r.test"), [one("r.test", NamedBy::Relayhost), back.clone()]);
        assert_eq!(named("[r.test]", "r.test"), [one("[r.test]", NamedBy::Recipient), back.clone()]);
        let both = [one("a.test", NamedBy::Relayhost), one("[b.test]:26", NamedBy::Relayhost), back.clone()];
        assert_eq!(named("a.test, [b.test]:26", "a.test, [b.test]:26"), both);
        assert_eq!(named("", ""), [back]);
    }

    #[test]
    fn only_the_recipients_own_way_fails_for_good() {
        let final_ones = [
            Failure::of_way(Status::new(5, 4, 4), "no such host"),
            Failure::of_way(Status::new(5, 1, 0), "null MX"),
            Failure::of_loop("d.test", true),
        ];
        for failure in final_ones {
            let judge = |named_by| {
                Nexthop { name: "d.test".to_owned(), named_by }.judge(failure.clone(), Protocol::Smtp).status
            };
            assert_eq!(judge(NamedBy::Recipient), failure.status);
            assert_eq!(judge(NamedBy::Relayhost), Status::new(4, 3, 5));
            assert_eq!(judge(NamedBy::FallbackRelay), Status::new(4, 3, 5));
        }
    }

    #[test]
    fn what_is_temporary_or_not_about_the_way_stays_as_it_is() {
        let relay = Nexthop { name: "r.test".to_owned(), named_by: NamedBy::Relayhost };
        let kept = [
            Failure::of_way(Status::new(4, 4, 3), "try again"),
            Failure::of_host(Status::new(4, 4, 1), "connection refused"),
            Failure::of_message(Status::new(5, 3, 4), "too large"),
        ];
        for failure in kept {
            assert_eq!(relay.judge(failure.clone(), Protocol::Smtp), failure);
        }
    }
}
