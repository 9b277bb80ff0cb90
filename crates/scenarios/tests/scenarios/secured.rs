//! Clients under TLS: what the server says, and what the log and the header tell.

mod certificates;
mod tickets;
mod told;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use scenarios::scenario;
use testing::certificates::{Identity, Period};
use testing::port::Port;
use testing::{Client, Instance, Setup, TlsClient};

/// A server with this certificate, and further settings. It runs.
fn server(identity: &Identity, settings: &[(&str, &str)]) -> Instance {
    server_with(identity, settings, |_| {})
}

/// The same, with something to be done before it starts.
fn server_with(identity: &Identity, settings: &[(&str, &str)], prepare: impl FnOnce(&mut Instance)) -> Instance {
    let mut mail = Setup::new().build();
    let chain = put(&mail, "chain.pem", &format!("{}{}", identity.key_pem(), identity.certificates_pem()));
    let common = [("smtpd_tls_security_level", "may"), ("smtpd_tls_loglevel", "1"), ("smtpd_tls_chain_files", &chain)];
    for (name, value) in common.iter().chain(settings) {
        mail.set(name, value);
    }
    prepare(&mut mail);
    mail.start();
    mail
}

/// A file of the configuration.
fn put(mail: &Instance, name: &str, content: &str) -> String {
    let path = mail.etc().join(name);
    replace(&path, content);
    path.to_str().expect("a path").to_owned()
}

/// Puts a file in the place of another, as programs that renew certificates do.
fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).expect("a file");
    std::fs::rename(&new, path).expect("a file");
}

fn mx() -> Identity {
    Identity::self_signed(&["mx.mail.test"], Period::Current)
}

fn client(mail: &Instance) -> Client {
    Client::greet(mail.v4()).expect("connected")
}

fn secured(mail: &Instance, tls: &TlsClient) -> Client {
    let mut client = client(mail);
    client.starttls(tls).expect("a handshake").expect("a session");
    client
}

fn say(client: &mut Client, line: &str) -> String {
    client.command(line).map_or_else(|error| error.to_string(), |reply| reply.last())
}

const MESSAGE: &str = "Subject: x\n\nbody\n";

#[test]
fn a_client_that_is_sent_to_starttls_is_no_matter_for_the_postmaster() {
    scenario(|| {
        let classes = [
            ("smtpd_tls_security_level", "encrypt"),
            ("notify_classes", "bounce, data, policy, protocol, resource, software"),
            ("error_notice_recipient", "bob"),
        ];
        let mail = server(&mx(), &classes);
        for lines in [
            &["HELO quiet.test", "MAIL FROM:<a@client.test>", "RCPT TO:<alice@mail.test>"][..],
            &["HELO loud.test", "FOO"],
        ] {
            let mut client = client(&mail);
            for line in lines.iter().chain(&["QUIT"]) {
                client.command(line).expect("a reply");
            }
        }
        let told = mail.wait_mail("bob", 1);
        mail.wait_idle();
        assert!(told[0].body().contains("HELO loud.test"), "{}", told[0].body());
        assert_eq!(mail.wait_mail("bob", 1).len(), 1);
    });
}

#[test]
fn mail_comes_under_tls_and_the_log_and_the_header_say_how() {
    scenario(|| {
        let mail = server(&mx(), &[("smtpd_tls_received_header", "yes")]);
        let offered = client(&mail).command("EHLO client.test").expect("a reply").lines;
        assert!(offered.contains(&"STARTTLS".to_owned()), "{offered:?}");
        let mut session = secured(&mail, &TlsClient::new());
        let offered = session.command("EHLO client.test").expect("a reply").lines;
        assert!(!offered.contains(&"STARTTLS".to_owned()), "{offered:?}");
        assert_eq!(say(&mut session, "STARTTLS"), "554 5.5.1 Error: TLS already active");
        assert_eq!(session.send("a@client.test", &["alice@mail.test"], MESSAGE).expect("sent").code, 250);
        say(&mut session, "QUIT");
        let line =
            mail.wait_log(&["Anonymous TLS connection established from unknown[127.0.0.1]: TLSv1.3 with cipher"]);
        assert!(line.contains(" (256/256 bits) key-exchange ") || line.contains(" (128/128 bits) key-exchange "));
        assert!(line.contains(" server-signature ECDSA (prime256v1) server-digest SHA256"), "{line}");
        mail.wait_log(&["disconnect from unknown[127.0.0.1] ehlo=2 starttls=1/2 mail=1 rcpt=1 data=1 quit=1"]);
        let field = mail.wait_mail("alice", 1).remove(0).header("Received").expect("a header");
        assert!(field.contains("(using TLSv1.3 with cipher "), "{field}");
        assert!(field.contains("server-signature ECDSA (prime256v1) server-digest SHA256)"), "{field}");
        assert!(field.contains("(No client certificate requested)") && field.contains(" with ESMTPS id "), "{field}");

        let mut session = secured(&mail, &TlsClient::only_12());
        say(&mut session, "EHLO client.test");
        assert_eq!(session.send("a@client.test", &["bob@mail.test"], MESSAGE).expect("sent").code, 250);
        let line = mail.wait_log(&["TLSv1.2 with cipher ECDHE-ECDSA-"]);
        assert!(line.ends_with(" bits)"), "{line}");
    });
}

