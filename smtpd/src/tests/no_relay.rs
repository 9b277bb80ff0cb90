//! What no list of restrictions, no client and no answer of a name server may bring about: mail of a stranger for a
//! stranger.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use config::Config;
use dns::{LookupError, LookupFault, MailExchanger, RecordType};
use ipc::rewrite::{Class as AddressClass, Resolved};
use ipc::verify::{Knowledge, Standing};
use net::Family;
use policy::Service;
use proptest::prelude::*;
use smtp_protocol::Verb;
use smtp_server::{Facts, Peer, Protocol, State};

use crate::look_ups::{LookUps, Unresolved};
use crate::restriction::Rules;
use crate::restriction::{Class, Court, Effects, Evaluation, Memory, Verdict};
use crate::settings::Settings;

/// A world that answers anything, but for whose mail it is.
struct Anything {
    answers: RefCell<std::iter::Cycle<std::vec::IntoIter<u8>>>,
}

impl Anything {
    fn answer(&self) -> u8 {
        self.answers.borrow_mut().next().unwrap_or(0)
    }

    fn found<T>(&self, name: &str, kind: RecordType, found: T) -> Result<T, LookupError> {
        use LookupFault::*;
        let fault = match self.answer() {
            0..=3 => return Ok(found),
            4 => NotFound,
            5 => NoData,
            6 => TryAgain,
            7 => Malformed,
            8 => InvalidData,
            _ => NullMx,
        };
        Err(LookupError::new(name, kind, fault))
    }
}

impl LookUps for Anything {
    async fn resolve(&self, _: Option<&[u8]>, address: &[u8]) -> Result<Resolved, Unresolved> {
        let ours = address.ends_with(b"@ours.test");
        if !ours && self.answer() == 9 {
            return Err(Unresolved);
        }
        let class = if ours { AddressClass::Local } else { AddressClass::Default };
        let (transport, recipient) = ("smtp".to_owned(), address.to_vec());
        let (routed, bad_syntax, failed) = (false, false, false);
        Ok(Resolved { transport, nexthop: Vec::new(), recipient, class, routed, bad_syntax, failed })
    }

    async fn verify(&self, _: &[u8]) -> Option<Knowledge> {
        let standing = *Standing::ALL.get(usize::from(self.answer()))?;
        // What is not known yet would be waited for.
        (standing != Standing::Unknown).then(|| Knowledge::new(standing, "x"))
    }

    async fn mail_exchangers(&self, domain: &str) -> Result<Vec<MailExchanger>, LookupError> {
        let host = ["mx.test", "mail.ours.test"][usize::from(self.answer() & 1)].to_owned();
        self.found(domain, RecordType::Mx, vec![MailExchanger { preference: self.answer().into(), host }])
    }

    async fn name_servers(&self, zone: &str) -> Result<Vec<String>, LookupError> {
        self.found(zone, RecordType::Ns, vec!["ns.test".to_owned()])
    }

    async fn addresses(&self, name: &str, _: Family) -> Result<Vec<IpAddr>, LookupError> {
        self.found(name, RecordType::A, vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
    }

    async fn hosts(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let address = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(203, 0, 113, 1)][usize::from(self.answer() & 1)];
        self.found(name, RecordType::A, vec![IpAddr::V4(address)])
    }

    async fn listed(&self, query: &str) -> Result<Vec<Ipv4Addr>, LookupError> {
        self.found(query, RecordType::A, vec![Ipv4Addr::new(127, 0, 0, 2)])
    }

    async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, LookupError> {
        self.found(name, RecordType::Txt, vec![b"listed".to_vec()])
    }

    async fn policy(&self, _: &Service, _: &[u8]) -> Option<Vec<u8>> {
        let actions = ["OK", "DUNNO", "permit", "HOLD", "REJECT", "defer_if_permit", "x", "", "PREPEND X: y", "200"];
        actions.get(usize::from(self.answer())).map(|action| action.as_bytes().to_vec())
    }

