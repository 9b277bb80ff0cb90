//! A name server with a few records on a loopback port (RFC 1035 4), and the servers that are found through it.

use std::net::{IpAddr, SocketAddr};

use dns::{Hosts, ResolvConf, Resolver};
use net::Protocols;
use tokio::net::UdpSocket;

use super::fixture;
use crate::destination::Destination;
use crate::find;
use crate::settings::{Protocol, Settings};

/// What the server knows of a name: mail exchangers and addresses; `SERVFAIL` fails.
type Zone = &'static [(&'static str, &'static [&'static str])];

const ZONE: Zone = &[
    ("mx.test", &["MX 20 b.test", "MX 10 a.test", "MX 30 none.test"]),
    ("a.test", &["192.0.2.1", "2001:db8::1"]),
    ("b.test", &["192.0.2.2"]),
    ("six.test", &["MX 10 only6.test"]),
    ("only6.test", &["2001:db8::6"]),
    ("lost.test", &["MX 10 missing.test"]),
    ("flaky.test", &["MX 10 missing.test", "MX 20 broken.test"]),
    ("broken.test", &["SERVFAIL"]),
    ("null.test", &["MX 0 "]),
    ("self.test", &["MX 10 localhost.test"]),
    ("backup.test", &["MX 10 a.test", "MX 20 localhost.test"]),
    ("localhost.test", &["127.0.0.1"]),
    ("slow.test", &["192.0.2.3", "2001:db8::3"]),
    ("go.test", &["192.0.2.4"]),
];

/// Its AAAA record is not told before somebody has asked for `go.test`.
const SLOW: &str = "slow.test";

async fn serve() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 512];
        let mut held = Vec::new();
        loop {
            let (length, peer) = socket.recv_from(&mut question).await.unwrap();
            let question = &question[..length];
            if name_and_kind(question) == (SLOW.to_owned(), 28) {
                held.push((answer(question), peer));
                continue;
            }
            socket.send_to(&answer(question), peer).await.unwrap();
            if name_and_kind(question).0 == "go.test" {
                for (answer, peer) in held.drain(..) {
                    socket.send_to(&answer, peer).await.unwrap();
                }
            }
        }
    });
    address
}

/// What a question asks for.
fn name_and_kind(question: &[u8]) -> (String, u16) {
    let (labels, at) = labels(question);
    (labels.join("."), u16::from_be_bytes([question[at + 1], question[at + 2]]))
}

fn labels(question: &[u8]) -> (Vec<String>, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while question[at] != 0 {
        let length = usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..at + 1 + length]).to_lowercase());
        at += 1 + length;
    }
    (labels, at)
}

fn answer(question: &[u8]) -> Vec<u8> {
    let (_, at) = labels(question);
    let (name, kind) = name_and_kind(question);
    let records = ZONE.iter().find(|(known, _)| *known == name).map(|(_, records)| *records);
    let code = match records {
        None => 3,
        Some(["SERVFAIL"]) => 2,
        Some(_) => 0,
    };
    let data: Vec<_> = records.unwrap_or_default().iter().filter_map(|record| encode(record, kind)).collect();
    let mut reply = question[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, data.len() as u8, 0, 0, 0, 0]);
    reply.extend(&question[12..at + 5]);
    for data in data {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        reply.extend(data);
    }
    reply
}

fn encode(record: &str, kind: u16) -> Option<Vec<u8>> {
    match (record.strip_prefix("MX "), record.parse::<IpAddr>(), kind) {
        (Some(rest), _, 15) => {
            let (preference, host) = rest.split_once(' ')?;
            let mut data = preference.parse::<u16>().ok()?.to_be_bytes().to_vec();
            for label in host.split('.').filter(|label| !label.is_empty()) {
                data.push(label.len() as u8);
                data.extend(label.as_bytes());
            }
            data.push(0);
            Some(data)
        }
        (None, Ok(IpAddr::V4(address)), 1) => Some(address.octets().to_vec()),
        (None, Ok(IpAddr::V6(address)), 28) => Some(address.octets().to_vec()),
        _ => None,
    }
}

/// The addresses that are found for a nexthop, or the status and the text of the failure.
async fn found(nexthop: &str, settings: &Settings) -> Result<Vec<String>, String> {
    let conf = ResolvConf { servers: vec![serve().await], attempts: 1, ..ResolvConf::default() };
    let hosts = Hosts::parse("192.0.2.9 inside\n");
    let resolver = Resolver::new(conf, hosts, settings.protocols);
    let destination = Destination::parse(nexthop, Protocol::Smtp, &settings.services).unwrap();
    match find::servers(&resolver, settings, &destination).await {
        Ok(mut candidates) => {
            let mut found = Vec::new();
            while let Some(server) = candidates.next().await {
                found.push(server.relay());
            }
            Ok(found)
        }
        Err(failure) => Err(format!("{} {}", failure.status, failure.reason)),
    }
}