#[test]
fn what_was_said_before_the_handshake_counts_for_nothing_after_it() {
    scenario(|| {
        let mail = server(&mx(), &[("smtpd_helo_required", "yes")]);
        let mut session = client(&mail);
        assert_eq!(say(&mut session, "MAIL FROM:<a@client.test>"), "250 2.1.0 Ok");
        // Whoever sits in between puts something behind the command.
        session.write(b"STARTTLS\r\nRCPT TO:<alice@mail.test>\r\n").expect("sent");
        assert_eq!(session.reply().expect("a reply").last(), "220 2.0.0 Ready to start TLS");
        session.handshake(&TlsClient::new()).expect("a handshake");
        assert_eq!(say(&mut session, "RCPT TO:<alice@mail.test>"), "503 5.5.1 Error: need MAIL command");
        assert_eq!(say(&mut session, "MAIL FROM:<a@client.test>"), "503 5.5.1 Error: send HELO/EHLO first");
        assert_eq!(say(&mut session, "QUIT"), "221 2.0.0 Bye");
    });
}

#[test]
fn where_tls_is_required_nothing_is_done_without() {
    scenario(|| {
        let mail = server(&mx(), &[("smtpd_tls_security_level", "encrypt")]);
        let mut session = client(&mail);
        let needed = "530 5.7.0 Must issue a STARTTLS command first";
        for (line, expected) in [
            ("MAIL FROM:<a@client.test>", needed),
            ("AUTH PLAIN x", needed),
            ("RSET", needed),
            ("NOOP", "250 2.0.0 Ok"),
            ("STARTTLS now", "501 5.5.4 Syntax: STARTTLS"),
        ] {
            assert_eq!(say(&mut session, line), expected, "{line}");
        }
        session.starttls(&TlsClient::new()).expect("a handshake").expect("a session");
        say(&mut session, "EHLO client.test");
        assert_eq!(say(&mut session, "MAIL FROM:<a@client.test>"), "250 2.1.0 Ok");
    });
}

/// A service with TLS before the greeting, on a port of its own.
fn wrapped(mail: &mut Instance) -> (Port, SocketAddr) {
    let port = Port::reserve();
    let address = SocketAddr::from(([127, 0, 0, 1], port.number()));
    mail.add_service(&format!(
        "{address} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_starttls_timeout=2s"
    ));
    (port, address)
}

#[test]
fn tls_before_the_greeting_is_for_those_who_begin_with_it() {
    scenario(|| {
        let mut place = None;
        let mail = server_with(&mx(), &[], |mail| place = Some(wrapped(mail)));
        let (_port, address) = place.expect("a port");
        let mut session = Client::connect_tls(address, &TlsClient::new()).expect("a session");
        assert_eq!(session.greeting().code, 220);
        let offered = session.command("EHLO client.test").expect("a reply").lines;
        assert!(!offered.contains(&"STARTTLS".to_owned()), "{offered:?}");
        assert_eq!(say(&mut session, "MAIL FROM:<a@client.test>"), "250 2.1.0 Ok");
        // Who speaks in the clear hears nothing that he could take for a server.
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        stream.write_all(b"EHLO client.test\r\n").expect("sent");
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        assert!(!heard.starts_with(b"2"), "{heard:?}");
        mail.wait_log(&["SSL_accept error from unknown[127.0.0.1]: "]);
        mail.wait_log(&["lost connection after CONNECT from unknown[127.0.0.1]"]);
        // And who says nothing is not waited for.
        let mut silent = TcpStream::connect(address).expect("connected");
        silent.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        assert_eq!(silent.read(&mut [0; 10]).expect("the end"), 0);
    });
}

