//! Addresses that come late, go away, or belong to somebody else: they take nothing else with them, and are served when
//! they are there.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Link, Setup, Sink, World};

const OURS: &str = "2001:db8::25";
const OTHER: &str = "2001:db8::26";

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// A mail system at 127.0.0.1 and at these, which waits for nothing at its start.
fn at(interfaces: &str) -> Setup {
    let interfaces = format!("127.0.0.1, {interfaces}");
    Setup::new().port_alone().set("inet_interfaces", interfaces).set("inet_interfaces_wait", "0s")
}

/// A message over an address arrives.
fn takes_mail(mail: &Instance, over: IpAddr, count: usize) {
    let mut client = Client::greet(SocketAddr::new(over, mail.port())).unwrap_or_else(|e| panic!("{over}: {e}"));
    let reply = client.send("x@client.test", &["alice@mail.test"], "Subject: x\n\nbody\n").expect("sent");
    assert_eq!(reply.code, 250, "{reply:?}");
    mail.wait_mail("alice", count);
}

fn refuses(mail: &Instance, over: IpAddr) {
    let connected = TcpStream::connect_timeout(&SocketAddr::new(over, mail.port()), Duration::from_millis(200));
    assert!(connected.is_err(), "{over} is served");
}

#[test]
fn an_address_that_the_link_is_asked_about_is_served_when_the_link_has_answered() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let link = Link::up("e0");
        link.add(address(OURS), 60);
        let mail = at(OURS).start();
        assert!(link.shown().contains("tentative"), "{}", link.shown());
        mail.wait_log(&["warning: parameter inet_interfaces: 2001:db8::25 cannot be used yet"]);
        takes_mail(&mail, address("127.0.0.1"), 1);
        refuses(&mail, address(OURS));
        // It is on an interface: what follows from that can be said already.
        let main_cf = "inet_protocols = all\ninet_interfaces = [2001:db8::25]\nmynetworks_style = host\n";
        let other = mail.folder().join("other");
        std::fs::create_dir(&other).expect("a folder");
        testing::setup::write_old(&other.join("main.cf"), main_cf);
        let shown = mail.run("postconf", &["-c", other.to_str().expect("UTF-8"), "-h", "mynetworks"]);
        assert_eq!(shown.stdout, b"[2001:db8::25]/128\n", "{}", String::from_utf8_lossy(&shown.stderr));
        link.hurry();
        mail.wait_log(&["parameter inet_interfaces: 2001:db8::25 is there now"]);
        takes_mail(&mail, address(OURS), 2);
        takes_mail(&mail, address("127.0.0.1"), 3);
    });
}

#[test]
fn an_address_that_somebody_else_has_is_a_warning_and_is_served_when_it_is_ours() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let link = Link::up("e0");
        link.add_there(address(OURS));
        link.add(address(OURS), 1);
        assert!(until_true(PATIENCE, || link.shown().contains("dadfailed")), "{}", link.shown());
        let mail = at(OURS).set("mynetworks", "").start();
        mail.wait_log(&["warning: parameter inet_interfaces: 2001:db8::25 cannot be used: somebody else"]);
        takes_mail(&mail, address("127.0.0.1"), 1);
        link.remove_there(address(OURS));
        link.remove(address(OURS));
        mail.wait_log(&["warning: parameter inet_interfaces: no local interface found for 2001:db8::25"]);
        link.add(address(OURS), 1);
        mail.wait_log(&["parameter inet_interfaces: 2001:db8::25 is there now"]);
        takes_mail(&mail, address(OURS), 2);
    });
}

#[test]
fn an_address_that_goes_away_takes_nothing_with_it_and_is_served_when_it_is_back() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let link = Link::up("e0");
        link.add(address(OURS), 0);
        link.add(address("192.0.2.25"), 0);
        let mut mail = at(&format!("{OURS}, 192.0.2.25")).start();
        for (count, over) in [OURS, "192.0.2.25"].into_iter().enumerate() {
            takes_mail(&mail, address(over), count + 1);
        }
        for (round, over) in [OURS, "192.0.2.25"].into_iter().enumerate() {
            link.remove(address(over));
            mail.wait_log(&["warning: parameter inet_interfaces: no local interface found for", over]);
            takes_mail(&mail, address("127.0.0.1"), 3 + 3 * round);
            // Not even a reload, or a change of something else, ends it.
            mail.set("smtpd_banner", &format!("mail.test ESMTP {round}"));
            mail.reload();
            takes_mail(&mail, address("127.0.0.1"), 4 + 3 * round);
            link.add(address(over), 0);
            mail.wait_log(&["parameter inet_interfaces:", over, "is there now"]);
            takes_mail(&mail, address(over), 5 + 3 * round);
        }
    });
}

