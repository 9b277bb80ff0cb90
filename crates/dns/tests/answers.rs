//! Look-ups against a name server of our own on a loopback port, over both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use dns::{Hosts, LookupFault, MailExchanger, ResolvConf, Resolver};
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use net::{Family, Protocols};
use tokio::net::UdpSocket;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn record(owner: &str, data: RData) -> Record {
    Record::from_rdata(name(owner), 60, data)
}

/// The zone: what the server answers, or a failure.
fn answer(owner: &str, kind: RecordType) -> (ResponseCode, Vec<Record>) {
    let v4 = |last| RData::A(A(Ipv4Addr::new(192, 0, 2, last)));
    let mx = |preference, host: &str| RData::MX(MX::new(preference, name(host)));
    let records = match (owner, kind) {
        ("mx.test.", RecordType::MX) => {
            vec![record(owner, mx(10, "a.test.")), record(owner, mx(20, "b.test."))]
        }
        ("null.test.", RecordType::MX) => vec![record(owner, mx(0, "."))],
        ("a.test.", RecordType::A) => vec![record(owner, v4(1)), record(owner, v4(2))],
        ("a.test.", RecordType::AAAA) => {
            vec![record(owner, RData::AAAA(AAAA(Ipv6Addr::LOCALHOST)))]
        }
        ("alias.test.", _) => vec![record(owner, RData::CNAME(CNAME(name("a.test."))))],
        ("short.search.test.", RecordType::A) => vec![record(owner, v4(7))],
        ("loop.test.", _) => vec![record(owner, RData::CNAME(CNAME(name("loop.test."))))],
        ("b.test." | "only4.test.", _) => vec![],
        ("txt.test.", RecordType::TXT) => {
            let text = TXT::from_bytes(vec![b"v=spf1 ", b"-all"]);
            vec![record(owner, RData::TXT(text))]
        }
        ("1.2.0.192.in-addr.arpa.", RecordType::PTR) => {
            vec![record(owner, RData::PTR(PTR(name("a.test."))))]
        }
        ("broken.test.", _) => return (ResponseCode::ServFail, vec![]),
        ("refused.test.", _) => return (ResponseCode::Refused, vec![]),
        _ => return (ResponseCode::NXDomain, vec![]),
    };
    (ResponseCode::NoError, records)
}

async fn serve(address: IpAddr) -> SocketAddr {
    let socket = UdpSocket::bind((address, 0)).await.unwrap();
    let local = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let request = Message::from_vec(&buffer[..length]).unwrap();
            let query = request.queries.first().unwrap().clone();
            let mut reply = Message::new(request.metadata.id, MessageType::Response, OpCode::Query);
            let owner = query.name().to_ascii().to_ascii_lowercase();
            let (code, records) = answer(&owner, query.query_type());
            reply.metadata.response_code = code;
            reply.metadata.recursion_available = true;
            reply.add_query(query);
            reply.add_answers(records);
            socket.send_to(&reply.to_vec().unwrap(), peer).await.unwrap();
        }
    });
    local
}

async fn resolver(protocols: Protocols) -> Resolver {
    let server = serve(IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
    Resolver::with_servers(vec![server], protocols)
}

#[tokio::test]
async fn mail_exchangers_come_with_preference_and_without_final_dot() {
    let found = resolver(Protocols::BOTH).await.mx("mx.test").await.unwrap();
    let expected =
        [(10, "a.test"), (20, "b.test")].map(|(preference, host)| MailExchanger { preference, host: host.to_owned() });
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_server_on_ipv6_answers_too() {
    let server = serve(IpAddr::V6(Ipv6Addr::LOCALHOST)).await;
    let resolver = Resolver::with_servers(vec![server], Protocols::BOTH);
    let found = resolver.addresses("a.test", Family::V6).await.unwrap();
    assert_eq!(found, [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
}

#[tokio::test]
async fn aliases_are_followed_also_when_the_answer_ends_early() {
    let resolver = resolver(Protocols::BOTH).await;
    assert_eq!(resolver.addresses("alias.test", Family::V4).await.unwrap().len(), 2);
    let error = resolver.addresses("loop.test", Family::V4).await.unwrap_err();
    assert_eq!(error.fault, LookupFault::Malformed);
}

#[tokio::test]
async fn each_failure_has_its_fault() {
    let resolver = resolver(Protocols::BOTH).await;
    for (domain, expected) in [
        ("missing.test", LookupFault::NotFound),
        ("b.test", LookupFault::NoData),
        ("broken.test", LookupFault::TryAgain),
        ("refused.test", LookupFault::NonRecoverable),
        ("null.test", LookupFault::NullMx),
        ("bad name", LookupFault::InvalidName),
        ("1.2.3", LookupFault::InvalidName),
        ("", LookupFault::InvalidName),
    ] {
        let error = resolver.mx(domain).await.unwrap_err();
        assert_eq!(error.fault, expected, "{domain}");
    }
    let error = resolver.mx("broken.test").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Host or domain name not found. Name service error for name=broken.test type=MX: Host not found, try again"
    );
}

#[tokio::test]
async fn a_disabled_family_is_not_asked_for() {
    let resolver = resolver(Protocols::V4).await;
    let error = resolver.addresses("a.test", Family::V6).await.unwrap_err();
    assert_eq!(error.fault, LookupFault::NoData);
}

#[tokio::test]
async fn texts_are_joined_and_addresses_have_names() {
    let resolver = resolver(Protocols::BOTH).await;
    assert_eq!(resolver.txt("txt.test").await.unwrap(), [b"v=spf1 -all".to_vec()]);
    assert_eq!(resolver.reverse("192.0.2.1".parse().unwrap()).await.unwrap(), ["a.test"]);
}

#[tokio::test]
async fn native_look_ups_know_the_hosts_file_and_the_search_list() {
    let server = serve(IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
    let conf = ResolvConf { servers: vec![server], search: vec!["search.test".to_owned()], ..ResolvConf::default() };
    let hosts = Hosts::parse("127.0.0.1 localhost\n");
    let resolver = Resolver::new(conf, hosts, Protocols::BOTH);
    let v4 = |name: &'static str| resolver.native_addresses(name, Family::V4);
    assert_eq!(v4("localhost").await.unwrap(), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    assert_eq!(v4("short").await.unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    let error = resolver.native_addresses("localhost", Family::V6).await.unwrap_err();
    assert_eq!(error.system_text(), "No address associated with hostname");
    assert_eq!(resolver.native_name("127.0.0.1".parse().unwrap()).await.unwrap(), "localhost");
    assert_eq!(resolver.native_name("192.0.2.1".parse().unwrap()).await.unwrap(), "a.test");
}

#[tokio::test]
async fn a_silent_server_costs_the_configured_time_and_is_a_temporary_error() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let conf = ResolvConf {
        servers: vec![silent.local_addr().unwrap()],
        timeout: Duration::from_millis(100),
        attempts: 2,
        ..ResolvConf::default()
    };
    let resolver = Resolver::new(conf, Hosts::default(), Protocols::BOTH);
    let started = std::time::Instant::now();
    let error = resolver.mx("mx.test").await.unwrap_err();
    assert_eq!(error.fault, LookupFault::TryAgain);
    assert!(started.elapsed() < Duration::from_secs(3));
}
