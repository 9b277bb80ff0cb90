//! Validated answers: what is asked, whose word counts, and when the probe is made.

use dns::{LookupFault, Probe, ResolvConf, Resolver};
use net::{Family, Protocols};
use testing::NameServer;
use testing::name_server::{Question, Verdict};

const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

const ZONE: &[&str] = &[
    "d.test MX 10 alias.test",
    "alias.test CNAME mx.test",
    "mx.test A 192.0.2.1",
    "out.test CNAME open.test",
    "open.test A 192.0.2.2",
    "_25._tcp.mx.test TLSA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "_25._tcp.mx.test TLSA 9",
    "_25._tcp.alias.test CNAME _25._tcp.mx.test",
];

/// All but what is about `open.test` is signed.
fn judge(question: &Question) -> Verdict {
    if question.text.ends_with("open.test") { Verdict::Zone } else { Verdict::Signed }
}

fn resolver(server: &NameServer) -> Resolver {
    let conf = ResolvConf { servers: vec![server.address()], attempts: 1, ..ResolvConf::default() };
    Resolver::new(conf, dns::Hosts::default(), Protocols::BOTH)
}

#[tokio::test]
async fn an_answer_is_secure_when_every_alias_on_the_way_is() {
    let server = NameServer::judged_on_loopback(ZONE, judge);
    let resolver = resolver(&server);
    let mx = resolver.dnssec().mx("d.test").await.unwrap();
    assert!(mx.secure && mx.found[0].host == "alias.test");
    let host = resolver.dnssec().addresses("alias.test", Family::V4).await.unwrap();
    assert_eq!((host.secure, host.owner.as_str(), host.found.len()), (true, "mx.test", 1));
    let host = resolver.dnssec().addresses("out.test", Family::V4).await.unwrap();
    assert_eq!((host.secure, host.owner.as_str(), host.found.len()), (false, "open.test", 1));
    assert!(resolver.dnssec().alias("out.test").await.unwrap().secure);
    assert_eq!(resolver.dnssec().alias("mx.test").await.unwrap_err().fault, LookupFault::NoData);
}

#[tokio::test]
async fn tlsa_records_are_found_by_alias_too_and_a_truncated_one_is_one_of_them() {
    let server = NameServer::judged_on_loopback(ZONE, judge);
    let resolver = resolver(&server);
    for name in ["_25._tcp.mx.test", "_25._tcp.alias.test"] {
        let tlsa = resolver.dnssec().tlsa(name).await.unwrap();
        assert_eq!((tlsa.secure, tlsa.owner.as_str()), (true, "_25._tcp.mx.test"));
        let texts: Vec<String> = tlsa.found.iter().map(ToString::to_string).collect();
        assert_eq!(texts, [format!("3 1 1 {}", HASH.to_uppercase()), "9 0 0 ".to_owned()]);
        assert_eq!(tlsa.found[1].length, 1);
    }
    let missing = resolver.dnssec().tlsa("_587._tcp.mx.test").await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        "Host or domain name not found. Name service error for name=_587._tcp.mx.test type=TLSA: Host not found"
    );
}

#[tokio::test]
async fn only_who_wants_validated_answers_asks_for_them_and_without_edns_the_ad_bit_alone_asks() {
    let server = NameServer::judged_on_loopback(ZONE, |question| match (question.dnssec, question.edns) {
        (true, _) => Verdict::Code(1),
        (false, _) if question.ad => Verdict::Signed,
        (false, _) => Verdict::Zone,
    });
    let resolver = resolver(&server);
    assert!(resolver.dnssec().mx("d.test").await.unwrap().secure);
    let before = server.asked().len();
    resolver.mx("d.test").await.unwrap();
    assert_eq!((before, server.asked().len()), (2, 3));
}

#[tokio::test]
async fn a_server_that_denies_validation_is_probed_once_a_process_and_one_that_has_shown_it_is_not() {
    let probing = |server: &NameServer| resolver(server).probing(Probe::parse("ns:.").unwrap().unwrap());
    let server = NameServer::judged_on_loopback(ZONE, |_| Verdict::Zone);
    let resolver = probing(&server);
    for _ in 0..2 {
        assert!(!resolver.clone().dnssec().mx("d.test").await.unwrap().secure);
    }
    assert_eq!(server.asked(), ["MX d.test", "NS ", "MX d.test"]);
    let server = NameServer::judged_on_loopback(ZONE, judge);
    let resolver = probing(&server);
    assert!(resolver.dnssec().mx("d.test").await.unwrap().secure);
    assert!(!resolver.dnssec().addresses("open.test", Family::V4).await.unwrap().secure);
    assert_eq!(server.asked(), ["MX d.test", "A open.test"]);
}
