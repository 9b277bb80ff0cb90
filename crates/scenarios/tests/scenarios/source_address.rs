//! The address that outgoing mail leaves from, by family.

use std::net::IpAddr;

use scenarios::scenario;
use testing::dns::{DnsServer, Zone};
use testing::{Client, Instance, Setup, Sink, World};

const SERVERS: [&str; 2] = ["192.0.2.25", "2001:db8::25"];
const SOURCES: [&str; 2] = ["192.0.2.26", "2001:db8::26"];

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// `four.test`, `six.test` and `both.test` with a sink on each address, and a mail system that begins with IPv6.
fn setup(world: &World) -> (DnsServer, Setup, [Sink; 2]) {
    SERVERS.iter().chain(&SOURCES).for_each(|ours| world.address(address(ours)));
    let zone = Zone::new().host("four.test", &SERVERS[..1]).host("six.test", &SERVERS[1..]).host("both.test", &SERVERS);
    let setup = Setup::new()
        .set("relayhost", "")
        .set("mynetworks", "127.0.0.0/8")
        .set("inet_interfaces", "127.0.0.1")
        .set("smtp_address_preference", "ipv6");
    (zone.start(), setup, SERVERS.map(|server| Sink::at((address(server), 25).into())))
}

fn deliver(mail: &Instance, domain: &str) {
    let mut client = Client::greet(mail.v4()).expect("connected");
    let reply = client.send("alice@mail.test", &[&format!("x@{domain}")], "Subject: x\n\nbody\n").expect("sent");
    let id = reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"));
    mail.wait_log(&[&id, "status=sent"]);
}

fn clients(sink: &Sink) -> Vec<String> {
    sink.received().iter().map(|received| received.client.to_string()).collect()
}

#[test]
fn mail_leaves_from_the_source_address_of_its_family_with_brackets_or_without() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let (_dns, setup, sinks) = setup(&world);
        let setup = setup.set("smtp_bind_address", "192.0.2.26").set("smtp_bind_address6", "2001:db8::26");
        let mut mail = setup.start();
        deliver(&mail, "four.test");
        deliver(&mail, "six.test");
        mail.set("smtp_bind_address", "[192.0.2.26]");
        mail.set("smtp_bind_address6", "[2001:DB8:0::26]");
        mail.reload();
        deliver(&mail, "four.test");
        deliver(&mail, "six.test");
        assert_eq!(clients(&sinks[0]), [SOURCES[0]; 2]);
        assert_eq!(clients(&sinks[1]), [SOURCES[1]; 2]);
    });
}

#[test]
fn a_source_address_that_is_not_ours_is_passed_over_unless_it_is_enforced() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let (_dns, setup, sinks) = setup(&world);
        let mut mail = setup.set("smtp_bind_address6", "2001:db8:77::1").start();
        deliver(&mail, "both.test");
        mail.wait_log(&["warning: smtp_connect_addr: bind 2001:db8:77::1: Cannot assign requested address"]);
        assert_eq!((sinks[0].count(), sinks[1].count()), (0, 1));
        mail.set("smtp_bind_address_enforce", "yes");
        mail.reload();
        deliver(&mail, "both.test");
        assert_eq!((sinks[0].count(), sinks[1].count()), (1, 1));
    });
}
