//! The servers that are found through a name server.

use std::rc::Rc;

use dns::{Hosts, ResolvConf, Resolver};
use net::Protocols;
use smtp_client::{Destination, Protocol};
use testing::NameServer;

use super::fixture;
use crate::find;
use crate::settings::Settings;

const ZONE: &[&str] = &[
    "mx.test MX 20 b.test",
    "mx.test MX 10 a.test",
    "mx.test MX 30 none.test",
    "a.test A 192.0.2.1",
    "a.test AAAA 2001:db8::1",
    "b.test A 192.0.2.2",
    "six.test MX 10 only6.test",
    "only6.test AAAA 2001:db8::6",
    "lost.test MX 10 missing.test",
    "flaky.test MX 10 missing.test",
    "flaky.test MX 20 broken.test",
    "broken.test FAIL",
    "null.test MX 0 .",
    "self.test MX 10 localhost.test",
    "backup.test MX 10 a.test",
    "backup.test MX 20 localhost.test",
    "localhost.test A 127.0.0.1",
    "slow.test A 192.0.2.3",
    "slow.test AAAA 2001:db8::3",
    "go.test A 192.0.2.4",
    "to-inside.test MX 10 inside",
    "inside TXT not an address",
];

/// The addresses that are found for a nexthop, or the status and the text of the failure.
async fn found(nexthop: &str, settings: &Settings) -> Result<Vec<String>, String> {
    let settings = &Rc::new(settings.clone());
    let conf =
        ResolvConf { servers: vec![NameServer::on_loopback(ZONE).address()], attempts: 1, ..ResolvConf::default() };
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
    let settings = fixture::shared();
    let server = NameServer::on_loopback(ZONE);
    server.hold("AAAA slow.test");
    let conf = ResolvConf { servers: vec![server.address()], attempts: 1, ..ResolvConf::default() };
    let resolver = Resolver::new(conf, Hosts::default(), settings.protocols);
    let destination = Destination::parse("[slow.test]", Protocol::Smtp, &settings.services).unwrap();
    let mut candidates = find::servers(&resolver, &settings, &destination).await.ok().unwrap();
    let relay = |server: Option<smtp_client::Server>| server.map(|server| server.relay());
    assert_eq!(relay(candidates.next().await), Some("slow.test[192.0.2.3]:25".to_owned()));
    assert!(candidates.may_grow());
    resolver.addresses("go.test", net::Family::V4).await.unwrap();
    assert_eq!(relay(candidates.next().await), Some("slow.test[2001:db8::3]:25".to_owned()));
    assert_eq!(relay(candidates.next().await), None);
}

#[tokio::test]
async fn native_look_ups_know_the_hosts_file_and_domains_keep_their_mail_exchangers() {
    let mut settings = fixture::settings();
    (settings.lookup.dns, settings.lookup.native) = (false, true);
    assert_eq!(found("inside", &settings).await.unwrap(), ["inside[192.0.2.9]:25"]);
    assert_eq!(found("to-inside.test", &settings).await.unwrap(), ["inside[192.0.2.9]:25"]);
    assert_eq!(found("mx.test", &settings).await.unwrap().len(), 3);
    // disable_dns_lookups
    settings.lookup.exchangers = false;
    let failure = found("lost.test", &settings).await.unwrap_err();
    assert_eq!(failure, "5.3.0 unable to look up host lost.test: No address associated with hostname");
}

#[tokio::test]
async fn the_systems_way_comes_after_dns_and_not_when_a_name_server_fails() {
    let mut settings = fixture::settings();
    settings.lookup.native = true;
    assert_eq!(found("[inside]", &settings).await.unwrap(), ["inside[192.0.2.9]:25"]);
    assert_eq!(found("[b.test]", &settings).await.unwrap(), ["b.test[192.0.2.2]:25"]);
    assert!(found("[broken.test]", &settings).await.unwrap_err().starts_with("4.4.3 Host or domain name not found."));
    assert_eq!(
        found("[nosuch.test]", &settings).await.unwrap_err(),
        "5.4.4 unable to look up host nosuch.test: Name or service not known"
    );
}

#[tokio::test]
async fn with_single_request_one_family_is_asked_for_after_the_other() {
    let settings = fixture::shared();
    let server = NameServer::on_loopback(ZONE);
    let surroundings = dns::Surroundings::default();
    let conf =
        ResolvConf { servers: vec![server.address()], ..ResolvConf::parse("options single-request", &surroundings) };
    let resolver = Resolver::new(conf, Hosts::default(), settings.protocols);
    // Asked for both at once, the server would not answer before it is asked for another name.
    server.hold("A slow.test");
    let destination = Destination::parse("[slow.test]", Protocol::Smtp, &settings.services).unwrap();
    let (found, _) = tokio::join!(find::servers(&resolver, &settings, &destination), async {
        while server.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        resolver.addresses("go.test", net::Family::V4).await.unwrap()
    });
    assert!(found.is_ok());
    assert_eq!(server.asked(), ["A slow.test", "A go.test", "AAAA slow.test"]);
}

/// Settings of a machine that has an address of each family besides loopback.
fn settings_of_a_backup() -> Rc<Settings> {
    let mut settings = fixture::settings();
    let address = |text: &str| net::Interface { address: text.parse().unwrap(), scope: None, prefix: 64 };
    settings.own.extend([address("198.51.100.1"), address("2001:db8::25")]);
    Rc::new(settings)
}

