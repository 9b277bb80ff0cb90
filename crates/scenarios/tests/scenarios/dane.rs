//! DANE: what servers have to show by the TLSA records of their zones, and what mail does where there are none.

mod validated;

use std::net::{IpAddr, SocketAddr};

use scenarios::scenario;
use testing::certificates::{Authority, Identity, Period};
use testing::name_server::{NameServer, Question, Verdict};
use testing::{Client, Instance, Setup, Sink, World};

const V4: &str = "192.0.2.25";
const V6: &str = "2001:db8::25";
/// A server whose certificate is self-signed, for another name and over.
const ODD: &str = "192.0.2.26";
/// A server without STARTTLS.
const PLAIN: &str = "192.0.2.27";

/// The places of servers in [`Lab::sinks`].
const V4_25: usize = 0;
const PLAIN_25: usize = 4;

/// Servers, and a name server that says of all but `insec.test` that it has validated it.
pub(crate) struct Lab {
    _world: World,
    sinks: Vec<Sink>,
    /// The authority at the top, as PEM.
    pub(crate) authority: String,
    _dns: NameServer,
}

fn at(address: &str, port: u16) -> SocketAddr {
    (address.parse::<IpAddr>().expect("address"), port).into()
}

/// Nobody has validated what is below `insec.test`; `bogus.test` is signed wrongly.
fn judge(question: &Question) -> Verdict {
    match question.text.as_str() {
        text if text.ends_with("insec.test") => Verdict::Zone,
        text if text.contains("_tcp") && text.ends_with("bogus.test") => Verdict::Code(2),
        _ => Verdict::Signed,
    }
}

impl Lab {
    /// None if this needs another user.
    // long: a table of records
    pub(crate) fn open() -> Option<Lab> {
        let world = World::enter()?;
        for address in [V4, V6, ODD, PLAIN] {
            world.address(address.parse().expect("address"));
        }
        let root = Authority::root("Root");
        let authority = root.certificate().pem.clone();
        let between = root.below("Between");
        let good = between.issue(&["mx.dane.test", "dest.test"], Period::Current);
        let odd = Identity::self_signed(&["other.test"], Period::Over);
        let (ee, ta) = (good.certificate(), between.certificate());
        let (wrong, root) = (odd.certificate(), root.certificate());
        let zone: Vec<String> = [
            vec![". NS a.root".to_owned()],
            host("mx", V4, &[&ee.tlsa(3, 1, 1)]),
            host("six", V6, &[&ee.tlsa(3, 1, 1)]),
            host("bad", V4, &[&wrong.tlsa(3, 1, 1)]),
            host("two", V4, &[&wrong.tlsa(3, 1, 1), &ee.tlsa(3, 1, 1)]),
            host("strong", V4, &[&wrong.tlsa(3, 1, 2), &ee.tlsa(3, 1, 1)]),
            host("whole", V4, &[&ee.tlsa(3, 0, 0)]),
            host("odd", ODD, &[&wrong.tlsa(3, 0, 1)]),
            host("none", V4, &[]),
            host("plain", PLAIN, &[&ee.tlsa(3, 1, 1)]),
            host("useless", V4, &["9 9 9 00", "1 1 1 00"]),
            host("short", V4, &["3 1 1 0011"]),
            host("ta", V4, &[&ta.tlsa(2, 0, 1)]),
            host("unsent", V4, &[&root.tlsa(2, 0, 1)]),
            host("key", V4, &[&root.tlsa(2, 1, 0)]),
            lines(&[
                "named.dane.test MX 10 mx.dane.test",
                "byname.dane.test MX 10 ta.dane.test",
                "dest.test MX 10 ta.dane.test",
                "dest2.test MX 10 key.dane.test",
                "alias.dane.test CNAME mx.dane.test",
                "viaalias.dane.test MX 10 alias.dane.test",
                "out.dane.test CNAME host.insec.test",
                "viaout.dane.test MX 10 out.dane.test",
                "host.insec.test A 192.0.2.25",
                "toinsec.dane.test MX 10 host.insec.test",
                "half.insec.test MX 10 mx.dane.test",
                "halfbad.insec.test MX 10 bad.dane.test",
                "halfuseless.insec.test MX 10 useless.dane.test",
                "halfbogus.insec.test MX 10 mx.bogus.test",
                "mx.bogus.test A 192.0.2.25",
                "bogus.test MX 10 mx.bogus.test",
                "_submission._tcp.srv.dane.test SRV 10 5 25 mx.dane.test",
                "_submission._tcp.wrong.dane.test SRV 10 5 587 mx.dane.test",
                "_submission._tcp.srv.insec.test SRV 10 5 25 mx.dane.test",
                "backup.dane.test MX 10 bad.dane.test",
                "backup.dane.test MX 20 mx.dane.test",
            ]),
            vec![format!("_25._tcp.out.dane.test TLSA {}", ee.tlsa(3, 1, 1))],
            vec![format!("_587._tcp.mx.dane.test TLSA {}", wrong.tlsa(3, 1, 1))],
        ]
        .concat();
        let dns = NameServer::judged(at("127.0.0.1", 53), &zone, judge);
        let sinks = vec![
            Sink::at(at(V4, 25)).offer_tls(&good),
            Sink::at(at(V6, 25)).offer_tls(&good),
            Sink::at(at(V4, 587)).offer_tls(&good),
            Sink::at(at(ODD, 25)).offer_tls(&odd),
            Sink::at(at(PLAIN, 25)),
        ];
        Some(Lab { _world: world, sinks, authority, _dns: dns })
    }

