//! What is asked of a connection, by main.cf, tables and message.

use lookup::{OpenFlags, Settings};
use queue::QueueId;
use smtp_client::Server;

use super::*;
use crate::tests::fixture;
use crate::tls::open_requiretls;

fn maps(list: &str) -> Maps {
    Maps::open(Settings::default(), "smtp_tls_policy_maps", list, OpenFlags::default()).unwrap()
}

fn host(name: &str) -> Server {
    Server::new(name, Endpoint::Internet("192.0.2.1:25".parse().unwrap()), 0)
}

fn socket() -> Server {
    Server { endpoint: Endpoint::Unix("run/lm".into()), ..host("mx.example.test") }
}

fn asked(rules: &Rules, nexthop: &str, server: &Server, options: SendOptions) -> Result<Policy, Failure> {
    let queue_id = QueueId::parse(b"4CCEE552165").unwrap();
    rules.policy(&Way { nexthop, server, options, queue_id: &queue_id, hostname: "mx.example.test" })
}

fn policy(rules: &Rules, nexthop: &str) -> Policy {
    asked(rules, nexthop, &host("mx1.dest.test"), SendOptions::default()).unwrap()
}

fn refusal(rules: &Rules, nexthop: &str) -> (String, String) {
    told(asked(rules, nexthop, &host("mx1.dest.test"), SendOptions::default()))
}

/// `STATUS REASON`, and `tls=`.
fn told(result: Result<Policy, Failure>) -> (String, String) {
    let failure = result.unwrap_err();
    (format!("{} {}", failure.status, failure.reason), failure.tls.unwrap().to_string())
}

fn rules(level: Level) -> Rules {
    Rules { level, ..fixture::settings().tls }
}

fn with_policies(list: &str) -> Rules {
    Rules { policies: maps(list), ..rules(Level::May) }
}

const MISCONFIGURED: &str = "4.7.5 client TLS configuration problem";

fn misconfigured() -> (String, String) {
    (MISCONFIGURED.to_owned(), "unknown?".to_owned())
}

#[test]
fn a_policy_is_found_by_the_destination_as_it_is_written_and_by_domains_above_a_plain_one() {
    let list =
        "inline:{ dest.test:2510=encrypt, [mx1.dest.test]:25=secure, .b.test=verify, .test=none, plain.test=encrypt }";
    let rules = with_policies(list);
    for (nexthop, level) in [
        ("dest.test:2510", Level::Encrypt),
        ("DEST.test:2510", Level::Encrypt),
        ("dest.test:25", Level::May),
        ("[mx1.dest.test]:25", Level::Secure),
        ("[mx1.dest.test]", Level::May),
        ("a.b.test", Level::Verify),
        ("b.test", Level::None),
        ("plain.test", Level::Encrypt),
        ("x.plain.test", Level::None),
        ("inet:dest.test:2510", Level::Encrypt),
        ("192.0.2.1", Level::May),
    ] {
        assert_eq!(policy(&rules, nexthop).level, level, "{nexthop}");
    }
}

#[test]
fn a_policy_that_makes_no_sense_or_cannot_be_had_makes_mail_wait() {
    for list in [
        "inline:{{dest.test=bogus}}",
        "inline:{{dest.test=half-dane}}",
        "inline:{{dest.test=encrypt match=x}}",
        "inline:{{dest.test=fingerprint}}",
        "inline:{{dest.test=fingerprint match=zz:zz}}",
        "inline:{{dest.test=secure tafile=/proc/self/none}}",
        "fail:x",
    ] {
        assert_eq!(refusal(&with_policies(list), "dest.test"), misconfigured(), "{list}");
    }
    for servername in ["-x-", "127.0.0.1"] {
        let rules = Rules { servername: servername.to_owned(), ..rules(Level::May) };
        assert_eq!(refusal(&rules, "dest.test"), misconfigured());
        assert!(asked(&Rules { level: Level::None, ..rules }, "d.test", &host("h"), SendOptions::default()).is_ok());
    }
    let rules = Rules { tafiles: vec!["/proc/self/none".into()], ..rules(Level::Verify) };
    assert_eq!(refusal(&rules, "dest.test"), misconfigured());
    let site = Rules { per_site: maps("inline:{{dest.test=FOO}}"), ..fixture::settings().tls };
    assert_eq!(refusal(&site, "dest.test"), misconfigured());
    let site = Rules { per_site: maps("fail:x"), ..fixture::settings().tls };
    assert_eq!(refusal(&site, "dest.test"), ("4.3.0 Temporary lookup error".to_owned(), "unknown?".to_owned()));
}

