//! Tickets of several workers, under keys of several ages; and whole handshakes with them.

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

use super::*;

/// A key as tlsmgr tells of it so many seconds after it was made: an hour's worth, half of it for new tickets.
fn key(number: u8, age: u32) -> TicketKey {
    let left = |seconds: u32| seconds.saturating_sub(age);
    TicketKey { name: [number; 16], secret: [number; 32], until: 7, makes: left(1800), opens: left(3600) }
}

fn keys(current: (u8, u32), previous: Option<(u8, u32)>) -> TicketKeys {
    TicketKeys { current: key(current.0, current.1), previous: previous.map(|(number, age)| key(number, age)) }
}

fn worker(service: &str, keys: TicketKeys) -> Tickets {
    let tickets = Tickets::new(Duration::from_secs(3600), service.to_owned());
    tickets.renew(keys);
    tickets
}

fn tickets(current: (u8, u32), previous: Option<(u8, u32)>) -> Tickets {
    worker("smtp", keys(current, previous))
}

#[test]
fn a_ticket_of_one_worker_is_good_for_another_until_its_key_is_gone() {
    let ticket = tickets((1, 0), None).encrypt(b"session").unwrap();
    for (current, previous, opens) in [
        ((1, 1000), None, true),
        ((2, 0), Some((1, 1800)), true),
        ((2, 1799), Some((1, 3599)), true),
        ((2, 1800), Some((1, 3600)), false),
        ((3, 0), Some((2, 1800)), false),
    ] {
        let opened = tickets(current, previous).decrypt(&ticket);
        assert_eq!(opened.as_deref(), opens.then_some(&b"session"[..]), "{current:?} {previous:?}");
    }
}

#[test]
fn keys_go_when_their_time_is_over_though_there_are_no_others() {
    let (tickets, start) = (tickets((2, 0), Some((1, 1800))), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    let (new, _) = tickets.seal(b"session", start).unwrap();
    let old = worker("smtp", keys((1, 0), None)).encrypt(b"session").unwrap();
    let opens = |ticket: &[u8], seconds| tickets.open(ticket, after(seconds)).is_some();
    assert_eq!([1790, 1801].map(|seconds| opens(&old, seconds)), [true, false]);
    assert_eq!([1801, 3590, 3601].map(|seconds| opens(&new, seconds)), [true, true, false]);
    assert!(tickets.seal(b"session", after(3590)).is_some());
    assert_eq!(tickets.seal(b"session", after(3601)), None);
}

#[test]
fn keys_are_asked_for_when_there_should_be_a_new_one() {
    let tickets = Tickets::new(Duration::from_secs(3600), "smtp".to_owned());
    assert!(tickets.are_due() && !tickets.enabled());
    for (age, late, due) in [(0, 0, false), (1790, 0, false), (1790, 10, true), (1800, 0, false), (1800, 1, true)] {
        let since = Instant::now().checked_sub(Duration::from_secs(late)).unwrap();
        tickets.renew_at(keys((1, age), None), since);
        assert_eq!(tickets.are_due(), due, "{age} {late}");
    }
}

#[test]
fn a_ticket_of_another_service_is_none() {
    let ticket = tickets((1, 0), None).encrypt(b"session").unwrap();
    assert_eq!(worker("submission", keys((1, 0), None)).decrypt(&ticket), None);
}

#[test]
fn no_client_is_told_to_keep_a_ticket_for_more_than_a_week() {
    let told = |days: u64| Tickets::new(Duration::from_secs(days * 86400), String::new()).lifetime();
    assert_eq!([told(1), told(4), told(100)], [172_800, 604_800, 604_800]);
}

proptest::proptest! {
    #[test]
    fn nothing_but_a_ticket_is_one(bytes: Vec<u8>, at: proptest::sample::Index) {
        let tickets = tickets((1, 0), None);
        proptest::prop_assert_eq!(tickets.decrypt(&bytes), None);
        let mut ticket = tickets.encrypt(b"session").unwrap();
        let at = at.index(ticket.len());
        ticket[at] ^= 1;
        proptest::prop_assert_eq!(tickets.decrypt(&ticket), None);
    }
}

/// A client that remembers its sessions, and the servers of a mail system, which have one certificate.
struct Ends {
    client: Arc<ClientConfig>,
    server: ServerConfig,
}

impl Ends {
    fn new(version: &'static SupportedProtocolVersion) -> Ends {
        let pair = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["mx.test".to_owned()]).unwrap().self_signed(&pair).unwrap();
        let certificate = certificate.der().clone();
        let key = PrivateKeyDer::try_from(pair.serialize_der()).unwrap();
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&[version]).unwrap().with_no_client_auth();
        let mut server = builder.with_single_cert(vec![certificate.clone()], key).unwrap();
        (server.session_storage, server.send_tls13_tickets) = (Arc::new(NoServerSessionStorage {}), 1);
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        Ends { client: Arc::new(builder.with_root_certificates(roots).with_no_client_auth()), server }
    }

    /// Whether a session with a worker that has these tickets goes on with an earlier one.
    fn resumes(&self, tickets: Tickets) -> bool {
        let mut server = self.server.clone();
        server.ticketer = Arc::new(tickets);
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        let name = ServerName::try_from("mx.test").unwrap();
        let mut client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        // told: nobody; a handshake takes less.
        for _ in 0..8 {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut there).unwrap();
            }
            server.read_tls(&mut there.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            while server.wants_write() {
                server.write_tls(&mut back).unwrap();
            }
            client.read_tls(&mut back.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        server.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

#[test]
fn a_session_goes_on_at_another_worker_before_and_after_a_new_key_and_not_when_its_key_is_gone() {
    for version in [&TLS12, &TLS13] {
        let first = |ends: &Ends| assert!(!ends.resumes(tickets((1, 0), None)));
        for (current, previous, resumes) in [
            ((1, 1000), None, true),
            ((2, 0), Some((1, 1800)), true),
            ((2, 1800), Some((1, 3600)), false),
            ((3, 0), Some((2, 1800)), false),
        ] {
            let ends = Ends::new(version);
            first(&ends);
            assert_eq!(ends.resumes(tickets(current, previous)), resumes, "{version:?} {current:?} {previous:?}");
        }
        let ends = Ends::new(version);
        first(&ends);
        assert!(!ends.resumes(worker("submission", keys((1, 0), None))), "{version:?}");
    }
}