    async fn has_user(&self, _: &[u8]) -> Result<bool, String> {
        if self.answer() == 9 { Err("no".to_owned()) } else { Ok(self.answer() & 1 == 0) }
    }
}

/// Every restriction that may say yes, and some that may not.
const WORDS: [&str; 22] = [
    "permit",
    "permit_mynetworks",
    "permit_inet_interfaces",
    "permit_auth_destination",
    "permit_sasl_authenticated",
    "permit_tls_clientcerts",
    "permit_dnswl_client list.test",
    "permit_rhswl_client list.test",
    "check_client_access inline:{unknown=OK, 192.0.2.9=permit}",
    "check_sender_access inline:{a@b.test=OK, b.test=OK}",
    "check_recipient_access inline:{x@stranger.test=OK, stranger.test=RELAY}",
    "check_sender_mx_access inline:{mx.test=DUNNO}",
    "reject_unknown_sender_domain",
    "reject_unknown_helo_hostname",
    "reject_rbl_client list.test",
    "warn_if_reject",
    "defer_if_permit",
    "defer_if_reject",
    "reject_unlisted_recipient",
    "reject_unverified_recipient",
    "check_policy_service inet:127.0.0.1:9",
    "nonsense",
];

fn rules(before: &[&str], after: &[&str]) -> (Rules, Settings) {
    let main_cf = format!(
        "compatibility_level = 3.11\nservice_name = smtp\nmyhostname = mx.ours.test\nmydestination = ours.test\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nalias_maps =\n\
         local_recipient_maps =\nsmtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n\
         smtpd_client_restrictions = {}\nsmtpd_recipient_restrictions = {}\n",
        before.join(", "),
        after.join(", "),
    );
    let config = Config::parse(main_cf.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
    (Rules::read(&config).unwrap(), Settings::read(&config).unwrap())
}

fn verdict(lists: (&[&str], &[&str]), answers: Vec<u8>, recipient: &[u8]) -> Verdict {
    let (rules, settings) = rules(lists.0, lists.1);
    let peer = Peer::nameless(([192, 0, 2, 9], 1025).into(), ([203, 0, 113, 1], 25).into());
    let facts = Facts {
        peer: &peer,
        helo: Some("client.test"),
        protocol: Protocol::Esmtp,
        login: None,
        tls: None,
        forward: None,
        state: State::Command(Verb::Rcpt),
        pipelined: false,
        sender: Some(b"a@b.test"),
        mail: None,
        parameters: None,
        recipient: Some(recipient),
        recipients: 0,
        queue_id: None,
        size: 0,
        etrn_domain: None,
    };
    let look_ups = Anything { answers: RefCell::new(answers.into_iter().cycle()) };
    let (memory, mut effects) = (Memory::default(), Effects::default());
    let court = Court { rules: &rules, settings: &settings, look_ups: &look_ups, memory: &memory };
    let mut evaluation = Evaluation::new(court, facts, Class::Recipient, &mut effects);
    match pin!(evaluation.rcpt()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => verdict,
        Poll::Pending => panic!("restrictions wait for nothing but their look-ups"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_stranger_sends_nothing_to_strangers(
        before in prop::sample::subsequence(&WORDS[..], 0..6),
        after in prop::sample::subsequence(&WORDS[..], 0..6),
        answers in prop::collection::vec(0_u8..10, 1..20),
    ) {
        let verdict = verdict((&before, &after), answers, b"x@stranger.test");
        prop_assert!(matches!(verdict, Verdict::Reject(_) | Verdict::HangUp), "{verdict:?}");
    }
}

#[test]
fn mail_for_this_system_is_taken_by_the_same_lists() {
    let verdict = verdict((&["permit"], &["permit"]), vec![0], b"bob@ours.test");
    assert_eq!(verdict, Verdict::Dunno);
}
