//! Where DNS says that mail goes: MX, A, AAAA, and what is done without an answer.

use std::net::{IpAddr, SocketAddr};

use scenarios::scenario;
use testing::dns::Zone;
use testing::name_server::{NameServer, Verdict};
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup, Sink, World};

const V4: &str = "192.0.2.25";
const V6: &str = "2001:db8::25";

/// A mail system that asks DNS, in a world where these two addresses are ours.
fn start(world: &World) -> Instance {
    for address in [V4, V6] {
        world.address(address.parse().expect("address"));
    }
    setup().start()
}

fn setup() -> Setup {
    Setup::new().set("relayhost", "").set("mynetworks", "127.0.0.0/8").set("inet_interfaces", "127.0.0.1")
}

fn sink(address: &str) -> Sink {
    Sink::at((address.parse::<std::net::IpAddr>().expect("address"), 25).into())
}

fn send(mail: &Instance, recipient: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    let reply = client.send("alice@mail.test", &[recipient], "Subject: x\n\nbody\n").expect("sent");
    reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"))
}

#[test]
fn mail_goes_to_the_mail_exchanger_over_ipv6_alone() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let _dns = Zone::new().mx("six.test", "mx.six.test", 10).host("mx.six.test", &[V6]).start();
        let mail = start(&world);
        let sink = sink(V6);
        let id = send(&mail, "x@six.test");
        mail.wait_log(&[&id, &format!("relay=mx.six.test[{V6}]:25"), "status=sent"]);
        assert_eq!(sink.count(), 1);
    });
}

#[test]
fn mail_goes_to_the_second_exchanger_when_the_first_does_not_answer() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let zone = Zone::new().mx("two.test", "a.two.test", 10).mx("two.test", "b.two.test", 20);
        let _dns = zone.host("a.two.test", &[V6]).host("b.two.test", &[V4]).start();
        let mail = start(&world);
        let sink = sink(V4);
        let id = send(&mail, "x@two.test");
        mail.wait_log(&[&id, &format!("relay=b.two.test[{V4}]:25"), "status=sent"]);
        assert_eq!(sink.count(), 1);
    });
}

#[test]
fn mail_goes_to_the_host_itself_when_there_is_no_mail_exchanger() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let _dns = Zone::new().host("host.test", &[V4]).start();
        let mail = start(&world);
        let _sink = sink(V4);
        let id = send(&mail, "x@host.test");
        mail.wait_log(&[&id, &format!("relay=host.test[{V4}]:25"), "status=sent"]);
    });
}

#[test]
fn mail_to_a_domain_that_does_not_exist_comes_back() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let _dns = Zone::new().start();
        let mail = start(&world);
        let id = send(&mail, "x@nowhere.test");
        mail.wait_log(&[&id, "dsn=5.4.4", "status=bounced", "Host or domain name not found"]);
        assert!(mail.wait_mail("alice", 1)[0].body().contains("nowhere.test"));
    });
}

#[test]
fn mail_is_deferred_when_no_dns_server_answers() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let mail = start(&world);
        let id = send(&mail, "x@silent.test");
        mail.wait_log(&[&id, "dsn=4.4.3", "status=deferred"]);
    });
}

#[test]
fn mail_waits_when_the_relayhost_cannot_be_used_and_no_word_of_it_reaches_the_sender() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let zone = Zone::new().mx("self.test", "mx.self.test", 10).host("mx.self.test", &["127.0.0.1"]);
        let _dns = zone.mx("lost.test", "gone.test", 10).start();
        let gone = "Host or domain name not found";
        for (relayhost, text) in [
            ("[gone.test]:587", gone),
            ("gone.test", gone),
            ("lost.test", gone),
            ("self.test", "mail for self.test loops back to myself"),
        ] {
            let mail = setup().set("relayhost", relayhost).start();
            let id = send(&mail, "x@host.test");
            mail.wait_log(&["warning: relayhost configuration problem"]);
            mail.wait_log(&[&id, "dsn=4.3.5", "status=deferred", text]);
        }
        drop(world);
    });
}

#[test]
fn mail_waits_when_the_fallback_relay_cannot_be_found() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let _dns = Zone::new().start();
        let mail = setup().set("smtp_fallback_relay", "[gone.test]").start();
        let id = send(&mail, "x@nowhere.test");
        mail.wait_log(&["warning: smtp_fallback_relay configuration problem"]);
        mail.wait_log(&[&id, "dsn=4.3.5", "status=deferred", "name=gone.test"]);
    });
}

