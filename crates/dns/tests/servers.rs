//! Which server is asked, and whose word is the last: resolv.conf(5) line by line, as the system's resolver has it.

use std::net::SocketAddr;
use std::time::Duration;

use dns::{LookupFault, MailExchangers, ResolvConf, Resolver, Surroundings};
use net::{Family, Protocols};
use testing::NameServer;
use testing::name_server::{Question, Verdict};

const ZONE: &[&str] = &["n.test MX 10 mx.test", "n.test A 192.0.2.1", "n.test AAAA 2001:db8::1"];

fn server(judge: impl Fn(&Question) -> Verdict + Send + Sync + 'static) -> NameServer {
    NameServer::judged_on_loopback(ZONE, judge)
}

fn always(verdict: Verdict) -> NameServer {
    server(move |_| verdict)
}

/// A resolver for these servers, with other options.
fn resolver(servers: &[&NameServer], options: &str) -> Resolver {
    let conf = ResolvConf::parse(&format!("options {options}\n"), &Surroundings::default());
    let servers = servers.iter().map(|server| server.address()).collect();
    let conf = ResolvConf { servers, timeout: Duration::from_millis(100), ..conf };
    Resolver::new(conf, dns::Hosts::default(), Protocols::BOTH)
}

async fn mx(servers: &[&NameServer], options: &str) -> Result<MailExchangers, LookupFault> {
    resolver(servers, options).mx("n.test").await.map_err(|error| error.fault)
}

/// A port where nobody listens.
fn closed() -> SocketAddr {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn the_second_server_is_not_asked_when_the_first_has_an_answer() {
    for (verdict, expected) in [
        (Verdict::Zone, None),
        (Verdict::Truncated, None),
        (Verdict::ForgedFirst, None),
        (Verdict::Code(3), Some(LookupFault::NotFound)),
        (Verdict::Denied, Some(LookupFault::NotFound)),
        (Verdict::Code(0), Some(LookupFault::NoData)),
        (Verdict::Code(1), Some(LookupFault::NonRecoverable)),
        (Verdict::Code(9), Some(LookupFault::NonRecoverable)),
    ] {
        let (first, second) = (always(verdict), always(Verdict::Zone));
        for _ in 0..3 {
            assert_eq!(mx(&[&first, &second], "").await.err(), expected, "{verdict:?}");
        }
        assert!(second.asked().is_empty(), "{verdict:?}");
    }
}

#[tokio::test]
async fn the_second_server_is_asked_when_the_first_has_no_answer() {
    for verdict in [
        Verdict::Silence,
        Verdict::Code(2),
        Verdict::Code(4),
        Verdict::Code(5),
        Verdict::Referral,
        Verdict::OtherNumber,
        Verdict::OtherQuestion,
        Verdict::Garbage,
    ] {
        let (first, second) = (always(verdict), always(Verdict::Zone));
        assert!(mx(&[&first, &second], "").await.is_ok(), "{verdict:?}");
        assert_eq!((first.asked().len(), second.asked().len()), (1, 1), "{verdict:?}");
        // It has the last word, too.
        let denies = always(Verdict::Code(3));
        assert_eq!(mx(&[&first, &denies], "").await, Err(LookupFault::NotFound), "{verdict:?}");
    }
    let nobody = ResolvConf { servers: vec![closed(), always(Verdict::Zone).address()], ..ResolvConf::default() };
    assert!(Resolver::new(nobody, dns::Hosts::default(), Protocols::BOTH).mx("n.test").await.is_ok());
}

#[tokio::test]
async fn each_server_is_asked_as_often_as_attempts_says_and_then_it_is_a_temporary_error() {
    for verdict in [Verdict::Silence, Verdict::Code(2), Verdict::Code(5), Verdict::Referral] {
        let (first, second) = (always(verdict), always(verdict));
        assert_eq!(mx(&[&first, &second], "attempts:3").await, Err(LookupFault::TryAgain), "{verdict:?}");
        assert_eq!((first.asked().len(), second.asked().len()), (3, 3), "{verdict:?}");
    }
}

#[tokio::test]
async fn questions_are_plain_unless_an_option_says_otherwise() {
    for (options, edns, ad, tcp) in [
        ("", false, false, false),
        ("edns0", true, false, false),
        ("trust-ad", false, true, false),
        ("use-vc", false, false, true),
    ] {
        let is_as_said = move |question: &Question| (question.edns, question.ad, question.tcp) == (edns, ad, tcp);
        let one = server(move |question| if is_as_said(question) { Verdict::Zone } else { Verdict::Code(3) });
        assert!(mx(&[&one], options).await.is_ok(), "{options}");
        assert_eq!(one.asked().len(), 1, "{options}");
    }
}

#[tokio::test]
async fn a_server_without_edns_is_asked_again_without_it() {
    for verdict in [Verdict::Code(1), Verdict::Code(4), Verdict::Silence] {
        let one = server(move |question| if question.edns { verdict } else { Verdict::Zone });
        assert!(mx(&[&one], "edns0").await.is_ok(), "{verdict:?}");
        assert_eq!(one.asked().len(), 2, "{verdict:?}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_comes_over_tcp_and_when_it_cannot_the_next_server_is_asked() {
    let no_tcp = server(|question| if question.tcp { Verdict::Silence } else { Verdict::Truncated });
    let second = always(Verdict::Zone);
    assert!(mx(&[&no_tcp, &second], "").await.is_ok());
    assert_eq!((no_tcp.asked().len(), second.asked().len()), (2, 1));
    assert_eq!(mx(&[&no_tcp], "attempts:1").await, Err(LookupFault::TryAgain));
}

#[tokio::test]
async fn with_rotate_the_servers_take_turns_and_without_it_they_do_not() {
    let (first, second) = (always(Verdict::Zone), always(Verdict::Zone));
    let turns = resolver(&[&first, &second], "rotate");
    for _ in 0..6 {
        turns.mx("n.test").await.unwrap();
    }
    assert_eq!((first.asked().len(), second.asked().len()), (3, 3));
}

#[tokio::test]
async fn with_no_aaaa_a_name_has_no_ipv6_address_and_exists_all_the_same() {
    let one = always(Verdict::Zone);
    let resolver = resolver(&[&one], "no-aaaa");
    let fault = |name: &'static str| async { resolver.addresses(name, Family::V6).await.unwrap_err().fault };
    assert_eq!(fault("n.test").await, LookupFault::NoData);
    assert_eq!(fault("missing.test").await, LookupFault::NotFound);
    assert!(one.asked().iter().all(|question| question.starts_with("A ")));
    assert_eq!(resolver.addresses("n.test", Family::V4).await.unwrap().len(), 1);
}