    /// What the client of the last message asked for by TLS; `None` if it came in the clear.
    fn last(&self, sink: usize) -> Option<Option<String>> {
        self.sinks[sink].received().last().and_then(|mail| mail.tls.clone())
    }
}

/// A host with an address and records, which is its own mail exchanger.
fn host(name: &str, address: &str, records: &[&str]) -> Vec<String> {
    let kind = if address.contains(':') { "AAAA" } else { "A" };
    let mut lines = vec![format!("{name}.dane.test {kind} {address}")];
    lines.extend(records.iter().map(|record| format!("_25._tcp.{name}.dane.test TLSA {record}")));
    lines
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// A mail system that delivers at this level.
fn setup(level: &str) -> Setup {
    let setup = Setup::new();
    let setup = match testing::programs::oracle_version() {
        Some(_) => setup.service("tlsmgr unix - - n 1000? 1 tlsmgr"),
        None => setup,
    };
    setup
        .set("relayhost", "")
        .set("mynetworks", "127.0.0.0/8")
        .set("inet_interfaces", "127.0.0.1")
        .set("compatibility_level", "3.11")
        .set("smtp_dns_support_level", "dnssec")
        .set("smtp_tls_security_level", level)
        .set("smtp_tls_loglevel", "1")
}

fn send(mail: &Instance, domain: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    let reply = client.send("alice@mail.test", &[&format!("u@{domain}")], "Subject: x\n\nbody\n").expect("sent");
    reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"))
}

/// Sends one message, and waits for the line about it that has these words.
fn delivered(mail: &Instance, domain: &str, words: &[&str]) {
    let id = send(mail, domain);
    let to = format!("to=<u@{domain}>");
    let line = mail.wait_log(&[&id, &to, "status="]);
    for word in words {
        assert!(line.contains(word), "{domain}: {word} is not in: {line}");
    }
}

#[test]
fn servers_have_to_meet_their_records_and_only_where_there_are_some() {
    scenario(|| {
        let Some(lab) = Lab::open() else { return };
        let mail = setup("dane").start();
        let (good, bad) = ("tls=dane, dsn=2.0.0, status=sent", "tls=!dane, dsn=4.7.5, status=deferred");
        for (domain, words) in [
            ("mx.dane.test", good),
            ("six.dane.test", good),
            ("two.dane.test", good),
            ("whole.dane.test", good),
            ("odd.dane.test", good),
            ("viaalias.dane.test", good),
            ("viaout.dane.test", good),
            ("dest.test", good),
            ("bad.dane.test", bad),
            ("strong.dane.test", bad),
            ("ta.dane.test", bad),
            ("byname.dane.test", bad),
            ("unsent.dane.test", bad),
            ("key.dane.test", bad),
            ("plain.dane.test", "tls=!dane, dsn=4.7.4, status=deferred (TLS is required, but was not offered by host"),
            ("none.dane.test", "tls=may, dsn=2.0.0, status=sent"),
            ("toinsec.dane.test", "tls=may, dsn=2.0.0, status=sent"),
            ("useless.dane.test", "tls=encrypt, dsn=2.0.0, status=sent"),
            ("short.dane.test", "tls=dane:encrypt, dsn=2.0.0, status=sent"),
            ("half.insec.test", "tls=halfdane, dsn=2.0.0, status=sent"),
            ("halfbad.insec.test", "tls=!halfdane, dsn=4.7.5, status=deferred"),
            ("halfuseless.insec.test", "tls=encrypt, dsn=2.0.0, status=sent"),
        ] {
            delivered(&mail, domain, &[words]);
        }
        for line in [
            "Verified TLS connection established to six.dane.test[2001:db8::25]:25: TLSv1.3",
            "Trusted TLS connection established to mx.dane.test[192.0.2.25]:25: TLSv1.3",
            "verification failed for bad.dane.test[192.0.2.25]:25: num=65:no matching DANE TLSA records",
            "verification failed for ta.dane.test[192.0.2.25]:25: num=62:hostname mismatch",
            "CA certificate verification failed for unsent.dane.test[192.0.2.25]:25: num=65:no matching DANE TLSA records",
            "warning: _25._tcp.useless.dane.test unsupported TLSA certificate usage: 9 9 9 00",
            "warning: short.dane.test[192.0.2.25]:25: unusable TLSA RR: 3 1 1 0011",
            "warning: short.dane.test[192.0.2.25]:25: all TLSA records unusable, fallback to unauthenticated TLS",
        ] {
            mail.wait_log(&[line]);
        }
        assert_eq!(lab.sinks[PLAIN_25].count(), 0);
    });
}

#[test]
fn the_server_is_asked_for_the_name_that_has_the_records() {
    scenario(|| {
        let Some(lab) = Lab::open() else { return };
        let mail = setup("dane").start();
        for (domain, name) in [
            ("mx.dane.test", Some("mx.dane.test")),
            ("viaalias.dane.test", Some("mx.dane.test")),
            ("viaout.dane.test", Some("out.dane.test")),
            ("short.dane.test", Some("short.dane.test")),
            ("half.insec.test", Some("mx.dane.test")),
            ("useless.dane.test", None),
            ("none.dane.test", None),
        ] {
            delivered(&mail, domain, &["status=sent"]);
            assert_eq!(lab.last(V4_25), Some(name.map(str::to_owned)), "{domain}");
        }
    });
}

#[test]
fn mail_waits_when_records_cannot_be_looked_up() {
    scenario(|| {
        let Some(lab) = Lab::open() else { return };
        for level in ["dane", "dane-only"] {
            let mail = setup(level).start();
            let reason = "status=deferred (TLSA lookup error for mx.bogus.test:25)";
            delivered(&mail, "bogus.test", &["relay=none", "dsn=4.7.5", reason]);
            mail.wait_log(&["warning: DANE TLSA lookup problem: ", "name=_25._tcp.mx.bogus.test type=TLSA"]);
            mail.wait_log(&["warning: TLS policy lookup for bogus.test/mx.bogus.test: TLSA lookup error"]);
        }
        assert_eq!(lab.sinks[V4_25].count(), 0);
    });
}

#[test]
fn nothing_goes_without_records_at_dane_only() {
    scenario(|| {
        let Some(lab) = Lab::open() else { return };
        let mail = setup("dane-only").start();
        delivered(&mail, "mx.dane.test", &["tls=dane-only, dsn=2.0.0, status=sent"]);
        for (domain, reason) in [
            ("none.dane.test", "no TLSA records found"),
            ("toinsec.dane.test", "no TLSA records found"),
            ("useless.dane.test", "TLSA records unusable"),
            ("half.insec.test", "non DNSSEC destination"),
        ] {
            let status = format!("dsn=4.7.5, status=deferred ({reason})");
            delivered(&mail, domain, &["relay=none", "tls=unknown?", &status]);
        }
        let status = "tls=!dane-only, dsn=4.7.5, status=deferred (Server certificate not verified)";
        delivered(&mail, "short.dane.test", &[status]);
        mail.wait_log(&["num=1:unspecified certificate verification error"]);
        assert_eq!(lab.sinks[V4_25].count(), 1);
    });
}

#[test]
fn a_server_that_fails_its_records_leaves_mail_to_the_next() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        let mail = setup("dane").start();
        let words = ["relay=mx.dane.test[192.0.2.25]:25", "tls=dane, dsn=2.0.0, status=sent"];
        delivered(&mail, "backup.dane.test", &words);
        mail.wait_log(&["Server certificate not verified"]);
    });
}