#[test]
fn the_old_table_is_asked_for_destination_and_host() {
    let rules = |list, level| Rules { per_site: maps(list), ..rules(level) };
    let level = |list, base| policy(&rules(list, base), "dest.test:25").level;
    assert_eq!(level("inline:{ dest.test:25=MAY, mx1.dest.test=NONE }", Level::Verify), Level::None);
    assert_eq!(level("inline:{ dest.test:25=MUST, mx1.dest.test=NONE }", Level::May), Level::Verify);
    assert_eq!(level("inline:{ dest.test=MUST }", Level::May), Level::May);
    assert_eq!(level("inline:{ mx1.dest.test=may }", Level::None), Level::May);
}

#[test]
fn names_are_those_of_host_and_destination_without_brackets_and_port() {
    let names = |level, nexthop: &str| match policy(&rules(level), nexthop).matching {
        Matching::Names(names) => names,
        _ => panic!("no names"),
    };
    let (host, below) = (Wanted::Host, Wanted::Below);
    assert_eq!(names(Level::Verify, "dest.test"), [host("mx1.dest.test".to_owned())]);
    for nexthop in ["dest.test:2510", "[dest.test]:25", "[dest.test]", "dest.test"] {
        let expected = [host("dest.test".to_owned()), below("dest.test".to_owned())];
        assert_eq!(names(Level::Secure, nexthop), expected, "{nexthop}");
    }
    let by_table = with_policies("inline:{{dest.test=secure match=.:other.test servername=nexthop}}");
    let found = policy(&by_table, "dest.test");
    assert_eq!(found.misnamed, ["."]);
    assert!(matches!(found.matching, Matching::Names(names) if names == [host("other.test".to_owned())]));
    assert_eq!(found.sni.as_deref(), Some("dest.test"));
}

#[test]
fn attributes_take_the_place_of_main_cf() {
    let optional = Offer { protocols: "a".to_owned(), grade: "b".to_owned(), exclude: "c".to_owned() };
    let mandatory = Offer { protocols: "d".to_owned(), grade: "e".to_owned(), exclude: "f".to_owned() };
    let policies = maps("inline:{{x.test=encrypt}, {y.test=may ciphers=high exclude=RC4 protocols=}}");
    let rules = Rules { optional: optional.clone(), mandatory: mandatory.clone(), policies, ..rules(Level::May) };
    assert_eq!(policy(&rules, "other.test").offer, optional);
    assert_eq!(policy(&rules, "x.test").offer, mandatory);
    let own = Offer { protocols: String::new(), grade: "high".to_owned(), exclude: "RC4".to_owned() };
    assert_eq!(policy(&rules, "y.test").offer, own);
}

#[test]
fn a_sender_may_do_without_tls_but_not_against_requiretls() {
    let options = SendOptions::TLS_REQUIRED_NO;
    let rules = Rules { policies: maps("fail:x"), ..rules(Level::Secure) };
    assert_eq!(asked(&rules, "dest.test", &host("h.test"), options).unwrap().level, Level::May);
    let both = options.with(SendOptions::REQUIRETLS);
    assert_eq!(told(asked(&rules, "dest.test", &host("h.test"), both)), misconfigured());
    let off = Rules { may_be_waived: false, ..rules };
    assert_eq!(told(asked(&off, "dest.test", &host("h.test"), options)), misconfigured());
}