#[test]
fn mail_that_has_come_home_takes_no_fallback_relay() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let _dns = Zone::new().mx("self.test", "mx.self.test", 10).host("mx.self.test", &["127.0.0.1"]).start();
        world.address(V4.parse().expect("address"));
        let sink = sink(V4);
        let mail = setup().set("smtp_fallback_relay", format!("[{V4}]")).start();
        let id = send(&mail, "x@self.test");
        mail.wait_log(&[&id, "dsn=5.4.6", "status=bounced", "mail for self.test loops back to myself"]);
        assert_eq!(sink.count(), 0);
    });
}

const INTERNAL: &[&str] = &["internal.test MX 10 mx.internal.test", "mx.internal.test A 192.0.2.25"];

fn name_server(address: &str, zone: &[&str], verdict: Verdict) -> NameServer {
    let address: IpAddr = address.parse().expect("address");
    NameServer::judged(SocketAddr::from((address, 53)), zone, move |_| verdict)
}

#[test]
fn the_second_name_server_is_asked_only_when_the_first_has_no_answer() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        world.file("/etc/resolv.conf", "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1\n");
        let _first = name_server("127.0.0.1", INTERNAL, Verdict::Zone);
        let second = name_server("127.0.0.2", &[], Verdict::Zone);
        let mail = start(&world);
        let sink = sink(V4);
        for number in 1..=5 {
            let id = send(&mail, &format!("x{number}@internal.test"));
            mail.wait_log(&[&id, &format!("relay=mx.internal.test[{V4}]:25"), "status=sent"]);
        }
        assert_eq!((sink.count(), second.asked()), (5, Vec::<String>::new()));
    });
}

#[test]
fn a_name_server_that_fails_refuses_or_is_silent_leaves_the_answer_to_the_next() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let conf = "nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\nnameserver 127.0.0.4\n";
        world.file("/etc/resolv.conf", &format!("{conf}options timeout:1 attempts:1\n"));
        let _first = name_server("127.0.0.1", INTERNAL, Verdict::Code(5));
        let _second = name_server("127.0.0.2", INTERNAL, Verdict::Silence);
        let _third = name_server("127.0.0.3", INTERNAL, Verdict::Zone);
        let mail = start(&world);
        let _sink = sink(V4);
        let id = send(&mail, "x@internal.test");
        mail.wait_log(&[&id, &format!("relay=mx.internal.test[{V4}]:25"), "status=sent"]);
    });
}

#[test]
fn a_server_without_edns_answers_the_plain_question() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let address = SocketAddr::from(([127, 0, 0, 1], 53));
        let knows_no_edns = |question: &testing::name_server::Question| match question.edns {
            true => Verdict::Code(1),
            false => Verdict::Zone,
        };
        let _dns = NameServer::judged(address, INTERNAL, knows_no_edns);
        let mail = start(&world);
        let _sink = sink(V4);
        let id = send(&mail, "x@internal.test");
        mail.wait_log(&[&id, &format!("relay=mx.internal.test[{V4}]:25"), "status=sent"]);
    });
}

#[test]
fn name_servers_that_change_while_mail_is_delivered_are_asked_without_a_reload() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let _old = name_server("127.0.0.1", &[], Verdict::Code(2));
        let _new = name_server("127.0.0.2", INTERNAL, Verdict::Zone);
        world.file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
        let mail = start(&world);
        let sink = sink(V4);
        let id = send(&mail, "x@internal.test");
        mail.wait_log(&[&id, "dsn=4.4.3", "status=deferred"]);
        world.file("/etc/resolv.conf", "nameserver 127.0.0.2\n");
        // Changes are looked for now and then.
        assert!(until_true(PATIENCE, || {
            let id = send(&mail, "y@internal.test");
            !mail.wait_log(&[&id, "to=<y@internal.test>", "status="]).contains("status=deferred")
        }));
        assert!(sink.count() >= 1);
    });
}

#[test]
fn mail_waits_for_a_name_server_that_does_not_understand_the_question() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let _dns = name_server("127.0.0.1", INTERNAL, Verdict::Code(1));
        let mail = start(&world);
        let id = send(&mail, "x@internal.test");
        mail.wait_log(&[&id, "dsn=4.4.3", "status=deferred", "type=MX: Non-recoverable error"]);
    });
}

