//! SRV records: servers and ports of a service of a domain (RFC 2782), where `use_srv_lookup` asks for them.

use std::net::{IpAddr, SocketAddr};

use scenarios::scenario;
use testing::name_server::{NameServer, Verdict};
use testing::{Client, Instance, Setup, Sink, World};

const ZONE: &[&str] = &[
    ". NS a.root",
    "mx.test A 192.0.2.25",
    "a.test A 192.0.2.25",
    "a.test AAAA 2001:db8::25",
    "b.test A 192.0.2.26",
    "six.test AAAA 2001:db8::25",
    "me.test A 127.0.0.1",
    "_submission._tcp.good.test SRV 10 5 5587 six.test",
    "_submission._tcp.good.test SRV 20 5 5588 b.test",
    "_submission._tcp.back.test SRV 10 5 5999 a.test",
    "_submission._tcp.back.test SRV 20 5 5588 b.test",
    "_submission._tcp.alias.test CNAME _submission._tcp.good.test",
    "_submission._tcp.no.test SRV 0 0 0 .",
    "_submission._tcp.no.test SRV 20 5 5588 b.test",
    "no.test MX 10 mx.test",
    "_submission._tcp.lost.test SRV 0 0 25 nowhere.test",
    "lost.test MX 10 mx.test",
    "_submission._tcp.half.test SRV 0 0 25 nowhere.test",
    "_submission._tcp.half.test SRV 20 5 5588 b.test",
    "_submission._tcp.broken.test FAIL",
    "broken.test MX 10 mx.test",
    "none.test MX 10 mx.test",
    "_submission._tcp.other.test TXT x",
    "_submission._tcp.zero.test SRV 10 5 0 b.test",
    "_submission._tcp.number.test SRV 10 5 5588 192.0.2.26",
    "_submission._tcp.odd.test SRV 10 5 25 -x.test",
    "_submission._tcp.weight.test SRV 10 0 5999 a.test",
    "_submission._tcp.weight.test SRV 10 65535 5588 b.test",
    "_smtp._tcp.plain.test SRV 10 5 5588 b.test",
    "_smtp._tcp.loop.test SRV 10 5 25 me.test",
    "_smtp._tcp.loop.test SRV 20 5 5588 b.test",
];

/// Servers, and a name server that says of all that it has validated it.
struct Lab {
    _world: World,
    _sinks: [Sink; 4],
    _dns: NameServer,
}

impl Lab {
    fn open() -> Option<Lab> {
        let world = World::enter()?;
        for address in ["192.0.2.25", "2001:db8::25", "192.0.2.26"] {
            world.address(address.parse().expect("address"));
        }
        let places = [("2001:db8::25", 5587), ("192.0.2.26", 5588), ("192.0.2.25", 587), ("192.0.2.26", 587)];
        let sinks = places.map(|(address, port)| Sink::at(at(address, port)));
        let dns = NameServer::judged(at("127.0.0.1", 53), ZONE, |_| Verdict::Signed);
        Some(Lab { _world: world, _sinks: sinks, _dns: dns })
    }
}

fn at(address: &str, port: u16) -> SocketAddr {
    (address.parse::<IpAddr>().expect("address"), port).into()
}

/// A mail system that sends mail for `NAME.test` to the submission service of it.
fn setup(fallback: &str, ignore: &str) -> Setup {
    let names = ["good", "back", "alias", "no", "lost", "half", "broken", "none", "other", "zero", "number", "odd"];
    let routes = names.map(|name| format!("{name}.test=smtp:{name}.test:submission"));
    let others = "weight.test=smtp:weight.test:submission, digits.test=smtp:good.test:587, \
                  brackets.test=smtp:[b.test]:submission, lmtp.test=lmtp:inet:none.test:submission";
    Setup::new()
        .set("relayhost", "")
        .set("inet_interfaces", "127.0.0.1")
        .set("compatibility_level", "3.11")
        .set("smtp_tls_security_level", "none")
        .set("use_srv_lookup", "submission, smtp")
        .set("allow_srv_lookup_fallback", fallback)
        .set("ignore_srv_lookup_error", ignore)
        .set("transport_maps", format!("inline:{{{}, {others}}}", routes.join(", ")))
}

/// Sends one message to each of these, and waits for the line about it that has these words.
fn delivered(mail: &Instance, expected: &[(&str, &str)]) {
    for (name, words) in expected {
        let mut client = Client::greet(mail.v4()).expect("connected");
        let recipient = format!("u@{name}.test");
        let reply = client.send("alice@mail.test", &[&recipient], "Subject: x\n\nbody\n").expect("sent");
        let id = reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"));
        let line = mail.wait_log(&[&id, &format!("to=<{recipient}>"), "status="]);
        assert!(line.contains(words), "{name}: {words} is not in: {line}");
    }
}

const NOT_FOUND: &str = "dsn=5.4.4, status=bounced (Host or domain name not found. Name service error for name=";

