//! TLS under attack: clients that stall, break off and say anything, processes that die, and what of it others notice.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use nix::sys::signal::Signal;
use scenarios::scenario;
use testing::certificates::{Identity, Period};
use testing::setup::write_old;
use testing::tls_server::Script;
use testing::wait::until_true;
use testing::{Client, Instance, Setup, TlsClient};

const PATIENCE: Duration = Duration::from_secs(30);

fn server(settings: &[(&str, &str)]) -> Instance {
    let mut mail = Setup::new().set("smtpd_tls_security_level", "may").build();
    renew(&mail);
    mail.set("smtpd_tls_chain_files", &mail.etc().join("chain.pem").display().to_string());
    settings.iter().for_each(|(name, value)| mail.set(name, value));
    mail.start();
    mail
}

/// Another certificate, in the place of the one that is there.
fn renew(mail: &Instance) {
    let (chain, new) = (mail.etc().join("chain.pem"), mail.etc().join("chain.new"));
    let identity = Identity::self_signed(&["mx.mail.test"], Period::Current);
    write_old(&new, &format!("{}{}", identity.key_pem(), identity.certificates_pem()));
    std::fs::rename(new, chain).expect("a file");
}

/// A whole session under TLS, and what the server says last.
fn session(address: SocketAddr, tls: &TlsClient) -> std::io::Result<String> {
    let mut client = Client::greet(address)?;
    if let Err(reply) = client.starttls(tls)? {
        return Ok(reply.last());
    }
    client.command("EHLO client.test")?;
    Ok(client.command("QUIT")?.last())
}

const BYE: &str = "221 2.0.0 Bye";

/// A connection that has been told to begin with TLS.
fn begun(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let mut said = |command: &[u8], end: &[u8]| {
        stream.write_all(command).expect("sent");
        let mut reply = Vec::new();
        while !reply.ends_with(b"\r\n") || !reply.windows(end.len()).any(|part| part == end) {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a reply");
            reply.push(byte[0]);
        }
    };
    said(b"", b"220 ");
    said(b"EHLO client.test\r\n", b"250 ");
    said(b"STARTTLS\r\n", b"220 ");
    stream
}

/// The first message of a client, as it is on the wire.
fn hello() -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let client = std::thread::spawn(move || Client::connect_tls(address, &TlsClient::new()).map(drop));
    let (mut stream, _) = listener.accept().expect("a client");
    let mut wire = vec![0; 16 << 10];
    let count = stream.read(&mut wire).expect("a hello");
    wire.truncate(count);
    drop((stream, listener));
    assert!(client.join().expect("a thread").is_err());
    wire
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short record").to_be_bytes();
    [&[kind, 3, 1], &length[..], content].concat()
}

