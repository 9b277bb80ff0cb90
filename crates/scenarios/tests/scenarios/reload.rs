//! Reload while clients connect: sockets come and go, no client notices; a configuration that would be fatal is
//! refused.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::sys::signal::Signal;
use scenarios::scenario;
use testing::terminal::at_terminal;
use testing::wait::{PATIENCE, until_true};
use testing::world::World;
use testing::{Client, Instance, Setup};

/// Sessions of each client between two reloads.
const SESSIONS: usize = 150;

/// Clients that have one session after the other.
struct Hammer {
    address: SocketAddr,
    sessions: AtomicUsize,
    failure: Mutex<Option<String>>,
}

impl Hammer {
    fn new(address: SocketAddr) -> Hammer {
        Hammer { address, sessions: AtomicUsize::new(0), failure: Mutex::default() }
    }

    /// Until it is told to stop, or a session goes wrong.
    fn strike(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Acquire) {
            let mut step = "greeting";
            let session = Client::connect(self.address).and_then(|mut client| {
                step = "EHLO";
                client.command("EHLO hammer.test")?;
                step = "QUIT";
                client.command("QUIT")
            });
            match session {
                Ok(reply) if reply.code == 221 => self.sessions.fetch_add(1, Ordering::AcqRel),
                other => {
                    *self.failure.lock().expect("lock") = Some(format!("{}, {step}: {other:?}", self.address));
                    return;
                }
            };
        }
    }

    fn failure(&self) -> Option<String> {
        self.failure.lock().expect("lock").clone()
    }

    /// Waits for some more sessions.
    fn wait(&self) {
        let goal = self.sessions.load(Ordering::Acquire) + SESSIONS;
        until_true(PATIENCE, || self.sessions.load(Ordering::Acquire) >= goal || self.failure().is_some());
    }
}

/// Reloads once with each of these values, while clients hammer the addresses.
fn reload_under_hammer(mail: &mut Instance, name: &str, values: &[&str], addresses: &[SocketAddr]) {
    let stop = AtomicBool::new(false);
    let hammers: Vec<Hammer> = addresses.iter().chain(addresses).map(|address| Hammer::new(*address)).collect();
    std::thread::scope(|scope| {
        let stop = &stop;
        for hammer in &hammers {
            scope.spawn(move || hammer.strike(stop));
        }
        for value in values {
            mail.set(name, value);
            mail.reload();
            hammers.iter().for_each(Hammer::wait);
        }
        stop.store(true, Ordering::Release);
    });
    let failures: Vec<String> = hammers.iter().filter_map(Hammer::failure).collect();
    assert!(failures.is_empty(), "{failures:?}\n{}", mail.log());
}

#[test]
fn no_client_is_refused_while_the_protocols_change() {
    scenario(|| {
        let mut mail = Setup::new().port_alone().set("inet_interfaces", "loopback-only").start();
        let (v4, v6) = (mail.v4(), mail.v6());
        reload_under_hammer(&mut mail, "inet_protocols", &["ipv4", "all", "ipv4", "all", "ipv4"], &[v4]);
        assert!(Client::connect(v6).is_err(), "IPv6 is off\n{}", mail.log());
        mail.set("inet_protocols", "all");
        mail.reload();
        assert!(until_true(PATIENCE, || Client::connect(v6).is_ok()), "IPv6 is not there again\n{}", mail.log());
        reload_under_hammer(&mut mail, "inet_protocols", &["ipv6", "all", "ipv6", "all", "ipv6"], &[v6]);
        assert!(Client::connect(v4).is_err(), "IPv4 is off\n{}", mail.log());
    });
}

#[test]
fn no_client_is_refused_while_wildcards_and_addresses_take_turns() {
    scenario(|| {
        // In a network of its own: the wildcard reaches every address.
        let Some(_world) = World::enter() else { return };
        let mut mail = Setup::new().port_alone().set("inet_interfaces", "all").start();
        let addresses = [mail.v4(), mail.v6()];
        let values = ["loopback-only", "all", "127.0.0.1 [::1]", "all", "loopback-only", "all"];
        reload_under_hammer(&mut mail, "inet_interfaces", &values, &addresses);
    });
}