#[test]
fn a_server_that_an_insecure_record_names_is_treated_as_smtp_tls_dane_insecure_mx_policy_says() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        for (policy, good, useless) in [("encrypt", "tls=encrypt,", "tls=encrypt,"), ("may", "tls=may,", "tls=may,")] {
            let mail = setup("dane").set("smtp_tls_dane_insecure_mx_policy", policy).start();
            delivered(&mail, "half.insec.test", &[good, "status=sent"]);
            delivered(&mail, "halfuseless.insec.test", &[useless, "status=sent"]);
            let bogus = if policy == "may" { "status=sent" } else { "TLSA lookup error for mx.bogus.test:25" };
            delivered(&mail, "halfbogus.insec.test", &[bogus]);
        }
    });
}

#[test]
fn settings_that_go_ill_with_dane_leave_may_of_dane_and_nothing_of_dane_only() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        for (name, value, warning) in [
            ("smtp_dns_support_level", "enabled", "dane configured with dnssec lookups disabled"),
            ("smtp_host_lookup", "native", "dane configured with dnssec lookups disabled"),
            ("ignore_mx_lookup_error", "yes", "dane configured with MX lookup errors ignored"),
            ("smtp_dns_resolver_options", "res_defnames", "dns resolver options incompatible with dane TLS"),
        ] {
            let mail = setup("dane").set(name, value).start();
            delivered(&mail, "mx.dane.test", &["tls=may, dsn=2.0.0, status=sent"]);
            mail.wait_log(&[&format!("warning: mx.dane.test: {warning}")]);
        }
        let mail = setup("dane-only").set("smtp_dns_support_level", "enabled").start();
        let status = "dsn=4.7.5, status=deferred (client TLS configuration problem)";
        delivered(&mail, "mx.dane.test", &["relay=none", "tls=unknown?", status]);
        mail.wait_log(&["warning: mx.dane.test: dane-only configured with dnssec lookups disabled"]);
    });
}

