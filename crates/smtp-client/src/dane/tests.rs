//! What DANE comes to at a server, for each answer of DNS and each setting.

use dns::{Hosts, ResolvConf, Resolver};
use net::Protocols;
use testing::NameServer;
use testing::name_server::{Question, Verdict};

use super::{InsecureExchanger, Obstacle, Refusal, Rules, Ruling, Secured};
use crate::server::{Endpoint, Origin, Server};

/// What is below `open.test` is not signed, and the zone of `bogus.test` is signed wrongly.
const ZONE: &[&str] = &[
    "_25._tcp.mx.test TLSA 3 1 1 00",
    "_25._tcp.mx.test TLSA 1 1 1 00",
    "_587._tcp.mx.test TLSA 2 1 1 01",
    "_25._tcp.useless.test TLSA 9 9 9 00",
    "alias.test CNAME host.open.test",
    "_25._tcp.alias.test TLSA 3 1 1 02",
    "bare.test CNAME host.open.test",
    "loose.open.test CNAME mx.test",
    "_25._tcp.loose.open.test CNAME _25._tcp.mx.test",
    "_25._tcp.host.open.test TLSA 3 1 1 03",
    "_25._tcp.moved.test CNAME _25._tcp.mx.test",
];

fn judge(question: &Question) -> Verdict {
    match question.text.as_str() {
        text if text.ends_with("open.test") => Verdict::Zone,
        text if text.ends_with("bogus.test") => Verdict::Code(2),
        _ => Verdict::Signed,
    }
}

fn rules() -> Rules {
    Rules::default()
}

/// A server as its look-ups have left it.
fn server(name: &str, exchanger: Option<bool>, address: bool, canonical: Option<&str>) -> Server {
    let endpoint = Endpoint::Internet("192.0.2.1:25".parse().unwrap());
    let origin = Origin { exchanger, address, canonical: canonical.map(str::to_owned) };
    Server { origin, ..Server::new(name, endpoint, 10) }
}

async fn on_port(rules: &Rules, server: &Server, port: u16, only: bool) -> Result<Ruling, Refusal> {
    let zone = NameServer::judged_on_loopback(ZONE, judge);
    let conf = ResolvConf { servers: vec![zone.address()], attempts: 1, ..ResolvConf::default() };
    let resolver = Resolver::new(conf, Hosts::default(), Protocols::BOTH);
    rules.judge(&resolver, ("[d.test]", "d.test"), (server, port), only).await
}

/// What dane and dane-only come to, in one word or sentence each.
async fn both(rules: &Rules, server: &Server) -> (String, String) {
    let text = |ruling: Result<Ruling, Refusal>| match ruling {
        Ok(Ruling::Records(Secured { base, half, .. })) => format!("{}dane {base}", if half { "half-" } else { "" }),
        Ok(Ruling::Encrypt) => "encrypt".to_owned(),
        Ok(Ruling::May) => "may".to_owned(),
        Err(Refusal::Misconfigured) => "misconfigured".to_owned(),
        Err(Refusal::Because(reason)) => reason,
    };
    (text(on_port(rules, server, 25, false).await), text(on_port(rules, server, 25, true).await))
}

#[tokio::test]
async fn each_answer_of_dns_has_its_level() {
    const NONE: &str = "no TLSA records found";
    for (name, exchanger, address, canonical, dane, only) in [
        // Everything is signed.
        ("mx.test", Some(true), true, None, "dane mx.test", "dane mx.test"),
        ("mx.test", None, true, None, "dane mx.test", "dane mx.test"),
        ("moved.test", Some(true), true, None, "dane moved.test", "dane moved.test"),
        // The name at the end of aliases comes first, then the one that was asked for.
        ("other.test", Some(true), true, Some("mx.test"), "dane mx.test", "dane mx.test"),
        ("mx.test", Some(true), true, Some("other.test"), "dane mx.test", "dane mx.test"),
        // Nobody vouches for the MX record.
        ("mx.test", Some(false), true, None, "half-dane mx.test", "non DNSSEC destination"),
        ("useless.test", Some(false), true, None, "encrypt", "non DNSSEC destination"),
        ("nothing.test", Some(false), true, None, "may", "non DNSSEC destination"),
        // Or for the address, but for the alias.
        ("mx.test", Some(true), false, None, "may", NONE),
        ("alias.test", Some(true), false, Some("host.open.test"), "dane alias.test", "dane alias.test"),
        ("bare.test", Some(true), false, Some("host.open.test"), "may", NONE),
        ("loose.open.test", Some(true), false, Some("mx.test"), "may", NONE),
        // There are no records, or they are not signed, or of no use.
        ("nothing.test", Some(true), true, None, "may", NONE),
        ("host.open.test", Some(true), true, None, "may", NONE),
        ("useless.test", Some(true), true, None, "encrypt", "TLSA records unusable"),
        ("192.0.2.1", None, false, None, "may", NONE),
    ] {
        let server = server(name, exchanger, address, canonical);
        let expected = (dane.to_owned(), only.to_owned());
        assert_eq!(both(&rules(), &server).await, expected, "{server:?}");
    }
}