#[test]
fn no_handshake_fails_while_tlsmgr_dies_or_the_system_reloads_or_certificates_are_renewed() {
    scenario(|| {
        let mail = server(&[]);
        let (over, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let address = mail.v4();
        let clients: Vec<_> = (0..6)
            .map(|number| {
                let (over, failed) = (over.clone(), failed.clone());
                let tls = if number % 2 == 0 { TlsClient::new() } else { TlsClient::only_12() };
                std::thread::spawn(move || {
                    let mut count = 0;
                    while !over.load(Ordering::Relaxed) {
                        // Its copies would resume sessions.
                        match session(address, &tls.clone().asking_for(&format!("n{count}.test"))) {
                            Ok(said) if said == BYE => count += 1,
                            other => failed.lock().expect("a list").push(format!("{other:?}")),
                        }
                    }
                    count
                })
            })
            .collect();
        assert_eq!(session(address, &TlsClient::new()).expect("a session"), BYE);
        for name in ["tlsmgr", "tlsmgr-keeper", "tlsmgr"] {
            for victim in mail.processes_of(name) {
                victim.signal(Signal::SIGKILL);
                assert_eq!(session(address, &TlsClient::new()).expect("a session"), BYE, "{name}");
                let is_gone = || mail.processes_of(name).iter().all(|process| process.pid != victim.pid);
                assert!(until_true(PATIENCE, is_gone), "{name}");
            }
        }
        for _ in 0..2 {
            mail.reload();
            assert_eq!(session(address, &TlsClient::new()).expect("a session"), BYE);
            renew(&mail);
            std::thread::sleep(Duration::from_millis(1200));
        }
        over.store(true, Ordering::Relaxed);
        let counts: Vec<u64> = clients.into_iter().map(|client| client.join().expect("a thread")).collect();
        assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
        let failed = failed.lock().expect("a list");
        assert_eq!(*failed, Vec::<String>::new(), "{counts:?}");
    });
}

#[test]
fn whatever_a_client_says_instead_of_a_handshake_ends_its_own_session_alone() {
    scenario(|| {
        let mail = server(&[("smtpd_starttls_timeout", "5s"), ("smtpd_tls_ask_ccert", "yes")]);
        let hello = hello();
        let cut = |at: usize| hello[..at].to_vec();
        let inner = &hello[5..];
        let cases: Vec<(&str, Vec<u8>)> = vec![
            ("clear text", b"GET / HTTP/1.0\r\n\r\n".repeat(20)),
            ("nothing", Vec::new()),
            ("a part of a record", cut(3)),
            ("a part of a message", cut(60)),
            ("a message and clear text", [hello.clone(), b"NOOP\r\n".repeat(900)].concat()),
            ("records of nothing", record(22, b"").repeat(2000)),
            ("alerts", record(21, &[1, 90]).repeat(2000)),
            ("data", record(23, &[7; 900]).repeat(20)),
            ("a message that is too long", record(22, &[&[1, 255, 255, 255], &[0; 16000][..]].concat()).repeat(100)),
            ("a message twice", hello.repeat(2)),
            ("an old hello", [&[128, 46, 1, 0, 2, 0, 21, 0, 0, 0, 16][..], &[1; 40]].concat()),
            ("records of a byte, broken off", inner.iter().take(100).flat_map(|byte| record(22, &[*byte])).collect()),
        ];
        for (what, bytes) in cases {
            for reset in [false, true] {
                let mut stream = begun(mail.v4());
                // The server may have hung up already.
                let _ = stream.write_all(&bytes);
                if reset {
                    nix::sys::socket::setsockopt(
                        &stream,
                        nix::sys::socket::sockopt::Linger,
                        &nix::libc::linger { l_onoff: 1, l_linger: 0 },
                    )
                    .expect("an option");
                } else {
                    let _ = stream.shutdown(Shutdown::Write);
                    let _ = stream.read_to_end(&mut Vec::new());
                }
                drop(stream);
                assert_eq!(session(mail.v4(), &TlsClient::new()).expect(what), BYE, "{what}");
            }
        }
        mail.wait_log(&["SSL_accept error from unknown[127.0.0.1]: -1"]);
        mail.wait_log(&["SSL_accept error from unknown[127.0.0.1]: lost connection"]);
        // In records of a byte each, all of it: no fault.
        let mut stream = begun(mail.v4());
        let records: Vec<u8> = inner.iter().flat_map(|byte| record(22, &[*byte])).collect();
        stream.write_all(&records).expect("sent");
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!((answer[0], answer[5]), (22, 2), "no ServerHello");
        assert_eq!(mail.find_log(&["panic"]), None);
    });
}

#[test]
fn who_says_goodbye_as_the_handshake_ends_and_goes_on_talking_keeps_no_process_busy() {
    scenario(|| {
        let mail = server(&[]);
        for more in [0, 100, 12_000] {
            let mut stream = begun(mail.v4());
            TlsClient::new().leave(&mut stream, more).expect("a handshake");
            // The server hangs up, which it cannot while it is busy.
            let _ = stream.read_to_end(&mut Vec::new());
            assert_eq!(session(mail.v4(), &TlsClient::new()).expect("a session"), BYE, "{more}");
        }
        let ended = || mail.log().matches(" ehlo=1 starttls=1 commands=2").count();
        assert!(until_true(PATIENCE, || ended() >= 3), "{}", mail.log());
    });
}

#[test]
fn a_thousand_clients_that_stall_hold_up_nobody_and_leave_nothing() {
    scenario(|| {
        let mail = server(&[("smtpd_client_connection_count_limit", "0"), ("default_process_limit", "2000")]);
        assert_eq!(session(mail.v4(), &TlsClient::new()).expect("a session"), BYE);
        let open = || -> usize { mail.processes_of("smtpd").iter().map(|process| files(process.pid)).sum() };
        let before = open();
        let hello = hello();
        let stalled: Vec<TcpStream> = (0..1000)
            .map(|number| {
                let mut stream = begun(mail.v4());
                // Half of them after the server's first word.
                let end = if number % 2 == 0 { hello.len() } else { hello.len() / 2 };
                stream.write_all(&hello[..end]).expect("sent");
                stream
            })
            .collect();
        assert!(open() >= 1000);
        for tls in [TlsClient::new(), TlsClient::only_12()] {
            assert_eq!(session(mail.v4(), &tls).expect("a session"), BYE);
        }
        for process in mail.processes_of("smtpd") {
            let peak = process.peak().expect("its memory");
            assert!(peak < 200 << 20, "{peak}");
        }
        drop(stalled);
        // Connections to tlsmgr stay open for a while.
        assert!(until_true(PATIENCE, || open() < before + 200), "{} of {before}", open());
        assert_eq!(session(mail.v4(), &TlsClient::new()).expect("a session"), BYE);
    });
}

#[test]
fn a_thousand_handshakes_at_once_all_end_well() {
    scenario(|| {
        const COUNT: usize = 1000;
        let mail = server(&[("smtpd_client_connection_count_limit", "0"), ("default_process_limit", "2000")]);
        let (address, gate) = (mail.v4(), Arc::new(Barrier::new(COUNT)));
        let client = |number: usize| {
            let gate = Arc::clone(&gate);
            let tls = if number.is_multiple_of(2) { TlsClient::new() } else { TlsClient::only_12() };
            let session = move || {
                let connected = Client::greet(address);
                // Nobody begins before all are there.
                gate.wait();
                let mut client = connected?;
                client.starttls(&tls)?.map_err(|reply| std::io::Error::other(reply.last()))?;
                client.command("QUIT").map(|reply| reply.last())
            };
            // Small, for there are so many of them.
            std::thread::Builder::new().stack_size(512 << 10).spawn(session).expect("a thread")
        };
        let clients: Vec<_> = (0..COUNT).map(client).collect();
        for client in clients {
            assert_eq!(client.join().expect("a thread").expect("a session"), BYE);
        }
        for process in mail.processes_of("smtpd") {
            let peak = process.peak().expect("its memory");
            assert!(peak < 300 << 20, "{peak}");
        }
    });
}

#[test]
fn a_chain_of_a_megabyte_is_no_session_at_either_end() {
    scenario(|| {
        let long = Identity::self_signed(&["mx1.dest.test"], Period::Current).swollen(1 << 20);
        let mail = server(&[("smtpd_tls_ask_ccert", "yes")]);
        assert!(session(mail.v4(), &TlsClient::showing(&long)).is_err());
        mail.wait_log(&["SSL_accept error from unknown[127.0.0.1]: -1"]);
        assert_eq!(session(mail.v4(), &TlsClient::new()).expect("a session"), BYE);
        let server = Script::new(&long).start();
        let setup = Setup::new().set("smtp_tls_security_level", "encrypt").set("relayhost", server.next_hop());
        let mail = setup.start();
        mail.sendmail(&["-f", "alice@mail.test", "x@elsewhere.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["to=<x@elsewhere.test>", "dsn=4.7.5", "status=deferred (Cannot start TLS: handshake failure)"]);
        for process in mail.processes_of("smtp") {
            let peak = process.peak().expect("its memory");
            assert!(peak < 100 << 20, "{peak}");
        }
    });
}

fn files(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

#[test]
fn garbage_at_the_socket_of_tlsmgr_ends_its_own_connection_alone() {
    scenario(|| {
        let mail = server(&[]);
        assert_eq!(session(mail.v4(), &TlsClient::new()).expect("a session"), BYE);
        let keeper = |mail: &Instance| mail.processes_of("tlsmgr").first().map(|process| process.pid);
        let before = keeper(&mail);
        let idle: Vec<UnixStream> = (0..500).map(|_| at_tlsmgr(&mail)).collect();
        for bytes in [vec![0; 2 << 20], vec![255; 70_000], b"GET / HTTP/1.0\r\n\r\n".to_vec(), vec![b'x'], Vec::new()] {
            let mut stream = at_tlsmgr(&mail);
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
            assert_eq!(session(mail.v4(), &TlsClient::new()).expect("a session"), BYE);
        }
        drop(idle);
        assert_eq!(keeper(&mail), before);
    });
}

fn at_tlsmgr(mail: &Instance) -> UnixStream {
    let stream = UnixStream::connect(mail.queue().join("private/tlsmgr")).expect("tlsmgr");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream
}

#[test]
fn a_client_that_has_to_begin_again_holds_up_nobody() {
    scenario(|| {
        let mail = server(&[]);
        // What it guesses the server would use the server has not, or does not like as much.
        for guess in ["P-521:X25519", "X448:P-256", "ffdhe2048:P-384:P-256"] {
            let clients: Vec<_> = (0..3).map(|_| typing(&mail, &["-tls1_3", "-groups", guess, "-quiet"])).collect();
            assert_eq!(session(mail.v4(), &TlsClient::new()).expect("a session"), BYE);
            for (mut client, mut typed) in clients {
                typed.write_all(b"QUIT\r\n").expect("typed");
                let mut shown = String::new();
                client.stdout.take().expect("its output").read_to_string(&mut shown).expect("text");
                assert!(shown.contains(BYE), "{guess}: {shown}");
                client.wait().expect("openssl");
            }
        }
    });
}

/// openssl as a client, and what is typed there.
fn typing(mail: &Instance, options: &[&str]) -> (Child, ChildStdin) {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-starttls", "smtp", "-connect", &mail.v4().to_string()]).args(options);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("openssl");
    let typed = child.stdin.take().expect("its input");
    (child, typed)
}

#[test]
fn a_server_that_says_nothing_to_starttls_is_told_so() {
    scenario(|| {
        let server = TcpListener::bind("127.0.0.1:0").expect("a port");
        let place = server.local_addr().expect("an address");
        let served = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().expect("a client");
            let mut line = [0; 512];
            for reply in ["220 mx.test ESMTP\r\n", "250-mx.test\r\n250 STARTTLS\r\n"] {
                stream.write_all(reply.as_bytes()).expect("sent");
                assert!(stream.read(&mut line).expect("a command") > 0);
            }
        });
        let next = format!("[{}]:{}", place.ip(), place.port());
        let mail = Setup::new().set("smtp_tls_security_level", "encrypt").set("relayhost", next).start();
        mail.sendmail(&["-f", "alice@mail.test", "x@elsewhere.test"], "Subject: x\n\nbody\n");
        let reason = "(lost connection with 127.0.0.1[127.0.0.1] while receiving the STARTTLS response)";
        mail.wait_log(&["to=<x@elsewhere.test>", "dsn=4.4.2", "status=deferred", reason]);
        served.join().expect("a thread");
    });
}

#[test]
fn renegotiation_and_floods_of_new_keys_end_the_session() {
    scenario(|| {
        let mail = server(&[]);
        for (letter, options) in [("R", ["-tls1_2", "-legacy_renegotiation"]), ("K", ["-tls1_3", "-crlf"])] {
            let (mut child, mut typed) = typing(&mail, &options);
            // A line at a time: it looks at letters where a read begins.
            while child.try_wait().expect("openssl").is_none() {
                let _ = typed.write_all(format!("{letter}\n").as_bytes());
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(session(mail.v4(), &TlsClient::new()).expect("a session"), BYE, "{letter}");
        }
        mail.wait_log(&["warning: TLS library problem: peer misbehaved: TooManyKeyUpdateRequests"]);
    });
}