#[test]
fn an_address_that_comes_after_the_start_is_served_by_every_service_that_has_it() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let link = Link::up("e0");
        let mail = at(&format!("{OURS}, late.test"))
            .service(&format!("[{OTHER}]:2525 inet n - n - 1 smtpd -o smtpd_banner=other"))
            .service("late.test:2526 inet n - n - - smtpd")
            .build();
        let mut mail = mail;
        mail.start();
        for missing in [
            "parameter inet_interfaces: no local interface found for 2001:db8::25",
            "bind 2001:db8::26 port 2525: Cannot assign requested address",
            "config variable inet_interfaces: host not found: late.test",
            "bad hostname or network address: late.test:2526",
        ] {
            mail.wait_log(&["master", "warning:", missing]);
        }
        takes_mail(&mail, address("127.0.0.1"), 1);
        _world.file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n192.0.2.27 late.test\n");
        for late in [OURS, OTHER, "192.0.2.27"] {
            link.add(address(late), 0);
            mail.wait_log(&[late, "is there now"]);
        }
        mail.wait_log(&["late.test is there now"]);
        takes_mail(&mail, address(OURS), 2);
        takes_mail(&mail, address("192.0.2.27"), 3);
        let other = Client::connect(SocketAddr::new(address(OTHER), 2525)).expect("connected");
        assert_eq!(other.greeting().last(), "220 other");
        Client::connect(SocketAddr::new(address("192.0.2.27"), 2526)).expect("connected");
    });
}

#[test]
fn a_start_waits_for_an_address_as_long_as_it_may() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let link = Link::up("e0");
        let mut mail =
            Setup::new().port_alone().set("inet_interfaces", OURS).set("inet_interfaces_wait", "600s").build();
        let lock = mail.queue().join("pid/master.pid");
        let _link = std::thread::scope(|scope| {
            let added = scope.spawn(move || {
                assert!(until_true(PATIENCE, || std::fs::read(&lock).is_ok_and(|text| !text.is_empty())));
                link.add(address(OURS), 1);
                link
            });
            mail.start();
            added.join().expect("added")
        });
        assert!(mail.find_log(&["no local interface"]).is_none(), "{}", mail.log());
        takes_mail(&mail, address(OURS), 1);
    });
}

#[test]
fn without_any_address_nothing_starts_and_a_reload_is_refused_with_the_reason() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let link = Link::up("e0");
        let reason = "parameter inet_interfaces: no local interface found for 2001:db8::25";
        let nowhere = Setup::new().port_alone().set("inet_interfaces_wait", "0s").set("inet_interfaces", OURS);
        let mut mail = nowhere.build();
        for command in ["check", "start"] {
            let output = mail.run("postfix", &[command]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && said.contains(reason), "{command}: {said}");
        }
        link.add(address(OURS), 0);
        mail.start();
        mail.set("inet_interfaces", OTHER);
        mail.reload();
        mail.wait_log(&["reload refused, the running configuration stays in force: parameter inet_interfaces: no"]);
        takes_mail(&mail, address(OURS), 1);
        // What is served already may be away.
        mail.set("inet_interfaces", OURS);
        link.remove(address(OURS));
        mail.wait_log(&["warning:", reason]);
        assert_eq!(mail.run("postfix", &["reload"]).status.code(), Some(0), "{}", mail.log());
        link.add(address(OURS), 0);
        mail.wait_log(&["2001:db8::25 is there now"]);
        takes_mail(&mail, address(OURS), 2);
    });
}

#[test]
fn mail_to_an_address_that_this_machine_got_later_stays_here() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let link = Link::up("e0");
        let mail = Setup::new()
            .port_alone()
            .set("inet_interfaces", "all")
            .set("resolve_numeric_domain", "yes")
            .set("smtpd_relay_restrictions", "reject_unauth_destination")
            .start();
        let v4 = SocketAddr::new(address("127.0.0.1"), mail.port());
        let verdict = || {
            let mut client = Client::greet(v4).expect("connected");
            client.command("MAIL FROM:<>").expect("said");
            client.command(&format!("RCPT TO:<alice@[IPv6:{OURS}]>")).expect("said").code
        };
        assert_eq!(verdict(), 554);
        link.add(address(OURS), 0);
        assert!(until_true(PATIENCE, || verdict() == 250), "{}", mail.log());
        link.remove(address(OURS));
        assert!(until_true(PATIENCE, || verdict() == 554), "{}", mail.log());
    });
}

#[test]
fn mail_does_not_wait_for_its_source_address_and_has_it_when_it_is_there() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let link = Link::up("e0");
        world.address(address("2001:db8:1::25"));
        let sink = Sink::at(SocketAddr::new(address("2001:db8:1::25"), 25));
        let mail = Setup::new().set("relayhost", "[2001:db8:1::25]").set("smtp_bind_address6", OURS);
        let mail = mail.set("mynetworks", "127.0.0.0/8").set("smtp_host_lookup", "native").start();
        link.add(address(OURS), 60);
        let deliver = || {
            let mut client = Client::greet(mail.v4()).expect("connected");
            let reply = client.send("alice@mail.test", &["x@else.test"], "Subject: x\n\nbody\n").expect("sent");
            mail.wait_log(&[&reply.queue_id().unwrap_or_else(|| panic!("{reply:?}")), "status=sent"]);
        };
        deliver();
        mail.wait_log(&["warning: smtp_connect_addr: bind 2001:db8::25: Cannot assign requested address"]);
        link.hurry();
        assert!(until_true(PATIENCE, || !link.shown().contains("tentative")), "{}", link.shown());
        deliver();
        let clients: Vec<IpAddr> = sink.received().iter().map(|received| received.client).collect();
        assert_eq!(clients, [address("2001:db8:1::25"), address(OURS)]);
    });
}