#[test]
fn requiretls_wants_a_level_that_compares_certificates() {
    let of = |list, level| {
        let rules = Rules { requiretls: Some(open_requiretls(list)), ..rules(level) };
        asked(&rules, "dest.test:25", &host("mx1.dest.test"), SendOptions::REQUIRETLS)
    };
    let reason = "5.7.10 Sender requested REQUIRETLS, but my configured TLS security level 'may' disables certificate \
                  matching. The last attempted server was mx1.dest.test";
    assert_eq!(told(of("enforce", Level::May)), (reason.to_owned(), "may?/!requiretls:nocertmatch".to_owned()));
    assert_eq!(of("enforce", Level::Secure).unwrap().requiretls, Some(Strictness::Enforce));
    assert_eq!(of("opportunistic", Level::May).unwrap().requiretls, Some(Strictness::Opportunistic));
    assert_eq!(of("inline:{{dest.test=disable}}", Level::May).unwrap().requiretls, None);
    let reason = "4.7.10 REQUIRETLS policy configuration error. The last attempted server was mx1.dest.test";
    assert_eq!(told(of("foo", Level::May)), (reason.to_owned(), "may?".to_owned()));
}

#[test]
fn a_policy_of_mta_sts_holds_to_its_hosts_and_their_names() {
    let list = |policy: &str| format!("inline:{{{{dest.test={policy} policy_type=sts}}}}");
    let names = |rules: &Rules| match policy(rules, "dest.test").matching {
        Matching::Names(names) => names,
        _ => panic!("no names"),
    };
    let (host, other) = (Wanted::Host("mx1.dest.test".to_owned()), Wanted::Host("other.test".to_owned()));
    let main = [Wanted::Host("dest.test".to_owned()), Wanted::Below("dest.test".to_owned())];
    let reason = "4.3.0 server unavailable or unable to receive mail".to_owned();
    for level in ["secure", "verify"] {
        let good = "mx_host_pattern=mx2.dest.test mx_host_pattern=*.dest.test";
        let held = with_policies(&list(&format!("{level} match=other.test {good}")));
        assert_eq!(names(&held).as_slice(), std::slice::from_ref(&host));
        let bad = with_policies(&list(&format!("{level} match=mx1.dest.test mx_host_pattern=dest.test")));
        assert_eq!(refusal(&bad, "dest.test"), (reason.clone(), format!("{level}?")));
        let free = with_policies(&list(&format!("{level} match=other.test")));
        assert_eq!(names(&free).as_slice(), std::slice::from_ref(&other));
    }
    assert_eq!(names(&with_policies(&list("secure mx_host_pattern=mx1.dest.test"))), main);
    let list = list("secure match=other.test mx_host_pattern=dest.test");
    assert_eq!(names(&Rules { sts_patterns: false, ..with_policies(&list) }), [other]);
}

#[test]
fn at_a_socket_of_this_machine_optional_tls_is_none_and_names_are_its_own() {
    let at = |level| asked(&rules(level), "unix:run/lm", &socket(), SendOptions::default());
    assert!(at(Level::May).unwrap().in_the_clear);
    assert!(!at(Level::Encrypt).unwrap().in_the_clear);
    assert!(matches!(at(Level::Secure).unwrap().matching,
        Matching::Names(names) if names.contains(&Wanted::Host("mx.example.test".to_owned()))));
    assert_eq!(told(at(Level::Dane)), misconfigured());
}

#[test]
fn tls_before_the_greeting_is_never_optional() {
    let engine = Engine { wrapper: true, ..rules(Level::May).engine };
    let reason = "4.3.0 server unavailable or unable to receive mail".to_owned();
    assert_eq!(refusal(&Rules { engine: engine.clone(), ..rules(Level::May) }, "d.test"), (reason, "may?".to_owned()));
    let waived = Rules { engine, ..rules(Level::Secure) };
    let policy = asked(&waived, "d.test", &host("h.test"), SendOptions::TLS_REQUIRED_NO).unwrap();
    assert_eq!(policy.level, Level::Encrypt);
}

#[test]
fn two_connections_are_alike_only_where_everything_is() {
    let rules = with_policies("inline:{{a.test=secure}, {b.test=secure match=x.test}, {c.test=encrypt}, {d.test=may}}");
    for one in ["a.test", "b.test", "c.test", "d.test"] {
        for other in ["a.test", "b.test", "c.test", "d.test"] {
            let is_like = policy(&rules, one).is_like(&policy(&rules, other));
            assert_eq!(is_like, one == other, "{one} {other}");
        }
    }
    assert!(!policy(&rules, "d.test").is_like(&policy(&rules, "d.test").in_the_clear()));
}