const NOT_FOUND: &str = "Host or domain name not found. Name service error for name=";

#[tokio::test]
async fn mail_exchangers_come_by_preference_with_both_families() {
    let settings = fixture::settings();
    let expected = ["a.test[192.0.2.1]:25", "a.test[2001:db8::1]:25", "b.test[192.0.2.2]:25"];
    assert_eq!(found("mx.test", &settings).await.unwrap(), expected);
    assert_eq!(found("[a.test]:2525", &settings).await.unwrap().len(), 2);
    // A domain without mail exchangers is its own.
    assert_eq!(found("b.test", &settings).await.unwrap(), ["b.test[192.0.2.2]:25"]);
}

#[tokio::test]
async fn a_domain_without_usable_servers_fails_with_the_last_look_up() {
    let mut settings = fixture::settings();
    let expected = format!("5.4.4 {NOT_FOUND}missing.test type=AAAA: Host not found");
    assert_eq!(found("lost.test", &settings).await, Err(expected));
    let expected = format!("5.4.4 {NOT_FOUND}nosuch.test type=AAAA: Host not found");
    assert_eq!(found("nosuch.test", &settings).await, Err(expected));
    let expected = format!("4.4.3 {NOT_FOUND}broken.test type=MX: Host not found, try again");
    assert_eq!(found("broken.test", &settings).await, Err(expected));
    assert_eq!(found("null.test", &settings).await, Err("5.1.0 Domain null.test does not accept mail (nullMX)".into()));
    settings.protocols = Protocols::V4;
    let expected = format!("5.4.4 {NOT_FOUND}only6.test type=A: Host found but no data record of requested type");
    assert_eq!(found("six.test", &settings).await, Err(expected));
    settings.lookup.defer_without_address = true;
    assert!(found("six.test", &settings).await.is_err_and(|text| text.starts_with("4.4.4 ")));
}

#[tokio::test]
async fn one_exchanger_that_may_come_back_makes_mail_wait() {
    let failure = found("flaky.test", &fixture::settings()).await.unwrap_err();
    assert!(failure.starts_with("4.4.3 ") && failure.contains("name=broken.test"), "{failure}");
}

#[tokio::test]
async fn this_machine_is_not_among_the_servers_of_a_domain() {
    let settings = fixture::settings();
    assert_eq!(found("self.test", &settings).await, Err("5.4.6 mail for self.test loops back to myself".into()));
    assert_eq!(found("backup.test", &settings).await.unwrap().len(), 2);
    assert_eq!(found("self.test:2525", &settings).await.unwrap(), ["localhost.test[127.0.0.1]:2525"]);
}

#[tokio::test]
async fn the_slower_answer_is_not_waited_for_and_joins_when_it_comes() {
    let settings = fixture::settings();
    let conf = ResolvConf { servers: vec![serve().await], attempts: 1, ..ResolvConf::default() };
    let resolver = Resolver::new(conf, Hosts::default(), settings.protocols);
    let destination = Destination::parse("[slow.test]", Protocol::Smtp, &settings.services).unwrap();
    let mut candidates = find::servers(&resolver, &settings, &destination).await.ok().unwrap();
    let relay = |server: Option<crate::server::Server>| server.map(|server| server.relay());
    assert_eq!(relay(candidates.next().await), Some("slow.test[192.0.2.3]:25".to_owned()));
    assert!(candidates.may_grow());
    resolver.addresses("go.test", net::Family::V4).await.unwrap();
    assert_eq!(relay(candidates.next().await), Some("slow.test[2001:db8::3]:25".to_owned()));
    assert_eq!(relay(candidates.next().await), None);
}

#[tokio::test]
async fn native_look_ups_know_the_hosts_file_and_no_mail_exchangers() {
    let mut settings = fixture::settings();
    (settings.lookup.dns, settings.lookup.native) = (false, true);
    assert_eq!(found("inside", &settings).await.unwrap(), ["inside[192.0.2.9]:25"]);
    let failure = found("lost.test", &settings).await.unwrap_err();
    assert_eq!(failure, "5.4.4 unable to look up host lost.test: No address associated with hostname");
}
