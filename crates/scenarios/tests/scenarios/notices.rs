//! What the postmaster is told of sessions: notify_classes, and the transcript.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use scenarios::scenario;
use testing::port::Port;
use testing::{Client, Instance, Setup};

const CLASSES: [&str; 6] = ["bounce", "data", "policy", "protocol", "resource", "software"];

/// Plays a session that says hello as `name`, up to its end.
fn play(port: u16, name: &str, lines: &[&str]) {
    let mut client = Client::connect(([127, 0, 0, 1], port).into()).expect("connected");
    client.command(&format!("HELO {name}")).expect("hello");
    for line in lines {
        client.command(line).expect("a reply");
    }
    client.command("QUIT").expect("a goodbye");
}

#[test]
fn each_error_of_a_session_is_told_to_a_postmaster_who_wants_its_class_and_to_no_other() {
    let sender = "MAIL FROM:<alice@mail.test>";
    let errors: &[(&str, &[&str])] = &[
        ("protocol", &["FOO"]),
        ("protocol", &["DATA"]),
        ("protocol", &["MAIL alice"]),
        ("protocol", &[sender, "RCPT TO:<alice@mail.test> X=Y"]),
        ("protocol", &["AUTH PLAIN secret"]),
        ("policy", &["XCLIENT NAME=other.test"]),
        ("policy", &["MAIL FROM:<alice@mail.test> SIZE=99999999999"]),
        ("policy", &[sender, "RCPT TO:<carol@mail.test>"]),
        ("policy", &[sender, "RCPT TO:<warned@mail.test>"]),
        ("bounce", &[sender, "RCPT TO:<nobody-here@mail.test>"]),
        ("data", &[sender, "RCPT TO:<alice@relay.test>"]),
        ("software", &[sender, "RCPT TO:<broken@mail.test>"]),
        ("", &[sender, "RCPT TO:<alice@mail.test>", "RSET", "NOOP"]),
        ("", &[sender, "DATA"]),
        // A client that gets a message through may make mistakes on the way.
        ("", &["FOO", sender, "RCPT TO:<nobody-here@mail.test>", "RCPT TO:<alice@mail.test>", "DATA", "x: y\r\n\r\n."]),
    ];
    scenario(|| {
        let ports: Vec<Port> = CLASSES.iter().map(|_| Port::reserve()).collect();
        let access = "inline:{carol@mail.test=REJECT, warned@mail.test=OK, broken@mail.test=nonsuch}";
        let mut setup = Setup::new()
            .set("smtpd_recipient_restrictions", format!("check_recipient_access {access}"))
            .set("local_recipient_maps", "inline:{alice=1, bob=1, carol=1, warned=1, broken=1}")
            .set("smtpd_data_restrictions", "")
            .set("relay_domains", "relay.test")
            .set("relay_recipient_maps", "texthash:/proc/self/none/table")
            .set("error_notice_recipient", "bob")
            .set("bounce_notice_recipient", "carol");
        setup = setup
            .set("smtpd_sender_restrictions", "warn_if_reject check_recipient_access inline:{warned@mail.test=REJECT}");
        for (class, port) in CLASSES.iter().zip(&ports) {
            let port = port.number();
            setup = setup.service(&format!("127.0.0.1:{port} inet n - n - - smtpd -o notify_classes={class}"));
        }
        let mail = setup.start();
        let mut expected = Vec::new();
        for (number, (class, lines)) in errors.iter().enumerate() {
            for (wanted, port) in CLASSES.iter().zip(&ports) {
                let name = format!("{wanted}-{number}.test");
                play(port.number(), &name, lines);
                if wanted == class {
                    expected.push(name);
                }
            }
        }
        let bounces = expected.iter().filter(|name| name.starts_with("bounce")).count();
        let mut told = mail.wait_mail("bob", expected.len() - bounces);
        told.extend(mail.wait_mail("carol", bounces));
        mail.wait_idle();
        let name = |text: &str| text.lines().find_map(|line| line.strip_prefix(" In:  HELO ").map(str::to_owned));
        let mut names: Vec<_> = told.iter().filter_map(|mail| name(mail.body())).collect();
        names.sort();
        expected.sort();
        assert_eq!(names, expected);
    });
}