#[test]
fn records_name_servers_and_ports_of_the_services_that_are_listed() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        let mail = setup("no", "no").start();
        let missing = |rest: &str| format!("{NOT_FOUND}{rest}");
        delivered(
            &mail,
            &[
                ("good", "relay=six.test[2001:db8::25]:5587, "),
                ("back", "relay=b.test[192.0.2.26]:5588, "),
                ("alias", "relay=six.test[2001:db8::25]:5587, "),
                ("half", "relay=b.test[192.0.2.26]:5588, "),
                ("zero", "relay=b.test[192.0.2.26]:587, "),
                ("number", "relay=192.0.2.26[192.0.2.26]:5588, "),
                ("plain", "relay=b.test[192.0.2.26]:5588, "),
                ("brackets", "relay=b.test[192.0.2.26]:587, "),
                ("no", "dsn=5.1.0, status=bounced (Domain _submission._tcp.no.test does not support SRV requests)"),
                ("lost", &missing("nowhere.test type=AAAA: Host not found)")),
                ("none", &missing("_submission._tcp.none.test type=SRV: Host not found)")),
                ("other", &missing("_submission._tcp.other.test type=SRV: Host found but no data record of")),
                ("digits", &missing("good.test type=AAAA: Host found but no data record of requested type)")),
                ("lmtp", &missing("_submission._tcp.none.test type=SRV: Host not found)")),
                (
                    "broken",
                    "dsn=4.4.3, status=deferred (Host or domain name not found. Name service error for \
                     name=_submission._tcp.broken.test type=SRV: Host not found, try again)",
                ),
                (
                    "odd",
                    "dsn=5.4.4, status=bounced (Name service error for name=_submission._tcp.odd.test type=SRV: \
                     Malformed or unexpected name server reply)",
                ),
                ("loop", "dsn=5.4.6, status=bounced (mail for _smtp._tcp.loop.test loops back to myself)"),
            ],
        );
        for line in [
            "connect to a.test[192.0.2.25]:5999: Connection refused",
            "connect to a.test[2001:db8::25]:5999: Connection refused",
            "warning: no SRV host for _submission._tcp.lost.test has a valid address record",
            "warning: malformed domain name in resource data of SRV record for _submission._tcp.odd.test: -x.test",
        ] {
            mail.wait_log(&[line]);
        }
    });
}

#[test]
fn what_cannot_be_had_by_records_is_had_without_them_only_where_that_is_allowed() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        let by_exchanger = "relay=mx.test[192.0.2.25]:587, ";
        let mail = setup("yes", "no").start();
        delivered(
            &mail,
            &[
                ("good", "relay=six.test[2001:db8::25]:5587, "),
                ("no", by_exchanger),
                ("lost", by_exchanger),
                ("broken", by_exchanger),
                ("none", by_exchanger),
            ],
        );
        for reason in [
            "no.test: Domain _submission._tcp.no.test does not support SRV requests",
            "lost.test: Host or domain name not found. Name service error for name=nowhere.test type=AAAA: Host not found",
            "broken.test: Host or domain name not found. Name service error for name=_submission._tcp.broken.test",
        ] {
            mail.wait_log(&[&format!("]: skipping SRV lookup for _submission._tcp.{reason}")]);
        }
        let mail = setup("no", "yes").start();
        delivered(
            &mail,
            &[
                ("broken", by_exchanger),
                ("no", "dsn=5.1.0, status=bounced"),
                ("lost", "dsn=5.4.4, status=bounced"),
                ("none", "dsn=5.4.4, status=bounced"),
            ],
        );
    });
}

#[test]
fn weight_decides_among_servers_of_one_priority() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        let mail = setup("no", "no").start();
        delivered(&mail, &[("weight", "relay=b.test[192.0.2.26]:5588, "); 10]);
        // One of 65,536 draws is for the other one, which refuses.
        let refusals = mail.log().matches("connect to a.test[192.0.2.25]:5999: Connection refused").count();
        assert!(refusals < 2, "{}", mail.log());
    });
}

#[test]
fn posttls_finger_asks_the_servers_of_the_records() {
    scenario(|| {
        let Some(_lab) = Lab::open() else { return };
        let mail = setup("no", "no").build();
        for (destination, words) in [
            ("plain.test", "Connected to b.test[192.0.2.26]:5588\n"),
            ("good.test:submission", "Connected to six.test[2001:db8::25]:5587\n"),
            ("[b.test]:5588", "Connected to b.test[192.0.2.26]:5588\n"),
            (
                "back.test:submission",
                "Failed to establish session to back.test:submission via a.test:5999: connect to a.test[",
            ),
            (
                "no.test:submission",
                "Destination address lookup failed: Domain _submission._tcp.no.test does not support SRV requests\n",
            ),
            (
                "none.test",
                "Destination address lookup failed: Host or domain name not found. Name service error for \
                 name=_smtp._tcp.none.test type=SRV: Host not found\n",
            ),
        ] {
            let output = mail.run("posttls-finger", &["-l", "none", "-R", destination]);
            let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(shown.contains(words), "{destination}: {words} is not in:\n{shown}");
            assert_eq!(output.status.code(), Some(0), "{destination}");
        }
    });
}