/// The servers of a domain whose question about the exchanger's IPv6 addresses is answered only when another is asked.
async fn with_late_aaaa(zone: &'static [&'static str], go: impl AsyncFnOnce(crate::candidates::Candidates, Resolver)) {
    let settings = settings_of_a_backup();
    let server = NameServer::on_loopback(zone);
    server.hold("AAAA mx.test");
    let conf = ResolvConf { servers: vec![server.address()], attempts: 1, ..ResolvConf::default() };
    let resolver = Resolver::new(conf, Hosts::default(), settings.protocols);
    let destination = Destination::parse("d.test", Protocol::Smtp, &settings.services).unwrap();
    go(find::servers(&resolver, &settings, &destination).await.ok().unwrap(), resolver).await;
}

#[tokio::test]
async fn a_worse_server_waits_until_it_is_known_not_to_be_this_machine() {
    const ZONE: &[&str] = &[
        "d.test MX 10 primary.test",
        "d.test MX 20 mx.test",
        "primary.test A 192.0.2.1",
        "mx.test A 192.0.2.2",
        "mx.test AAAA 2001:db8::25",
        "go.test A 192.0.2.4",
    ];
    with_late_aaaa(ZONE, async |mut candidates, resolver| {
        assert_eq!(candidates.next().await.map(|server| server.name), Some("primary.test".to_owned()));
        let answer = async { resolver.addresses("go.test", net::Family::V4).await.unwrap() };
        let (next, _) = tokio::join!(candidates.next(), answer);
        assert_eq!(next, None);
        assert_eq!(
            candidates.loop_failure().map(|it| it.reason),
            Some("unable to find primary relay for d.test".into())
        );
    })
    .await;
}

#[tokio::test]
async fn the_best_server_being_this_machine_is_a_loop_however_late_it_is_known() {
    const ZONE: &[&str] = &[
        "d.test MX 10 mx.test",
        "d.test MX 20 other.test",
        "other.test A 192.0.2.1",
        "mx.test A 192.0.2.2",
        "mx.test AAAA 2001:db8::25",
        "go.test A 192.0.2.4",
    ];
    with_late_aaaa(ZONE, async |mut candidates, resolver| {
        let answer = async { resolver.addresses("go.test", net::Family::V4).await.unwrap() };
        let (next, _) = tokio::join!(candidates.next(), answer);
        assert_eq!(next, None);
        assert_eq!(candidates.loop_failure().map(|it| it.reason), Some("mail for d.test loops back to myself".into()));
    })
    .await;
}

/// What DNS says of each server: MX records, address, and what the name is an alias for.
async fn origins(nexthop: &str, dnssec: bool) -> Vec<(String, Option<bool>, bool, Option<String>)> {
    const ZONE: &[&str] = &[
        "d.test MX 10 mx.test",
        "d.test MX 20 alias.test",
        "d.test MX 30 out.test",
        "mx.test A 192.0.2.1",
        "mx.test AAAA 2001:db8::1",
        "alias.test CNAME MX.test",
        "out.test CNAME mx.open.test",
        "open.test MX 10 mx.test",
        "mx.open.test A 192.0.2.2",
    ];
    let server = NameServer::judged_on_loopback(ZONE, |question| match question.text.ends_with("open.test") {
        true => testing::name_server::Verdict::Zone,
        false => testing::name_server::Verdict::Signed,
    });
    let mut settings = fixture::settings();
    settings.lookup.dnssec = dnssec;
    let settings = Rc::new(settings);
    let conf = ResolvConf { servers: vec![server.address()], attempts: 1, ..ResolvConf::default() };
    let resolver = Resolver::new(conf, Hosts::default(), settings.protocols);
    let destination = Destination::parse(nexthop, Protocol::Smtp, &settings.services).unwrap();
    let mut candidates = find::servers(&resolver, &settings, &destination).await.ok().unwrap();
    let mut found = Vec::new();
    while let Some(server) = candidates.next().await {
        found.push((server.name, server.origin.exchanger, server.origin.address, server.origin.canonical));
    }
    found
}

#[tokio::test]
async fn a_server_knows_which_of_the_answers_that_led_to_it_were_validated() {
    let of = |name: &str, exchanger, address, canonical: Option<&str>| {
        (name.to_owned(), exchanger, address, canonical.map(str::to_owned))
    };
    let mx = of("mx.test", Some(true), true, None);
    let alias = of("alias.test", Some(true), true, Some("MX.test"));
    let out = of("out.test", Some(true), false, Some("mx.open.test"));
    assert_eq!(origins("d.test", true).await, [mx.clone(), mx, alias.clone(), alias, out]);
    let insecure = of("mx.test", Some(false), true, None);
    assert_eq!(origins("open.test", true).await, [insecure.clone(), insecure]);
    let host = of("mx.open.test", None, false, None);
    assert_eq!(origins("[mx.open.test]", true).await, [host]);
    // smtp_dns_support_level other than dnssec.
    assert!(
        origins("d.test", false)
            .await
            .iter()
            .all(|(_, exchanger, address, _)| { *exchanger == Some(false) && !address })
    );
}