#[test]
fn a_lack_of_space_is_told_to_a_postmaster_who_has_said_nothing_about_it() {
    scenario(|| {
        let mail = Setup::new().set("queue_minfree", "99999999999999").set("error_notice_recipient", "bob").start();
        play(mail.port(), "client.test", &["MAIL FROM:<alice@mail.test>"]);
        let line = mail.wait_log(&["NOQUEUE: reject: MAIL from ", ": 452 4.3.1 Insufficient system storage; "]);
        assert!(line.contains("storage; proto=SMTP helo="), "there is no sender yet: {line}");
        let told = mail.wait_mail("bob", 1).remove(0);
        assert!(told.body().contains("\n Out: 452 4.3.1 Insufficient system storage\n"), "{}", told.0);
    });
}

#[test]
fn the_notice_has_the_dialogue_and_how_it_ended() {
    scenario(|| {
        let mail = Setup::new().set("notify_classes", "bounce").set("bounce_notice_recipient", "bob").start();
        let mut client = Client::connect(mail.v4()).expect("connected");
        for line in
            ["HELO client.test", "MAIL FROM:<alice@mail.test>", "RCPT TO:<nobody-here@mail.test>", "NOOP \x01 \u{fc}."]
        {
            client.command(line).expect("a reply");
        }
        drop(client);
        let told = mail.wait_mail("bob", 1).remove(0);
        let expected = "\
Transcript of session follows.

 Out: 220 mail.test ESMTP Postfix
 In:  HELO client.test
 Out: 250 mail.test
 In:  MAIL FROM:<alice@mail.test>
 Out: 250 2.1.0 Ok
 In:  RCPT TO:<nobody-here@mail.test>
 Out: 550 5.1.1 <nobody-here@mail.test>: Recipient address rejected: User
     unknown in local recipient table
 In:  NOOP ? \u{fc}.
 Out: 250 2.0.0 Ok

Session aborted, reason: lost connection

For other details, see the local mail logfile
";
        assert_eq!(told.body().trim_end(), expected.trim_end());
        let header = |name: &str| told.header(name).unwrap_or_default();
        assert_eq!(header("Subject"), "Postfix SMTP server: errors from unknown[127.0.0.1]");
        assert_eq!(header("From"), "Mail Delivery System <MAILER-DAEMON@mail.test>");
        assert_eq!(header("To"), "Postmaster <postmaster@mail.test>");
        assert_eq!(header("Return-Path"), "<double-bounce@mail.test>");
    });
}

#[test]
fn what_follows_auth_and_what_a_message_says_is_not_in_the_notice() {
    scenario(|| {
        let mail = Setup::new().set("notify_classes", "protocol").set("error_notice_recipient", "bob").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.send("alice@mail.test", &["bob@mail.test"], "Subject: hush\n\nhush\n").expect("taken");
        for line in ["AUTH PLAIN AGh1c2gAaHVzaA==", "aHVzaA=="] {
            client.command(line).expect("a reply");
        }
        client.command("QUIT").expect("a goodbye");
        let told = mail.wait_mail("bob", 2);
        let told = told.iter().find(|mail| mail.body().starts_with("Transcript")).expect("a notice");
        assert!(told.body().contains(" In:  AUTH ["), "{}", told.0);
        assert!(!told.body().contains("hush") && !told.body().to_lowercase().contains("ahvz"), "{}", told.0);
    });
}

