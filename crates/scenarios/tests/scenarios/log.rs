//! The log for programs that read it: the JSON form, and what libraries tell a verbose daemon.

use std::net::SocketAddr;

use scenarios::scenario;
use serde_json::Value;
use testing::dns::Zone;
use testing::{Client, Instance, Setup, Sink, World};

const TEXT: &str = "From: a@client.test\nSubject: onward\nMessage-Id: <2@client.test>\n\nbody\n";

fn send(mail: &Instance, recipient: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    let reply = client.send("a@client.test", &[recipient], TEXT).expect("sent");
    reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"))
}

/// The lines of a log in JSON.
fn lines(mail: &Instance) -> Vec<Value> {
    let log = mail.log();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn in_json_every_line_about_a_relayed_message_has_its_queue_id_and_records_have_their_facts() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = Setup::new().set("relayhost", sink.next_hop()).set("maillog_format", "json").start();
        let id = send(&mail, "x@other.test");
        mail.wait_log(&[&id, "\"event\":\"removed\""]);
        let lines = lines(&mail);
        let about: Vec<&Value> =
            lines.iter().filter(|line| line["text"].as_str().is_some_and(|text| text.contains(&id))).collect();
        let queue_ids: Vec<_> = about.iter().map(|line| line["queue_id"].as_str()).collect();
        assert!(queue_ids.iter().all(|queue_id| *queue_id == Some(&id)), "{about:#?}");
        let fact = |event: &str, member: &str| {
            let record = about.iter().find(|line| line["event"] == event);
            record.unwrap_or_else(|| panic!("no {event} in {about:#?}"))[member].clone()
        };
        for (event, process, member, value) in [
            ("client", "smtpd", "client_address", Value::from("127.0.0.1")),
            ("client", "smtpd", "client_name", Value::from("unknown")),
            ("message_id", "cleanup", "message_id", Value::from("<2@client.test>")),
            ("message_id", "cleanup", "resent", Value::from(false)),
            ("queue_active", "qmgr", "from", Value::from("a@client.test")),
            ("queue_active", "qmgr", "nrcpt", Value::from(1)),
            ("status", "smtp", "to", Value::from("x@other.test")),
            ("status", "smtp", "status", Value::from("sent")),
            ("status", "smtp", "dsn", Value::from("2.0.0")),
            ("removed", "qmgr", "reason", Value::Null),
        ] {
            assert_eq!(fact(event, member), value, "{event}.{member}");
            assert_eq!(fact(event, "process"), format!("postfix/{process}"), "{event}");
        }
        assert!(fact("queue_active", "size").as_u64().is_some_and(|size| size > TEXT.len() as u64));
        let stages = ["delay_before_queue", "delay_in_queue", "delay_connection", "delay_transmission"];
        for delay in ["delay"].into_iter().chain(stages) {
            assert!(fact("status", delay).is_number(), "{delay}");
        }
        let connect = lines.iter().find(|line| line["event"] == "connect").expect("a client has connected");
        assert_eq!((&connect["client_address"], connect.get("queue_id")), (&Value::from("127.0.0.1"), None));
        let started = lines.iter().find(|line| line["event"] == "started").expect("master has started");
        assert_eq!(started["configuration"], mail.etc().display().to_string());
    });
}

#[test]
fn a_verbose_smtp_tells_what_it_asks_of_name_servers_and_another_does_not() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let there: SocketAddr = "192.0.2.25:25".parse().expect("address");
        world.address(there.ip());
        let _dns = Zone::new().mx("one.test", "mx.one.test", 10).host("mx.one.test", &["192.0.2.25"]).start();
        let sink = Sink::at(there);
        let setup = || Setup::new().set("relayhost", "").set("inet_interfaces", "127.0.0.1");
        let (quiet, verbose) = (setup().start(), setup().service("smtp unix - - n - - smtp -v").start());
        for mail in [&quiet, &verbose] {
            let id = send(mail, "x@one.test");
            mail.wait_log(&[&id, "relay=mx.one.test[192.0.2.25]:25", "status=sent"]);
        }
        for question in ["MX of one.test", "A of mx.one.test"] {
            verbose.wait_log(&["postfix/smtp[", &format!("]: debug: {question}: asking ")]);
            verbose.wait_log(&["postfix/smtp[", &format!("]: debug: {question}: "), " answers NOERROR, records: 1"]);
        }
        let debug: Vec<_> =
            verbose.log().lines().filter(|line| line.contains("]: debug: ")).map(str::to_owned).collect();
        assert!(debug.iter().all(|line| line.contains("postfix/smtp[")), "{debug:#?}");
        assert!(!quiet.log().contains("debug: "), "{}", quiet.log());
        assert_eq!(sink.count(), 2);
    });
}