#[test]
fn a_session_goes_on_when_its_address_is_taken_away() {
    scenario(|| {
        let mut mail = Setup::new().port_alone().set("inet_interfaces", "loopback-only").start();
        let mut client = Client::greet(mail.v6()).expect("connected");
        mail.set("inet_protocols", "ipv4");
        mail.reload();
        let v6 = mail.v6();
        assert!(until_true(PATIENCE, || TcpStream::connect(v6).is_err()), "still open\n{}", mail.log());
        let reply = client.send("a@client.test", &["alice@mail.test"], "Subject: x\n\nbody\n").expect("sent");
        assert_eq!(reply.code, 250, "{reply:?}");
        mail.wait_mail("alice", 1);
    });
}

/// Everybody who waits is greeted.
fn are_served(waiting: Vec<TcpStream>, mail: &Instance) {
    for mut stream in waiting {
        let address = stream.peer_addr().expect("address");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        let mut greeting = [0; 4];
        stream.read_exact(&mut greeting).unwrap_or_else(|e| panic!("{address}: {e}\n{}", mail.log()));
        assert_eq!(&greeting, b"220 ");
    }
}

/// A service of one process.
const ONE: &str = "127.0.0.1:smtp";

/// A mail system with that service beside its own, and the client that its process has.
fn served_by_one() -> (Instance, SocketAddr, Client) {
    let service = format!("{ONE} inet n - n - 1 smtpd");
    let mail = Setup::new().service(&service).set("inet_interfaces", "loopback-only").start();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 25));
    let first = Client::greet(address).expect("connected");
    (mail, address, first)
}

#[test]
fn who_waits_in_the_queue_of_a_socket_that_is_taken_away_is_served() {
    scenario(|| {
        // One client at a time, and one who stays: the next ones wait for a process.
        let Some(_world) = World::enter() else { return };
        let (mut mail, address, _first) = served_by_one();
        let waiting = (0..5).map(|_| TcpStream::connect(address).expect("connected")).collect();
        mail.remove_service(ONE);
        mail.reload();
        assert!(until_true(PATIENCE, || TcpStream::connect(address).is_err()), "still open\n{}", mail.log());
        are_served(waiting, &mail);
    });
}

#[test]
fn who_waits_for_the_only_process_is_served_after_its_end() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let (mut mail, address, _first) = served_by_one();
        let only = mail.processes_of("smtpd");
        only.iter().for_each(|process| process.signal(Signal::SIGSTOP));
        let waiting = (0..3).map(|_| TcpStream::connect(address).expect("connected")).collect();
        mail.remove_service(ONE);
        mail.reload();
        only.iter().for_each(|process| process.signal(Signal::SIGKILL));
        are_served(waiting, &mail);
    });
}

#[test]
fn who_waits_in_the_queue_of_a_socket_that_has_a_successor_is_served() {
    scenario(|| {
        let Some(_world) = World::enter() else { return };
        let mut mail = Setup::new().port_alone().set("inet_interfaces", "loopback-only").start();
        let addresses = [mail.v4(), mail.v6()];
        let _there = addresses.map(|address| Client::greet(address).expect("connected"));
        // Those who would serve do nothing until their sockets are put away.
        let stopped = mail.processes_of("smtpd");
        stopped.iter().for_each(|process| process.signal(Signal::SIGSTOP));
        let addresses = [addresses, addresses].concat();
        let waiting = addresses.iter().map(|it| TcpStream::connect(it).expect("connected")).collect();
        mail.set("inet_interfaces", "all");
        mail.reload();
        are_served(waiting, &mail);
        stopped.iter().for_each(|process| process.signal(Signal::SIGCONT));
    });
}

/// A line of the log about a reload that master refused.
fn wait_refusal(mail: &Instance, why: &str) {
    mail.wait_log(&["postfix/master", "reload refused, the running configuration stays in force", why]);
}