#[test]
fn names_of_hosts_are_completed_as_smtp_dns_resolver_options_say() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        world.file("/etc/resolv.conf", "nameserver 127.0.0.1\nsearch corp.test\n");
        world.address(V4.parse().expect("address"));
        let zone = ["short.corp.test A 192.0.2.25", "host.lab.corp.test A 192.0.2.25"];
        let _dns = name_server("127.0.0.1", &zone, Verdict::Zone);
        let _sink = sink(V4);
        for (options, short, dotted) in [
            ("", "dsn=5.4.4, status=bounced", "dsn=5.4.4, status=bounced"),
            ("res_defnames", "status=sent", "dsn=5.4.4, status=bounced"),
            ("res_dnsrch", "dsn=5.4.4, status=bounced", "status=sent"),
            ("res_defnames, res_dnsrch", "status=sent", "status=sent"),
        ] {
            let mail = setup().set("append_dot_mydomain", "no").set("smtp_dns_resolver_options", options).start();
            for (recipient, outcome) in [("x@short", short), ("x@host.lab", dotted)] {
                let id = send(&mail, recipient);
                mail.wait_log(&[&id, &format!("to=<{recipient}>"), outcome]);
            }
        }
    });
}

#[test]
fn this_machine_may_pass_mail_for_which_it_is_the_best_on_to_another_agent() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let zone = Zone::new().mx("self.test", "mx.self.test", 10).host("mx.self.test", &["127.0.0.1"]);
        let _dns = zone.mx("lost.test", "gone.test", 5).mx("lost.test", "mx.self.test", 10).start();
        world.address(V4.parse().expect("address"));
        let sink = sink(V4);
        let other_host = format!("smtp:[{V4}]");
        for (way, agent, results) in [
            ("local", "local", ["status=sent (delivered to maildir)"; 2]),
            (&other_host, "smtp", ["status=sent (250"; 2]),
            ("error:5.7.0 go away", "error", ["dsn=5.7.0, status=bounced (go away)"; 2]),
            // The nexthop stays where none is named.
            ("error", "error", ["dsn=5.0.0, status=bounced (self.test)"; 2]),
        ] {
            let mail = setup().set("best_mx_transport", way).start();
            let mut client = Client::greet(mail.v4()).expect("connected");
            let to = ["bob@self.test", "carol@self.test", "x@lost.test"];
            let reply = client.send("alice@mail.test", &to, "Subject: x\n\nbody\n").expect("sent");
            let id = reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"));
            for (to, result) in ["bob@self.test", "carol@self.test"].into_iter().zip(results) {
                mail.wait_log(&["/smtp[", &id, &format!("passing <{to}> to transport={agent}")]);
                mail.wait_log(&[&format!("/{agent}["), &id, &format!("to=<{to}>"), result]);
            }
            // Of a domain that has better ones, even if they are not there, it is not the best.
            let why = "dsn=4.4.4, status=deferred (unable to find primary relay for lost.test)";
            mail.wait_log(&[&id, "to=<x@lost.test>", why]);
        }
        assert_eq!(sink.count(), 2);
    });
}

#[test]
fn mail_for_a_relayhost_that_is_this_machine_is_not_passed_on() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let _dns = Zone::new().mx("self.test", "mx.self.test", 10).host("mx.self.test", &["127.0.0.1"]).start();
        let mail = setup().set("relayhost", "self.test").set("best_mx_transport", "local").start();
        let id = send(&mail, "x@else.test");
        mail.wait_log(&[&id, "dsn=4.3.5, status=deferred (mail for self.test loops back to myself)"]);
        assert_eq!(mail.find_log(&["passing <"]), None);
    });
}

#[test]
fn mail_is_not_passed_on_to_where_it_would_be_passed_on_again() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let _dns = Zone::new().mx("self.test", "mx.self.test", 10).host("mx.self.test", &["127.0.0.1"]).start();
        for way in ["smtp", "smtp:self.test"] {
            let mail = setup().set("best_mx_transport", way).start();
            let id = send(&mail, "x@self.test");
            mail.wait_log(&[&id, "dsn=5.4.6, status=bounced (mail for self.test loops back to myself)"]);
        }
    });
}