#[tokio::test]
async fn a_look_up_that_fails_keeps_mail_back_at_every_level() {
    let error = |name: &str| {
        let text = format!("TLSA lookup error for {name}:25");
        (text.clone(), text)
    };
    let failing = server("mx.bogus.test", Some(true), true, None);
    assert_eq!(both(&rules(), &failing).await, error("mx.bogus.test"));
    // Records under the other name do not count then.
    let alias = server("mx.test", Some(true), true, Some("mx.bogus.test"));
    assert_eq!(both(&rules(), &alias).await, error("mx.test"));
    let alias = server("alias.bogus.test", Some(true), false, Some("mx.test"));
    assert_eq!(both(&rules(), &alias).await, error("alias.bogus.test"));
}

#[tokio::test]
async fn a_server_that_an_insecure_record_names_is_treated_as_the_policy_says() {
    let insecure = server("mx.test", Some(false), true, None);
    for (word, expected) in [("dane", "half-dane mx.test"), ("encrypt", "encrypt"), ("may", "may")] {
        let rules = Rules { insecure_exchanger: InsecureExchanger::parse(word).unwrap(), ..rules() };
        assert_eq!(both(&rules, &insecure).await.0, expected);
        let secure = server("mx.test", Some(true), true, None);
        assert_eq!(both(&rules, &secure).await.0, "dane mx.test");
    }
    // Where nothing is asked of it, nothing is looked up.
    let rules = Rules { insecure_exchanger: InsecureExchanger::May, ..rules() };
    for name in ["useless.test", "mx.bogus.test"] {
        assert_eq!(both(&rules, &server(name, Some(false), true, None)).await.0, "may");
    }
    assert_eq!(InsecureExchanger::parse("verify"), None);
}

#[tokio::test]
async fn records_of_an_insecure_host_count_only_where_main_cf_asks_for_them() {
    let insecure = server("mx.test", Some(true), false, None);
    assert_eq!(both(&rules(), &insecure).await.0, "may");
    let forced = Rules { insecure_host: true, ..rules() };
    assert_eq!(both(&forced, &insecure).await.0, "dane mx.test");
    // Where an alias leads to that nobody vouches for says nothing of the host.
    assert_eq!(both(&forced, &server("nothing.test", Some(true), false, Some("mx.test"))).await.0, "may");
    // Those that are not signed never count.
    assert_eq!(both(&forced, &server("host.open.test", Some(true), false, None)).await.0, "may");
}

#[tokio::test]
async fn settings_that_go_ill_with_dane_leave_may_and_nothing_of_dane_only() {
    let server = server("mx.test", Some(true), true, None);
    for obstacle in [Obstacle::NoDnssec, Obstacle::IgnoredErrors, Obstacle::Searching] {
        let rules = Rules { obstacle: Some(obstacle), ..rules() };
        assert_eq!(both(&rules, &server).await, ("may".to_owned(), "misconfigured".to_owned()));
    }
}

#[tokio::test]
async fn records_come_with_the_names_that_count_and_those_of_the_port_are_asked_for() {
    let ruled = |ruling: Result<Ruling, Refusal>| match ruling {
        Ok(Ruling::Records(secured)) => secured,
        other => panic!("{other:?}"),
    };
    let secured = ruled(on_port(&rules(), &server("other.test", Some(true), true, Some("MX.test")), 25, false).await);
    assert_eq!((secured.base.as_str(), secured.records.len()), ("MX.test", 1));
    assert_eq!(secured.names, ["MX.test", "other.test", "d.test"]);
    // The domain vouches for the host only by a record that is signed.
    let secured = ruled(on_port(&rules(), &server("mx.test", Some(false), true, None), 25, false).await);
    assert_eq!(secured.names, ["mx.test"]);
    let secured = ruled(on_port(&rules(), &server("mx.test", None, true, None), 587, true).await);
    assert_eq!(secured.records[0].to_string(), "2 1 1 01");
}
