//! What DNS makes of the policy of a connection at level dane.

use dns::{Hosts, ResolvConf, Resolver};
use net::Protocols;
use smtp_client::{Endpoint, Origin, Server};
use testing::NameServer;
use testing::name_server::Verdict;
use tls::Matching;

use super::fixture;
use crate::tls::{Level, Way};

const ZONE: &[&str] = &["_25._tcp.mx.test TLSA 3 1 1 00", "_25._tcp.useless.test TLSA 9 9 9 00"];

#[tokio::test]
async fn a_connection_is_what_dns_makes_of_the_level_and_serves_again_where_the_level_is_the_same() {
    let zone = NameServer::judged_on_loopback(ZONE, |_| Verdict::Signed);
    let conf = ResolvConf { servers: vec![zone.address()], attempts: 1, ..ResolvConf::default() };
    let resolver = Resolver::new(conf, Hosts::default(), Protocols::BOTH);
    let mut rules = fixture::settings().tls;
    rules.level = Level::Dane;
    rules.optional.grade = "low".to_owned();
    let id = queue::QueueId::parse(b"4CCEE552165").unwrap();
    for (name, level, sni, grade) in [
        ("mx.test", Level::Dane, Some("mx.test"), "medium"),
        ("useless.test", Level::Encrypt, None, "medium"),
        ("nothing.test", Level::May, None, "low"),
    ] {
        let origin = Origin { exchanger: Some(true), address: true, canonical: None };
        let endpoint = Endpoint::Internet("192.0.2.1:25".parse().unwrap());
        let server = Server { origin, ..Server::new(name, endpoint, 10) };
        let options = queue::SendOptions::default();
        let way = Way { nexthop: "d.test", server: &server, options, queue_id: &id, hostname: "h.test" };
        let policy = rules.policy_by_dns(&way, &resolver).await.unwrap();
        assert_eq!((policy.level, policy.sni.as_deref(), policy.offer.grade.as_str()), (level, sni, grade));
        assert!(policy.is_of_dane() && policy.is_like(&rules.policy(&way).unwrap()));
        assert_eq!(matches!(policy.matching, Matching::Dane(_)), level == Level::Dane);
        let mut other = rules.clone();
        other.level = level;
        assert_eq!(policy.is_like(&other.policy(&way).unwrap()), level == Level::Dane);
    }
}