#[test]
fn the_records_of_the_port_count_and_those_that_match_are_told() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        let routes = "inline:{h.test=smtp:[mx.dane.test]:587, g.test=smtp:[mx.dane.test]}";
        let mail =
            setup("dane").set("transport_maps", routes).set("smtp_tls_loglevel", "summary,dane,certmatch").start();
        delivered(&mail, "h.test", &["relay=mx.dane.test[192.0.2.25]:587", "tls=!dane,"]);
        delivered(&mail, "g.test", &["relay=mx.dane.test[192.0.2.25]:25", "tls=dane,"]);
        mail.wait_log(&["DNSSEC-signed TLSA record: _25._tcp.mx.dane.test: 3 1 1 "]);
        mail.wait_log(&["mx.dane.test[192.0.2.25]:25: Matched DANE EE certificate at depth 0: 3 1 1 "]);
        delivered(&mail, "dest.test", &["tls=dane,"]);
        mail.wait_log(&["ta.dane.test[192.0.2.25]:25: Matched DANE TA certificate at depth 1: 2 0 1 "]);
    });
}

#[test]
fn records_that_name_a_service_have_to_be_validated_and_their_port_counts() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        let routes =
            ["srv.dane.test", "wrong.dane.test", "srv.insec.test"].map(|it| format!("{it}=smtp:{it}:submission"));
        let routes = format!("inline:{{{}}}", routes.join(", "));
        let mail = setup("dane").set("transport_maps", &routes).set("use_srv_lookup", "submission").start();
        delivered(&mail, "srv.dane.test", &["relay=mx.dane.test[192.0.2.25]:25", "tls=dane,"]);
        delivered(&mail, "wrong.dane.test", &["relay=mx.dane.test[192.0.2.25]:587", "tls=!dane,"]);
        delivered(&mail, "srv.insec.test", &["relay=mx.dane.test[192.0.2.25]:25", "tls=halfdane,"]);
    });
}

