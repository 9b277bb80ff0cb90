//! What comes of an answer: records, aliases, failures, and names that are none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use dns::{Hosts, LookupFault, MailExchanger, Offer, ResolvConf, Resolver};
use net::{Family, Protocols};
use testing::NameServer;

const ZONE: &[&str] = &[
    "mx.test MX 10 a.test",
    "mx.test MX 20 b.test",
    "null.test MX 0 .",
    "nulls.test MX 0 .",
    "nulls.test MX 10 .",
    "mixed.test MX 10 a.test",
    "mixed.test MX 20 .",
    "a.test A 192.0.2.1",
    "a.test A 192.0.2.2",
    "a.test AAAA ::1",
    "b.test TXT nothing else",
    "alias.test CNAME a.test",
    "dangling.test CNAME missing.test",
    "loop.test CNAME loop.test",
    "short.search.test A 192.0.2.7",
    "txt.test TXT v=spf1 -all",
    "1.2.0.192.in-addr.arpa PTR a.test",
    "broken.test FAIL",
    "six.test MX 10 2001:db8::5",
    "four.test MX 10 127.0.0.5",
    "odd.test MX 10 a$b.test",
    "odd.test MX 20 -a.test",
    "half.test MX 10 1.2.3",
    "half.test MX 20 a.test",
    "zone.test NS a.test",
    "zone.test NS a b.test",
    "oddalias.test CNAME a b.test",
    "_smtp._tcp.a.test SRV 10 5 2525 a.test",
    "_smtp._tcp.a.test SRV 20 0 2526 -a.test",
    "_smtp._tcp.b.test SRV 10 5 2525 a.test",
    "_smtp._tcp.b.test SRV 0 0 0 .",
];

fn resolver(protocols: Protocols) -> Resolver {
    Resolver::with_servers(vec![NameServer::on_loopback(ZONE).address()], protocols)
}

#[tokio::test]
async fn mail_exchangers_come_with_preference_and_without_final_dot() {
    let found = resolver(Protocols::BOTH).mx("mx.test").await.unwrap();
    let expected =
        [(10, "a.test"), (20, "b.test")].map(|(preference, host)| MailExchanger { preference, host: host.to_owned() });
    assert_eq!(found, expected);
}

#[tokio::test]
async fn hosts_of_a_service_come_with_ports_and_a_service_that_is_not_there_is_a_fault() {
    let resolver = resolver(Protocols::BOTH);
    let offer = Offer { priority: 10, weight: 5, port: 2525 };
    assert_eq!(resolver.srv("_smtp._tcp.a.test").await.unwrap(), [(offer, "a.test".to_owned())]);
    for (name, fault) in [("_smtp._tcp.b.test", LookupFault::NoService), ("_smtp._tcp.c.test", LookupFault::NotFound)] {
        assert_eq!(resolver.srv(name).await.unwrap_err().fault, fault);
    }
}

#[tokio::test]
async fn an_exchanger_that_is_an_address_stands_as_it_is_in_the_zone() {
    let resolver = resolver(Protocols::BOTH);
    for (domain, host) in [("six.test", "2001:db8::5"), ("four.test", "127.0.0.5")] {
        assert_eq!(resolver.mx(domain).await.unwrap()[0].host, host);
    }
}

#[tokio::test]
async fn names_that_no_host_can_have_are_left_out_and_are_an_error_when_there_is_nothing_else() {
    let resolver = resolver(Protocols::BOTH);
    let hosts = resolver.mx("half.test").await.unwrap();
    assert_eq!(hosts, [MailExchanger { preference: 20, host: "a.test".to_owned() }]);
    assert_eq!(resolver.ns("zone.test").await.unwrap(), ["a.test"]);
    let error = resolver.mx("odd.test").await.unwrap_err();
    assert_eq!((error.fault, error.status()), (LookupFault::InvalidData, "5.4.4"));
    assert_eq!(resolver.mx("oddalias.test").await.unwrap_err().fault, LookupFault::InvalidData);
}

#[tokio::test]
async fn a_server_on_ipv6_answers_too() {
    let port = testing::port::Port::reserve();
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port.number()));
    let resolver = Resolver::with_servers(vec![NameServer::start(address, ZONE).address()], Protocols::BOTH);
    let found = resolver.addresses("a.test", Family::V6).await.unwrap();
    assert_eq!(found, [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
}

#[tokio::test]
async fn aliases_are_followed_also_when_the_answer_ends_early() {
    let resolver = resolver(Protocols::BOTH);
    assert_eq!(resolver.addresses("alias.test", Family::V4).await.unwrap().len(), 2);
    let error = resolver.addresses("loop.test", Family::V4).await.unwrap_err();
    assert_eq!((error.fault, error.to_string().as_str()), (LookupFault::Loop, "Name server loop for loop.test"));
    let error = resolver.addresses("dangling.test", Family::V4).await.unwrap_err();
    assert_eq!((error.fault, error.name.as_str()), (LookupFault::NotFound, "missing.test"));
}

#[tokio::test]
async fn each_failure_has_its_fault() {
    let resolver = resolver(Protocols::BOTH);
    for (domain, expected) in [
        ("missing.test", LookupFault::NotFound),
        ("b.test", LookupFault::NoData),
        ("broken.test", LookupFault::TryAgain),
        ("null.test", LookupFault::NullMx),
        ("nulls.test", LookupFault::NullMx),
        ("mixed.test", LookupFault::NullMx),
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
    let server = NameServer::on_loopback(ZONE);
    let resolver = Resolver::with_servers(vec![server.address()], Protocols::V4);
    let error = resolver.addresses("a.test", Family::V6).await.unwrap_err();
    assert_eq!(error.fault, LookupFault::NoData);
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn texts_are_joined_and_addresses_have_names() {
    let resolver = resolver(Protocols::BOTH);
    assert_eq!(resolver.txt("txt.test").await.unwrap(), [b"v=spf1 -all".to_vec()]);
    assert_eq!(resolver.native_name("192.0.2.1".parse().unwrap()).await.unwrap(), "a.test");
}

#[tokio::test]
async fn native_look_ups_know_the_hosts_file_and_the_search_list() {
    let server = NameServer::on_loopback(ZONE).address();
    let conf = ResolvConf { servers: vec![server], search: vec!["search.test".to_owned()], ..ResolvConf::default() };
    let hosts = Hosts::parse("127.0.0.1 localhost\n");
    let resolver = Resolver::new(conf, hosts, Protocols::BOTH);
    let v4 = |name: &'static str| resolver.native_addresses(name, Family::V4);
    assert_eq!(v4("localhost").await.unwrap(), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    assert_eq!(v4("short").await.unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    assert_eq!(v4("missing").await.unwrap_err().name, "missing");
    let error = resolver.native_addresses("localhost", Family::V6).await.unwrap_err();
    assert_eq!(error.system_text(), "No address associated with hostname");
    assert_eq!(resolver.native_name("127.0.0.1".parse().unwrap()).await.unwrap(), "localhost");
    assert_eq!(resolver.native_name("192.0.2.1".parse().unwrap()).await.unwrap(), "a.test");
}