/// A server whose first line is no reply, and that takes one message.
fn odd_server(listener: TcpListener) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let answer = |reader: &mut BufReader<_>, text: &str| {
                let stream: &mut std::net::TcpStream = BufReader::get_mut(reader);
                stream.write_all(text.as_bytes()).is_ok()
            };
            let mut in_content = false;
            let mut line = String::new();
            let mut open = answer(&mut reader, "what is this\r\n220 odd.test ESMTP\r\n");
            while open && reader.read_line(&mut line).is_ok_and(|count| count > 0) {
                let said = std::mem::take(&mut line);
                open = match said.trim_end() {
                    "." => answer(&mut reader, "250 2.0.0 Ok\r\n"),
                    "DATA" => answer(&mut reader, "354 go\r\n"),
                    _ if in_content => true,
                    _ => answer(&mut reader, "250 odd.test\r\n"),
                };
                in_content = said.starts_with("DATA") || in_content && said.trim_end() != ".";
            }
        }
    });
}

fn relay_to_odd_server(classes: &str) -> (Instance, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("its address");
    odd_server(listener);
    let setup = Setup::new().set("notify_classes", classes).set("error_notice_recipient", "bob");
    let mail = setup.set("relayhost", format!("[{}]:{}", address.ip(), address.port())).start();
    mail.sendmail(&["-f", "alice@mail.test", "x@other.test"], "Subject: y\n\nhush\n");
    mail.wait_log(&["to=<x@other.test>", "status=sent"]);
    (mail, address)
}

#[test]
fn a_server_that_breaks_the_protocol_is_told_of_and_gets_its_mail() {
    scenario(|| {
        let (mail, address) = relay_to_odd_server("protocol");
        let told = mail.wait_mail("bob", 1).remove(0);
        let host = format!("127.0.0.1[127.0.0.1]:{}", address.port());
        let expected = format!(
            "Unexpected response from {host}.\n\nTranscript of session follows.\n\n In:  what is this\n In:  220 odd.test ESMTP\n \
             Out: EHLO mail.test\n In:  250 odd.test\n Out: MAIL FROM:<alice@mail.test>\n In:  250 odd.test\n \
             Out: RCPT TO:<x@other.test>\n In:  250 odd.test\n Out: DATA\n In:  354 go\n Out: .\n In:  250 2.0.0 Ok\n \
             Out: QUIT\n\nFor other details, see the local mail logfile"
        );
        assert_eq!(told.body().trim_end(), expected);
        let subject = format!("Postfix SMTP client: errors from {host}");
        assert_eq!(told.header("Subject"), Some(subject));
    });
}

#[test]
fn a_server_that_breaks_the_protocol_is_no_matter_for_a_postmaster_who_wants_other_classes() {
    scenario(|| {
        let (mail, _) = relay_to_odd_server("bounce, data, policy, resource, software");
        mail.wait_idle();
        assert_eq!(mail.find_log(&["from=<double-bounce@"]), None);
    });
}

#[test]
fn a_long_session_is_told_in_parts_between_messages() {
    scenario(|| {
        let mail = Setup::new()
            .set("notify_classes", "protocol")
            .set("error_notice_recipient", "bob")
            .set("smtpd_history_flush_threshold", "3")
            .start();
        let sender = "MAIL FROM:<alice@mail.test>";
        play(mail.port(), "client.test", &["FOO", "NOOP", "NOOP", "BAR", sender, "RCPT TO:<alice@mail.test>", "RSET"]);
        let mut parts: Vec<String> = mail.wait_mail("bob", 2).iter().map(|mail| mail.body().to_owned()).collect();
        parts.sort();
        let said = |part: &str| {
            let words = part.lines().filter_map(|line| line.strip_prefix(" In:  ").map(str::to_owned));
            words.collect::<Vec<_>>().join(", ")
        };
        let mut said: Vec<String> = parts.iter().map(|part| said(part)).collect();
        said.sort();
        let second = format!("BAR, {sender}");
        assert_eq!(said, [second, "HELO client.test, FOO".to_owned()]);
    });
}