#[test]
fn records_count_for_lmtp_as_well() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        let routes = "inline:{l.test=lmtp:inet:mx.dane.test:25, b.test=lmtp:inet:bad.dane.test:25}";
        let mail = setup("may")
            .set("lmtp_dns_support_level", "dnssec")
            .set("lmtp_tls_security_level", "dane")
            .set("lmtp_tls_loglevel", "1")
            .set("transport_maps", routes)
            .service("lmtp unix - - n - - lmtp")
            .start();
        delivered(&mail, "l.test", &["relay=mx.dane.test[192.0.2.25]:25", "tls=dane, dsn=2.0.0, status=sent"]);
        delivered(&mail, "b.test", &["relay=bad.dane.test[192.0.2.25]:25", "tls=!dane, dsn=4.7.5, status=deferred"]);
    });
}

#[test]
fn who_gets_no_validated_answer_is_told_so_once() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let zone = lines(&["a.test MX 10 mx.test", "b.test MX 10 mx.test", "mx.test A 127.0.0.9"]);
        let dns = NameServer::judged(at("127.0.0.1", 53), &zone, |_| Verdict::Zone);
        let mail = setup("dane").set("smtp_tls_loglevel", "0").start();
        for domain in ["a.test", "b.test"] {
            delivered(&mail, domain, &["status=deferred"]);
        }
        mail.wait_log(&["warning: DNSSEC validation may be unavailable"]);
        let reason = "received a response that is not DNSSEC validated";
        mail.wait_log(&["warning: reason: dnssec_probe 'ns:.'", reason]);
        assert_eq!(dns.asked().iter().filter(|question| *question == "NS ").count(), 1);
    });
}

#[test]
fn who_gets_no_answer_at_all_is_told_whether_answers_are_validated() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let fails = |question: &Question| if question.text == "MX a.test" { Verdict::Code(2) } else { Verdict::Zone };
        let _dns = NameServer::judged(at("127.0.0.1", 53), &lines(&["b.test A 127.0.0.9"]), fails);
        let mail = setup("dane").start();
        delivered(&mail, "a.test", &["dsn=4.4.3, status=deferred"]);
        mail.wait_log(&["warning: DNSSEC validation may be unavailable"]);
    });
}

#[test]
fn a_table_asks_for_dane_where_main_cf_does_not() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        let table = "inline:{ bad.dane.test=dane, none.dane.test=dane-only }";
        let mail = setup("may").set("smtp_tls_policy_maps", table).start();
        delivered(&mail, "mx.dane.test", &["tls=may, dsn=2.0.0, status=sent"]);
        delivered(&mail, "bad.dane.test", &["tls=!dane, dsn=4.7.5, status=deferred"]);
        delivered(&mail, "none.dane.test", &["dsn=4.7.5, status=deferred (no TLSA records found)"]);
    });
}