#[test]
fn a_handshake_that_is_none_ends_its_session_and_nothing_else() {
    scenario(|| {
        let mail = server(&mx(), &[]);
        let mut other = client(&mail);
        for garbage in [&b"EHLO client.test\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[0xff; 40_000]]
        {
            let mut session = client(&mail);
            assert_eq!(say(&mut session, "STARTTLS"), "220 2.0.0 Ready to start TLS");
            session.write(garbage).expect("sent");
            drop(session);
        }
        mail.wait_log(&["lost connection after STARTTLS from unknown[127.0.0.1]"]);
        mail.wait_log(&["disconnect from unknown[127.0.0.1] ehlo=1 starttls=0/1 commands=1/2"]);
        assert_eq!(say(&mut other, "NOOP"), "250 2.0.0 Ok");
        secured(&mail, &TlsClient::new());
    });
}

#[test]
fn handshakes_that_stall_hold_up_nobody() {
    scenario(|| {
        let mail = server(&mx(), &[]);
        let stalled: Vec<Client> = (0..80)
            .map(|_| {
                let mut session = client(&mail);
                assert_eq!(say(&mut session, "STARTTLS"), "220 2.0.0 Ready to start TLS");
                session.write(b"\x16\x03\x01").expect("sent");
                session
            })
            .collect();
        let mut session = secured(&mail, &TlsClient::new());
        assert_eq!(say(&mut session, "NOOP"), "250 2.0.0 Ok");
        drop(stalled);
    });
}

#[test]
fn two_hundred_handshakes_at_once_all_end_well() {
    scenario(|| {
        let mail = server(&mx(), &[("smtpd_client_connection_count_limit", "0"), ("default_process_limit", "250")]);
        let address = mail.v4();
        let clients: Vec<_> = (0..200)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut session = Client::greet(address)?;
                    session.starttls(&TlsClient::new())?.map_err(|reply| std::io::Error::other(reply.last()))?;
                    session.command("NOOP").map(|reply| reply.code)
                })
            })
            .collect();
        for client in clients {
            assert_eq!(client.join().expect("a thread").expect("a session"), 250);
        }
    });
}

#[test]
fn files_that_cannot_be_used_are_named_and_no_session_is_spoilt() {
    scenario(|| {
        let (one, other) = (mx(), mx());
        let mail = server_with(&one, &[], |mail| {
            put(mail, "chain.pem", &format!("{}{}", one.key_pem(), other.certificates_pem()));
        });
        let mut session = client(&mail);
        assert_eq!(say(&mut session, "STARTTLS"), "454 4.7.0 TLS not available due to local problem");
        assert_eq!(session.send("a@client.test", &["alice@mail.test"], MESSAGE).expect("sent").code, 250);
        mail.wait_log(&["smtpd", "warning: key at index 1 in ", "chain.pem does not match next certificate"]);
        mail.wait_log(&[
            "smtpd",
            "warning: error loading private keys and certificates from: ",
            ": disabling TLS support",
        ]);
    });
}

#[test]
fn what_makes_no_sense_in_main_cf_is_named() {
    scenario(|| {
        for (name, value, told) in [
            ("smtpd_tls_protocols", "TLSv1.9", "warning: Invalid TLS protocol list \"TLSv1.9\": disabling TLS support"),
            ("smtpd_tls_fingerprint_digest", "sha999", "warning: Digest algorithm \"sha999\" not found"),
            (
                "smtpd_tls_CAfile",
                "/no/such",
                "cannot load Certification Authority data, CAfile=\"/no/such\": disabling TLS support",
            ),
        ] {
            let mail = server(&mx(), &[(name, value)]);
            let unavailable = "454 4.7.0 TLS not available due to local problem";
            assert_eq!(say(&mut client(&mail), "STARTTLS"), unavailable, "{name}");
            mail.wait_log(&["smtpd", told]);
        }
        let mail = server(&mx(), &[("smtpd_tls_ciphers", "bogus")]);
        let mut session = client(&mail);
        assert_eq!(say(&mut session, "STARTTLS"), "220 2.0.0 Ready to start TLS");
        assert!(session.handshake(&TlsClient::new()).is_err());
        mail.wait_log(&["warning: unknown[127.0.0.1]: invalid cipher grade: \"bogus\""]);
    });
}

