//! One address family broken on the way, or refused by the server: mail takes the other.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;

use scenarios::scenario;
use testing::dns::Zone;
use testing::name_server::NameServer;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup, Sink, World};

const V4: &str = "192.0.2.25";
const OTHER_V4: &str = "192.0.2.26";
const V6: &str = "2001:db8::25";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Addresses that swallow what is sent to them.
fn holes(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("2001:db8:dead::{number}")).collect()
}

/// A mail system that asks DNS and begins with IPv6, in a world with our addresses and `holes`.
fn setup(world: &World, holes: &[String]) -> Setup {
    for ours in [V4, OTHER_V4, V6] {
        world.address(address(ours));
    }
    world.swallow(&holes.iter().map(|hole| address(hole)).collect::<Vec<_>>());
    Setup::new()
        .set("relayhost", "")
        .set("mynetworks", "127.0.0.0/8")
        .set("inet_interfaces", "127.0.0.1")
        .set("smtp_address_preference", "ipv6")
        // A test that waits for one ends before.
        .set("smtp_connect_timeout", "600s")
}

fn sink(text: &str) -> Sink {
    Sink::at((address(text), 25).into())
}

fn host(zone: Zone, name: &str, holes: &[String], others: &[&str]) -> Zone {
    let all: Vec<&str> = holes.iter().map(String::as_str).chain(others.iter().copied()).collect();
    zone.host(name, &all)
}

fn send(mail: &Instance, recipient: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    let reply = client.send("alice@mail.test", &[recipient], "Subject: x\n\nbody\n").expect("sent");
    reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"))
}

#[test]
fn mail_to_a_server_whose_ipv6_is_swallowed_goes_over_ipv4_without_a_timeout() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let holes = holes(1);
        let _dns = host(Zone::new().mx("half.test", "mx.half.test", 10), "mx.half.test", &holes, &[V4]).start();
        let mail = setup(&world, &holes).start();
        let sink = sink(V4);
        for _ in 0..2 {
            let id = send(&mail, "x@half.test");
            mail.wait_log(&[&id, &format!("relay=mx.half.test[{V4}]:25"), "delays=", "status=sent"]);
        }
        assert_eq!(sink.count(), 2);
        assert_eq!(mail.find_log(&["connect to"]), None);
    });
}

#[test]
fn eight_swallowed_addresses_do_not_hide_the_one_that_works_whatever_the_limit_cuts() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let holes = holes(8);
        let _dns = host(Zone::new().mx("many.test", "mx.many.test", 10), "mx.many.test", &holes, &[V4]).start();
        let mut mail = setup(&world, &holes).start();
        let sink = sink(V4);
        let mut sent = 0;
        for balance in ["yes", "no"] {
            mail.set("smtp_balance_inet_protocols", balance);
            for limit in ["0", "1", "2", "5"] {
                mail.set("smtp_mx_address_limit", limit);
                mail.reload();
                let id = send(&mail, "x@many.test");
                mail.wait_log(&[&id, &format!("relay=mx.many.test[{V4}]:25"), "status=sent"]);
                sent += 1;
            }
        }
        assert_eq!(sink.count(), sent);
    });
}

#[test]
fn a_worse_exchanger_gets_no_mail_before_the_better_one_has_failed() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let holes = holes(2);
        let zone = Zone::new().mx("two.test", "a.two.test", 10).mx("two.test", "b.two.test", 20);
        let _dns = host(zone, "a.two.test", &holes, &[]).host("b.two.test", &[V4]).start();
        let mail = setup(&world, &holes).set("smtp_connect_timeout", "2s").start();
        let _sink = sink(V4);
        let id = send(&mail, "x@two.test");
        mail.wait_log(&[&id, &format!("relay=b.two.test[{V4}]:25"), "status=sent"]);
        for hole in &holes {
            let text = format!("connect to a.two.test[{hole}]:25: Connection timed out");
            assert!(mail.find_log(&[&text]).is_some(), "{text}");
        }
    });
}

/// A server that takes no connection before somebody makes room in its queue, which is full.
fn full_listener(text: &str) -> (TcpListener, TcpStream) {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, socket};
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("socket");
    bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address(text), 25))).expect("bound");
    listen(&socket, Backlog::new(0).expect("backlog")).expect("listening");
    let first = TcpStream::connect((address(text), 25)).expect("the first of the queue");
    (TcpListener::from(socket), first)
}

/// Whether a connection attempt to an address has been repeated by the kernel, which waits a second before it does.
fn has_knocked_twice(text: &str) -> bool {
    let output = Command::new("ss").args(["-Hton", "state", "syn-sent", "dst", text]).output().expect("ss");
    // timer:(on,2.5sec,1)
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    shown.split("timer:(on,").skip(1).any(|timer| !timer.split(')').next().unwrap_or_default().ends_with(",0"))
}

#[test]
fn a_worse_exchanger_gets_no_connection_while_the_better_one_is_slow() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let zone = Zone::new().mx("two.test", "a.two.test", 10).mx("two.test", "b.two.test", 20);
        let _dns = zone.host("a.two.test", &[V4]).host("b.two.test", &[OTHER_V4]).start();
        let mail = setup(&world, &[]).start();
        let (better, _first) = full_listener(V4);
        let worse = TcpListener::bind((address(OTHER_V4), 25)).expect("bound");
        worse.set_nonblocking(true).expect("set");
        let id = send(&mail, "x@two.test");
        assert!(until_true(PATIENCE, || has_knocked_twice(V4)), "nobody knocks");
        assert_eq!(worse.accept().map(drop).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
        let better = Sink::on(better);
        mail.wait_log(&[&id, &format!("relay=a.two.test[{V4}]:25"), "status=sent"]);
        assert_eq!(better.count(), 1);
        assert_eq!(worse.accept().map(drop).map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    });
}

