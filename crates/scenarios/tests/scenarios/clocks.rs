//! Time limits and other settings that are seen from outside alone: deadlines of whole requests, answers that do not
//! come, windows of connections, names of servers, debuggers.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use scenarios::scenario;
use testing::dns::Zone;
use testing::{Client, Instance, Setup, Sink, World};

const MESSAGE: &str = "Subject: x\n\nbody\n";

/// Sends bytes one by one, so that all of them take longer than the time limits of these scenarios, and none does.
fn drip(bytes: &[u8], mut send: impl FnMut(&[u8]) -> io::Result<()>) {
    for byte in bytes {
        if send(&[*byte]).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn with_a_deadline_for_requests_a_command_that_comes_byte_by_byte_is_not_waited_for() {
    scenario(|| {
        for (deadline, reply) in [("yes", 421), ("no", 250)] {
            let setup = Setup::new().set("smtpd_timeout", "2s").set("smtpd_per_request_deadline", deadline);
            let mail = setup.start();
            let mut client = Client::greet(mail.v4()).expect("connected");
            drip(b"NOOP aaaaaaaaaaa\r\n", |bytes| client.write(bytes));
            assert_eq!(client.reply().expect("a reply").code, reply, "{deadline}");
            if deadline == "yes" {
                mail.wait_log(&["timeout after EHLO from unknown[127.0.0.1]"]);
            }
        }
    });
}

#[test]
fn with_a_deadline_content_may_take_as_long_as_its_size_has_a_right_to() {
    scenario(|| {
        // A line of 50 bytes four times a second.
        for (rate, is_taken) in [("2000", false), ("20", true)] {
            let setup = Setup::new().set("smtpd_timeout", "2s").set("smtpd_per_request_deadline", "yes");
            let mail = setup.set("smtpd_min_data_rate", rate).start();
            let mut client = Client::greet(mail.v4()).expect("connected");
            for line in ["MAIL FROM:<a@client.test>", "RCPT TO:<alice@mail.test>", "DATA"] {
                assert!(client.command(line).expect("a reply").code < 400);
            }
            let line = format!("{}\r\n", "x".repeat(48));
            for _ in 0..14 {
                if client.write(line.as_bytes()).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(250));
            }
            if is_taken {
                assert_eq!(client.command(".").expect("a reply").code, 250, "{}", mail.log());
            } else {
                mail.wait_log(&["timeout after DATA (", " bytes) from unknown[127.0.0.1]"]);
            }
        }
    });
}

/// A server whose greeting comes byte by byte, and that says yes to everything from then on.
fn slow_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    format!("[{}]:{}", address.ip(), address.port())
}

fn answer(mut stream: TcpStream) -> Option<()> {
    drip(b"220 slow.test ESMTP\r\n", |bytes| stream.write_all(bytes));
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    while let Some(Ok(line)) = lines.next() {
        let reply = match line.as_str() {
            "DATA" => "354 go on",
            "." => "250 2.0.0 taken",
            _ if line.starts_with("EHLO") || line.starts_with("MAIL") || line.starts_with("RCPT") => "250 fine",
            "QUIT" => "221 bye",
            _ => continue,
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).ok()?;
    }
    Some(())
}

#[test]
fn with_a_deadline_for_requests_a_server_that_greets_byte_by_byte_is_given_up() {
    scenario(|| {
        let slow = slow_server();
        for (deadline, result) in
            [("yes", "timed out while receiving the initial server greeting"), ("no", "status=sent (250 2.0.0 taken)")]
        {
            let setup = Setup::new().set("relayhost", &slow).set("smtp_helo_timeout", "2s");
            let mail = setup.set("smtp_per_request_deadline", deadline).start();
            mail.sendmail(&["-f", "alice@mail.test", "x@other.test"], MESSAGE);
            mail.wait_log(&["to=<x@other.test>", result]);
        }
    });
}

#[test]
fn a_service_that_does_not_answer_in_time_is_told_and_asked_again() {
    scenario(|| {
        let mail = Setup::new().set("ipc_timeout", "2s").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.send("a@client.test", &["bob@mail.test"], MESSAGE).expect("sent");
        mail.wait_mail("bob", 1);
        let signal = |signal| mail.processes_of("trivial-rewrite").iter().for_each(|process| process.signal(signal));
        signal(Signal::SIGSTOP);
        client.command("MAIL FROM:<a@client.test>").expect("a reply");
        client.write(b"RCPT TO:<carol@mail.test>\r\n").expect("sent");
        mail.wait_log(&["/smtpd[", "warning: problem talking to service rewrite: Connection timed out"]);
        signal(Signal::SIGCONT);
        assert_eq!(client.reply().expect("a reply").last(), "250 2.1.5 Ok", "{}", mail.log());
    });
}