#[test]
fn a_client_that_begins_sessions_too_often_is_let_go() {
    scenario(|| {
        let settings = [("smtpd_client_new_tls_session_rate_limit", "2"), ("smtpd_client_event_limit_exceptions", "")];
        let mail = server(&mx(), &settings);
        let hello = || say(&mut secured(&mail, &TlsClient::new()), "EHLO client.test");
        assert!(hello().starts_with("250 ") && hello().starts_with("250 "));
        let third = secured(&mail, &TlsClient::new()).reply().expect("a reply that nothing asked for").last();
        assert!(third.ends_with(" Error: too many new TLS sessions from unknown[127.0.0.1]"), "{third}");
        mail.wait_log(&["warning: New TLS session rate limit exceeded: 3 from unknown[127.0.0.1] for service "]);
        mail.wait_log(&["disconnect from unknown[127.0.0.1] ehlo=1 starttls=0/1 commands=1/2"]);
        let fourth = say(&mut client(&mail), "STARTTLS");
        assert_eq!(fourth, "454 4.7.0 Error: too many new TLS sessions from unknown[127.0.0.1]");
        mail.wait_log(&["warning: Refusing STARTTLS request from unknown[127.0.0.1] for service "]);
    });
}

#[test]
fn groups_and_ciphers_are_those_that_main_cf_lists() {
    scenario(|| {
        let lists = [
            ("tls_eecdh_auto_curves", "secp384r1"),
            ("tls_medium_cipherlist", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"),
            ("tls_preempt_cipherlist", "yes"),
        ];
        let mail = server(&mx(), &lists);
        say(&mut secured(&mail, &TlsClient::new()), "QUIT");
        mail.wait_log(&["established from unknown[127.0.0.1]: TLSv1.3 with cipher ", " key-exchange ", "secp384r1"]);
        say(&mut secured(&mail, &TlsClient::only_12()), "QUIT");
        mail.wait_log(&["established from ", ": TLSv1.2 with cipher ECDHE-ECDSA-AES128-GCM-SHA256 (128/128 bits)"]);
        // At the other end.
        let mail = server(&mx(), &[]);
        let place = format!("[127.0.0.1]:{}", mail.port());
        let shown = |more: &[&str]| mail.output("posttls-finger", &[&["-c", "-l", "may"], more, &[&place]].concat());
        let curve = shown(&["-o", "tls_eecdh_auto_curves=prime256v1"]);
        assert!(
            curve.contains(": TLSv1.3 with ") && ["secp256r1", "prime256v1"].iter().any(|name| curve.contains(name))
        );
        let cipher = shown(&["-p", "TLSv1.2", "-o", "tls_medium_cipherlist=CHACHA20"]);
        assert!(cipher.contains(": TLSv1.2 with cipher ECDHE-ECDSA-CHACHA20-POLY1305 (256/256 bits)"), "{cipher}");
        let nothing = shown(&["-p", "TLSv1.2", "-o", "tls_medium_cipherlist=RC4"]);
        assert!(nothing.contains(": error setting cipher grade: \"medium\""), "{nothing}");
    });
}

#[test]
fn programs_of_others_come_under_tls() {
    scenario(|| {
        let mut place = None;
        let mail = server_with(&mx(), &[], |mail| place = Some(wrapped(mail)));
        let (_port, address) = place.expect("a port");
        let envelope = ["--helo", "client.test", "--from", "a@client.test", "--to", "alice@mail.test"];
        for (at, more) in [(mail.v4(), "--tls"), (mail.v6(), "--tls"), (address, "--tls-on-connect")] {
            let said = testing::swaks::swaks(at, &[&envelope[..], &[more]].concat()).expect("swaks");
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
        }
        for version in ["-tls1_2", "-tls1_3"] {
            let text =
                openssl(&["s_client", "-starttls", "smtp", "-connect", &mail.v4().to_string(), "-quiet", version]);
            assert!(text.contains("221 2.0.0 Bye"), "{text}");
        }
        mail.wait_mail("alice", 3);
    });
}

/// What openssl prints when QUIT is typed.
fn openssl(arguments: &[&str]) -> String {
    use std::process::{Command, Stdio};
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("openssl");
    child.stdin.take().expect("its input").write_all(b"QUIT\n").expect("typed");
    let output = child.wait_with_output().expect("openssl");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