#[test]
fn with_a_delay_of_zero_one_address_is_tried_after_the_other() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let holes = holes(1);
        let _dns = host(Zone::new().mx("half.test", "mx.half.test", 10), "mx.half.test", &holes, &[V4]).start();
        let setup = setup(&world, &holes).set("smtp_connect_timeout", "1s").set("smtp_connection_attempt_delay", "0");
        let mail = setup.start();
        let _sink = sink(V4);
        let id = send(&mail, "x@half.test");
        mail.wait_log(&[&id, &format!("relay=mx.half.test[{V4}]:25"), "status=sent"]);
        let text = format!("connect to mx.half.test[{}]:25: Connection timed out", holes[0]);
        assert!(mail.find_log(&[&text]).is_some(), "{text}");
    });
}

/// A destination with an address of each family, and a sink on each.
fn both(world: &World) -> (testing::dns::DnsServer, Setup, Sink, Sink) {
    let dns = host(Zone::new().mx("both.test", "mx.both.test", 10), "mx.both.test", &[], &[V6, V4]).start();
    let setup = setup(world, &[]);
    (dns, setup, sink(V6), sink(V4))
}

const NO_NAME: &str = "550 5.7.1 your address has no PTR record";

#[test]
fn a_message_that_is_refused_because_of_our_ipv6_address_goes_over_ipv4() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let (_dns, setup, six, four) = both(&world);
        six.refuse(Some(NO_NAME));
        let mail = setup.start();
        let id = send(&mail, "x@both.test");
        mail.wait_log(&[&id, &format!("relay=mx.both.test[{V4}]:25"), "status=sent"]);
        assert!(mail.find_log(&[&id, &format!("host mx.both.test[{V6}] said: {NO_NAME}")]).is_some());
        // The next one begins where it worked.
        let id = send(&mail, "y@both.test");
        mail.wait_log(&[&id, &format!("relay=mx.both.test[{V4}]:25"), "status=sent"]);
        assert!(mail.find_log(&[&id, NO_NAME]).is_none());
        assert_eq!((six.count(), four.count()), (0, 2));
    });
}

#[test]
fn a_message_that_is_refused_because_of_our_ipv4_address_goes_over_ipv6() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let (_dns, setup, six, four) = both(&world);
        four.refuse(Some("554 5.7.1 Service unavailable; Client host [192.0.2.25] blocked using bl.test"));
        let mail = setup.set("smtp_address_preference", "ipv4").start();
        let id = send(&mail, "x@both.test");
        mail.wait_log(&[&id, &format!("relay=mx.both.test[{V6}]:25"), "status=sent"]);
        assert_eq!((six.count(), four.count()), (1, 0));
    });
}

#[test]
fn a_message_that_both_families_refuse_comes_back() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let (_dns, setup, six, four) = both(&world);
        six.refuse(Some(NO_NAME));
        four.refuse(Some("550 5.7.25 no reverse name"));
        let mail = setup.start();
        let id = send(&mail, "x@both.test");
        mail.wait_log(&[&id, &format!("relay=mx.both.test[{V4}]:25"), "dsn=5.7.25", "status=bounced"]);
        assert!(mail.wait_mail("alice", 1)[0].body().contains("x@both.test"));
    });
}

#[test]
fn a_message_that_is_refused_for_another_reason_or_without_the_appeal_comes_back_at_once() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let (_dns, setup, six, four) = both(&world);
        let mut mail = setup.start();
        for reply in ["550 5.1.1 no such user", "554 5.7.1 <x@both.test>: Relay access denied"] {
            six.refuse(Some(reply));
            let id = send(&mail, "x@both.test");
            mail.wait_log(&[&id, &format!("relay=mx.both.test[{V6}]:25"), "status=bounced", reply]);
        }
        six.refuse(Some(NO_NAME));
        mail.set("smtp_retry_other_family_on_policy_reject", "no");
        mail.reload();
        let id = send(&mail, "x@both.test");
        mail.wait_log(&[&id, &format!("relay=mx.both.test[{V6}]:25"), "dsn=5.7.1", "status=bounced"]);
        assert_eq!(four.count(), 0);
    });
}

/// Delivers to a host with one look-up that nobody answers before the end of the test.
fn deliver_with_one_look_up_unanswered(held: &str, over: &str) {
    let Some(world) = World::enter() else { return };
    // Who waits for the answer waits longer than the test.
    world.file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n");
    let zone = ["slow.test MX 10 mx.slow.test", "mx.slow.test A 192.0.2.25", "mx.slow.test AAAA 2001:db8::25"];
    let dns = NameServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)), &zone);
    dns.hold(held);
    let mail = setup(&world, &[]).start();
    let _sinks = (sink(V4), sink(V6));
    let id = send(&mail, "x@slow.test");
    mail.wait_log(&[&id, &format!("relay=mx.slow.test[{over}]:25"), "status=sent"]);
    assert!(dns.asked().iter().any(|question| question == held), "{:?}", dns.asked());
}

#[test]
fn an_unanswered_question_for_ipv6_addresses_does_not_hold_up_ipv4() {
    scenario(|| deliver_with_one_look_up_unanswered("AAAA mx.slow.test", V4));
}

#[test]
fn an_unanswered_question_for_ipv4_addresses_does_not_hold_up_ipv6() {
    scenario(|| deliver_with_one_look_up_unanswered("A mx.slow.test", V6));
}