/// Bytes that a client can send to a server which reads nothing.
fn room(mail: &Instance) -> usize {
    // With one client at a time, the other one waits in the socket.
    let _first = Client::connect(mail.v4()).expect("connected");
    let mut stream = TcpStream::connect(mail.v4()).expect("connected");
    setsockopt(&stream, sockopt::SndBuf, &4096).expect("a small buffer of its own");
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a limit");
    let mut sent = 0;
    while let Ok(count) = stream.write(&[b'x'; 512]) {
        sent += count;
        assert!(sent < 64 << 20, "somebody reads");
    }
    sent
}

#[test]
fn the_window_of_connections_is_as_small_as_it_is_set() {
    scenario(|| {
        let start = |size| Setup::new().set("default_process_limit", "1").set("tcp_windowsize", size).start();
        let (default, small) = (room(&start("0")), room(&start("4096")));
        assert!(small < 16_384 && small < default / 2, "{small} and {default}");
    });
}

#[test]
fn a_server_has_the_name_that_an_alias_leads_to_only_where_that_is_wanted() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        let address = "192.0.2.25";
        world.address(address.parse().expect("address"));
        let _dns = Zone::new().host("real.test", &[address]).alias("other-name.test", "real.test").start();
        let _sink = Sink::at((address.parse::<std::net::IpAddr>().expect("address"), 25).into());
        for (overrides, name) in [("no", "other-name.test"), ("yes", "real.test")] {
            let setup = Setup::new().set("relayhost", "[other-name.test]").set("inet_interfaces", "127.0.0.1");
            let mail = setup.set("smtp_cname_overrides_servername", overrides).start();
            mail.sendmail(&["-f", "alice@mail.test", "x@else.test"], MESSAGE);
            mail.wait_log(&["to=<x@else.test>", &format!("relay={name}[{address}]:25"), "status=sent"]);
        }
    });
}

#[test]
fn a_debugger_is_run_before_a_service_that_is_to_be_debugged_does_anything() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let file = mail.etc().join("debugged");
        mail.set("debugger_command", &format!("echo $process_name $service_name > {}; exit 3", file.display()));
        mail.remove_service("cleanup");
        mail.add_service("cleanup unix n - n - 0 cleanup -D");
        mail.start();
        mail.sendmail(&["-f", "alice@mail.test", "bob"], MESSAGE);
        mail.wait_mail("bob", 1);
        assert_eq!(std::fs::read_to_string(&file).expect("what the debugger has written"), "cleanup cleanup\n");
        mail.wait_log(&["/cleanup[", "running: echo cleanup cleanup > "]);
    });
}

#[test]
fn a_process_that_was_stopped_for_longer_than_its_watchdog_waits_goes_on() {
    scenario(|| {
        let times = Setup::new().set("daemon_timeout", "3s").set("qmgr_daemon_timeout", "3s");
        let mail = times.start();
        mail.sendmail(&["-f", "bob@mail.test", "alice@mail.test"], "Subject: x\n\nbody\n");
        mail.wait_mail("alice", 1);
        let mut client = Client::greet(mail.v4()).expect("connected");
        let stopped: Vec<_> = ["smtpd", "qmgr"].iter().flat_map(|program| mail.processes_of(program)).collect();
        assert!(stopped.len() >= 2, "{stopped:?}");
        stopped.iter().for_each(|process| process.signal(Signal::SIGSTOP));
        // Nothing tells when a time is over in a process that stands still.
        std::thread::sleep(Duration::from_secs(7));
        stopped.iter().for_each(|process| process.signal(Signal::SIGCONT));
        assert_eq!(client.command("NOOP").expect("reply").code, 250);
        mail.sendmail(&["-f", "bob@mail.test", "alice@mail.test"], "Subject: y\n\nbody\n");
        mail.wait_mail("alice", 2);
        let after: Vec<i32> = ["smtpd", "qmgr"].iter().flat_map(|it| mail.processes_of(it)).map(|it| it.pid).collect();
        assert!(stopped.iter().all(|process| after.contains(&process.pid)), "{stopped:?} {after:?}\n{}", mail.log());
        assert!(mail.find_log(&["watchdog"]).is_none() && mail.find_log(&["killed by signal"]).is_none());
    });
}