fn processes_that_begin_now_have_the_accepted_configuration(mail: &Instance) {
    for program in ["smtpd", "cleanup", "trivial-rewrite", "local"] {
        let before = mail.processes_of(program);
        before.iter().for_each(|process| process.signal(Signal::SIGTERM));
        let gone = || before.iter().all(|old| mail.processes_of(program).iter().all(|new| new.pid != old.pid));
        assert!(until_true(PATIENCE, gone), "{program} stays\n{}", mail.log());
    }
    for address in [mail.v4(), mail.v6()] {
        let mut client = Client::greet(address).unwrap_or_else(|e| panic!("{address}: {e}\n{}", mail.log()));
        assert_eq!(client.greeting().last(), "220 mail.test ESMTP first");
        let reply = client.send("a@client.test", &["alice@mail.test"], "Subject: x\n\nbody\n").expect("sent");
        assert_eq!(reply.code, 250, "{reply:?}");
    }
}

#[test]
fn a_configuration_that_would_be_fatal_is_refused_and_the_running_one_goes_on() {
    scenario(|| {
        let mut mail = Setup::new().port_alone().set("smtpd_banner", "$myhostname ESMTP first").start();
        let mut messages = 0;
        for (name, value, why) in [
            ("inet_protocols", "bogus", "unknown inet_protocols value \"bogus\" in \"bogus\""),
            ("inet_interfaces", "192.0.2.99", "no local interface found for 192.0.2.99"),
            ("smtpd_timeout", "later", "bad time value or unit: later"),
            ("smtp_address_preference", "ipv5", "bad smtp_address_preference value: ipv5"),
        ] {
            mail.set("smtpd_banner", "$myhostname ESMTP second");
            mail.with_setting(name, value, |mail| {
                mail.reload();
                wait_refusal(mail, why);
                processes_that_begin_now_have_the_accepted_configuration(mail);
                messages += 2;
                mail.wait_mail("alice", messages);
                mail.wait_idle();
            });
        }
        mail.reload();
        let changed = || Client::connect(mail.v6()).is_ok_and(|it| it.greeting().last().ends_with("second"));
        assert!(until_true(PATIENCE, changed), "{}", mail.log());
    });
}

#[test]
fn a_socket_that_cannot_be_had_refuses_the_whole_reload() {
    scenario(|| {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
        let address = taken.local_addr().expect("address");
        let mut mail = Setup::new().set("smtpd_banner", "$myhostname ESMTP first").start();
        mail.set("smtpd_banner", "$myhostname ESMTP second");
        mail.add_service(&format!("{address} inet n - n - - smtpd"));
        mail.add_service("public unix n - n - - showq");
        mail.reload();
        wait_refusal(&mail, &format!("bind 127.0.0.1 port {}: Address already in use", address.port()));
        let client = Client::connect(mail.v4()).expect("connected");
        assert_eq!(client.greeting().last(), "220 mail.test ESMTP first");
        assert!(!mail.queue().join("public/public").exists());
    });
}

#[test]
fn the_postfix_command_says_why_a_reload_is_refused() {
    scenario(|| {
        if !testing::accounts::is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mut mail = Setup::new().build();
        assert_eq!(mail.run("postfix", &["start"]).status.code(), Some(0), "{}", mail.log());
        mail.adopt();
        for (line, why) in [
            ("inet_protocols = bogus", "unknown inet_protocols value"),
            ("inet_protocols all", "missing '=' after attribute name"),
        ] {
            let main_cf = mail.etc().join("main.cf");
            let good = std::fs::read_to_string(&main_cf).expect("main.cf");
            testing::setup::write_old(&main_cf, &format!("{good}{line}\n"));
            let (status, terminal) = at_terminal(mail.command("postfix").arg("reload"));
            assert_eq!(status, Some(1), "{terminal}");
            assert!(terminal.contains(why), "{terminal}");
            wait_refusal(&mail, why);
            mail.processes_of("smtpd").iter().for_each(|process| process.signal(Signal::SIGTERM));
            Client::greet(mail.v6()).expect("the running configuration serves");
            testing::setup::write_old(&main_cf, &good);
            let (status, terminal) = at_terminal(mail.command("postfix").arg("reload"));
            assert_eq!(status, Some(0), "{terminal}");
        }
        // A start is no reload.
        mail.stop();
        mail.set("inet_protocols", "bogus");
        assert_eq!(mail.run("postfix", &["start"]).status.code(), Some(1));
    });
}
