//! A filter before the queue: smtpd_proxy_filter.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use scenarios::scenario;
use testing::milter::{Filter, Script, say};
use testing::port::Port;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Setup};

/// A filter that passes everything on to the server behind it, with one header more, and the replies back.
fn passing(behind: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", behind)) else { continue };
            let (back, there) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
            thread::spawn(move || copy(back, there, |bytes| bytes.to_vec()));
            let mark = |bytes: &[u8]| match bytes.starts_with(b"Received: ") {
                true => [b"X-Scanned: yes\r\n", bytes].concat(),
                false => bytes.to_vec(),
            };
            thread::spawn(move || copy(client, server, mark));
        }
    });
    port
}

fn copy(mut from: TcpStream, mut to: TcpStream, change: impl Fn(&[u8]) -> Vec<u8>) {
    let mut buffer = [0; 16384];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || to.write_all(&change(&buffer[..count])).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A filter that says what a test wants it to say, and keeps what it hears.
struct Scripted {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// `replies`: by the start of what is heard (`.` the end of the content, and nothing the connection); an empty one
    /// closes the connection. To all else the filter says yes.
    fn new(replies: &'static [(&'static str, &'static str)]) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (port, heard) = (listener.local_addr().expect("an address").port(), Arc::default());
        let kept = Arc::clone(&heard);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || serve(client, replies, &kept));
            }
        });
        Scripted { port, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("nobody has failed").clone()
    }
}

fn serve(client: TcpStream, replies: &[(&str, &str)], heard: &Mutex<Vec<String>>) {
    let reply = |line: &str| {
        let own =
            replies.iter().find(|(start, _)| if start.is_empty() { line.is_empty() } else { line.starts_with(start) });
        match own {
            Some((_, reply)) => (*reply).to_owned(),
            None if line.is_empty() => "220 filter".to_owned(),
            None if line.starts_with("EHLO") => "250-filter\r\n250 XFORWARD NAME ADDR HELO PROTO".to_owned(),
            None if line == "DATA" => "354 go".to_owned(),
            None => "250 fine".to_owned(),
        }
    };
    let mut out = client.try_clone().expect("a socket");
    let mut say = |text: String| !text.is_empty() && out.write_all(format!("{text}\r\n").as_bytes()).is_ok();
    if !say(reply("")) {
        return;
    }
    let mut is_content = false;
    for line in BufReader::new(client).lines() {
        let Ok(line) = line else { return };
        heard.lock().expect("nobody has failed").push(line.clone());
        if is_content && line != "." {
            continue;
        }
        let said = reply(&line);
        is_content = line == "DATA" && said.starts_with('3');
        if !say(said) {
            return;
        }
    }
}

#[test]
fn the_filter_has_the_last_word_and_its_message_says_where_it_came_from() {
    for options in ["", "speed_adjust"] {
        scenario(|| {
            let back = Port::reserve();
            let filter = passing(back.number());
            let setup = Setup::new()
                .set("smtpd_proxy_filter", format!("127.0.0.1:{filter}"))
                .set("smtpd_proxy_options", options)
                .service(&format!(
                    "127.0.0.1:{} inet n - n - - smtpd -o smtpd_proxy_filter= -o smtpd_authorized_xforward_hosts=127.0.0.0/8",
                    back.number()
                ));
            let mail = setup.start();
            let mut client = Client::greet(mail.v4()).expect("connected");
            client.command("EHLO client.test").expect("a reply");
            let text = format!("Subject: one\n\n.dot\n{}last\n", "0123456789abcdef\n".repeat(20_000));
            let reply = client.send("s@x.test", &["alice@mail.test", "bob@mail.test"], &text).expect("a reply");
            assert!(reply.last().starts_with("250 2.0.0 Ok: queued as "), "{reply:?}");
            for user in ["alice", "bob"] {
                let delivered = mail.wait_mail(user, 1);
                assert_eq!(delivered[0].header("X-Scanned").as_deref(), Some("yes"));
                assert!(delivered[0].body().starts_with(".dot\n0123"), "{options}");
                assert!(delivered[0].body().ends_with("abcdef\nlast\n"), "{options}");
                assert_eq!(delivered[0].body().len(), 5 + 17 * 20_000 + 5);
            }
            mail.wait_log(&["NOQUEUE: client=unknown[127.0.0.1]"]);
            mail.wait_log(&["orig_client=unknown[127.0.0.1]"]);
            let line = mail.wait_log(&["]: proxy-accept: END-OF-MESSAGE: 250 2.0.0 Ok: queued as "]);
            assert!(line.contains("; from=<s@x.test> to=<alice@mail.test> proto=ESMTP helo=<client.test>"), "{line}");
        });
    }
}

#[test]
fn the_filter_hears_the_commands_of_the_client_one_after_the_other() {
    scenario(|| {
        let filter = Scripted::new(&[]);
        let setup = Setup::new().set("smtpd_proxy_filter", format!("inet:127.0.0.1:{}", filter.port));
        let mail = setup.set("smtpd_proxy_ehlo", "proxy.test").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("EHLO client.test").expect("a reply");
        for (command, reply) in [
            ("MAIL FROM:<s@x.test> SIZE=100 BODY=8BITMIME", "250 2.1.0 Ok"),
            ("RCPT TO:<nobody@elsewhere.invalid>", "250 2.1.5 Ok"),
            ("RCPT TO:<alice@mail.test> NOTIFY=NEVER", "250 2.1.5 Ok"),
            ("DATA", "354 End data with <CR><LF>.<CR><LF>"),
            ("Subject: x\r\n\r\n..dot\r\nlast\r\n.", "250 fine"),
            ("QUIT", "221 2.0.0 Bye"),
        ] {
            assert_eq!(client.command(command).expect("a reply").last(), reply, "{command}");
        }
        assert!(until_true(PATIENCE, || filter.heard().last().is_some_and(|line| line == "QUIT")));
        let heard = filter.heard();
        let commands: Vec<&str> = heard.iter().take(6).map(|line| line.trim_end()).collect();
        assert_eq!(
            commands,
            [
                "EHLO proxy.test",
                "XFORWARD NAME=[UNAVAILABLE] ADDR=127.0.0.1 HELO=client.test PROTO=ESMTP",
                "MAIL FROM:<s@x.test> SIZE=100 BODY=8BITMIME",
                "RCPT TO:<nobody@elsewhere.invalid>",
                "RCPT TO:<alice@mail.test> NOTIFY=NEVER",
                "DATA",
            ]
        );
        assert!(heard[6].starts_with("Received: from client.test (unknown [127.0.0.1])"), "{heard:?}");
        assert!(heard[7].trim_start().starts_with("by mail.test (Postfix) with ESMTP"), "{heard:?}");
        assert!(!heard[7].contains(" id "), "{heard:?}");
        assert_eq!(heard[heard.len() - 6..], ["Subject: x", "", "..dot", "last", ".", "QUIT"]);
    });
}

/// What a client hears to MAIL, RCPT, DATA and the content from a server with such a filter, as long as it is told to
/// go on; and the server logs this.
fn told(filter: u16, options: &str, logged: &str) -> Vec<String> {
    let setup = Setup::new().set("smtpd_proxy_filter", format!("127.0.0.1:{filter}"));
    let mail = setup.set("smtpd_proxy_options", options).start();
    let mut client = Client::greet(mail.v4()).expect("connected");
    let mut replies = Vec::new();
    client.command("EHLO client.test").expect("a reply");
    for command in ["MAIL FROM:<s@x.test>", "RCPT TO:<alice@mail.test>", "DATA", "Subject: x\r\n\r\nx\r\n."] {
        let reply = client.command(command).expect("a reply");
        replies.push(reply.last());
        if reply.code >= 400 {
            break;
        }
    }
    mail.wait_log(&[logged]);
    replies
}

#[test]
fn what_a_filter_refuses_is_refused_in_its_words() {
    for (replies, heard, logged) in [
        (&[("MAIL", "451 4.7.1 not you")][..], "451 4.7.1 not you", "rejected \"MAIL FROM:<s@x.test>"),
        (&[("RCPT", "550 5.1.1 not him")], "550 5.1.1 not him", "rejected \"RCPT TO:<alice@mail.test>"),
        (&[("DATA", "554 5.5.0 no")], "554 5.5.0 no", "rejected \"DATA\": \"554 5.5.0 no\""),
        (
            &[(".", "550 5.7.1 spam")],
            "550 5.7.1 spam",
            "]: proxy-reject: END-OF-MESSAGE: 550 5.7.1 spam; from=<s@x.test>",
        ),
    ] {
        scenario(|| {
            let said = told(Scripted::new(replies).port, "", logged);
            assert_eq!(said.last().map(String::as_str), Some(heard));
        });
    }
}

#[test]
fn a_filter_that_is_broken_is_an_error_of_the_server_for_now() {
    let write_error = "451 4.3.0 Error: queue file write error";
    for (replies, logged) in [
        (&[("", "554 5.3.2 no")][..], "rejected \"connection request\": \"554 5.3.2 no\""),
        (&[("EHLO", "502 what")], "rejected \"EHLO mail.test\": \"502 what\""),
        (&[("RCPT", "354 weird")], "\": \"354 weird\""),
        (&[("RCPT", "")], "warning: lost connection with proxy 127.0.0.1:"),
        (&[(".", "")], "warning: lost connection with proxy 127.0.0.1:"),
    ] {
        scenario(|| {
            let said = told(Scripted::new(replies).port, "", logged);
            assert_eq!(said.last().map(String::as_str), Some(write_error), "{replies:?}");
        });
    }
    scenario(|| {
        let port = Port::reserve();
        let logged = format!("connect to proxy filter 127.0.0.1:{}: Connection refused", port.number());
        assert_eq!(told(port.number(), "", &logged)[1..], [write_error]);
    });
}

#[test]
fn a_filter_for_which_messages_are_stored_hears_nothing_before_their_end() {
    for (replies, heard) in [
        (&[("RCPT", "550 5.1.1 not him")][..], "550 5.1.1 not him"),
        (&[(".", "550 5.7.1 spam")], "550 5.7.1 spam"),
        (&[(".", "250 2.0.0 taken")], "250 2.0.0 taken"),
        (&[("EHLO", "")], "451 4.3.0 Error: queue file write error"),
    ] {
        scenario(|| {
            let said = told(Scripted::new(replies).port, "speed_adjust", "]: proxy-");
            let expected = ["250 2.1.0 Ok", "250 2.1.5 Ok", "354 End data with <CR><LF>.<CR><LF>", heard];
            assert_eq!(said, expected);
        });
    }
    scenario(|| {
        let filter = Scripted::new(&[]);
        let setup = Setup::new().set("smtpd_proxy_filter", format!("127.0.0.1:{}", filter.port));
        let mail = setup.set("smtpd_proxy_options", "speed_adjust").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        for command in ["EHLO client.test", "MAIL FROM:<s@x.test>", "RCPT TO:<alice@mail.test>", "DATA"] {
            assert!(client.command(command).expect("a reply").code < 400);
        }
        client.write(b"Subject: x\r\n\r\nhalf").expect("written");
        assert_eq!(filter.heard(), [""; 0]);
        drop(client);
        mail.wait_log(&["lost connection after DATA"]);
        assert_eq!(filter.heard(), [""; 0]);
        assert_eq!(mail.queue_ids("incoming"), [""; 0]);
    });
}

#[test]
fn what_access_tables_want_of_a_message_is_not_there_before_the_queue_but_for_its_headers() {
    scenario(|| {
        let filter = Scripted::new(&[]);
        let setup = Setup::new()
            .set("smtpd_proxy_filter", format!("127.0.0.1:{}", filter.port))
            .set("smtpd_sender_restrictions", "check_sender_access inline:{ {s@x.test = HOLD} }")
            .set(
                "smtpd_recipient_restrictions",
                "check_recipient_access inline:{ {alice@mail.test = PREPEND X-Seen: yes} }",
            );
        let mail = setup.start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let reply = client.send("s@x.test", &["alice@mail.test"], "Subject: x\n\nx\n").expect("a reply");
        assert_eq!(reply.last(), "250 fine");
        mail.wait_log(&["with smtpd_proxy_filter specified, action HOLD is unavailable"]);
        assert!(filter.heard().contains(&"X-Seen: yes".to_owned()), "{:?}", filter.heard());
    });
}

#[test]
fn chunks_come_to_the_filter_as_lines_and_mail_filters_hear_the_envelope_alone() {
    scenario(|| {
        let (filter, milter) = (Scripted::new(&[]), Filter::start(Script::new()));
        let mail = Setup::new()
            .set("mynetworks", "127.0.0.0/8")
            .set("smtpd_proxy_filter", format!("127.0.0.1:{}", filter.port))
            .set("smtpd_milters", milter.endpoint())
            .start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("EHLO client.test").expect("a reply");
        for command in ["MAIL FROM:<s@x.test>", "RCPT TO:<alice@mail.test>"] {
            assert_eq!(client.command(command).expect("a reply").code, 250, "{command}");
        }
        // The end of a chunk is no end of a line.
        client.write(b"BDAT 13\r\nSubject: x\r\n\r").expect("written");
        assert_eq!(client.reply().expect("a reply").last(), "250 2.0.0 Ok: 13 bytes");
        client.write(b"BDAT 14 LAST\r\n\n.dot\r\nno end.").expect("written");
        assert_eq!(client.reply().expect("a reply").last(), "250 fine");
        client.command("QUIT").expect("a reply");
        assert!(until_true(PATIENCE, || filter.heard().last().is_some_and(|line| line == "QUIT")));
        let heard = filter.heard();
        let content: Vec<&str> = heard.iter().map(String::as_str).skip_while(|line| *line != "Subject: x").collect();
        assert_eq!(content, ["Subject: x", "", "..dot", "no end.", ".", "QUIT"]);
        milter.wait_heard("T");
        let events = milter.events();
        assert!(events.contains("MRT") && !events.contains(['L', 'N', 'B', 'E']), "{events}");
    });
}

#[test]
fn what_a_mail_filter_refuses_the_filter_before_the_queue_does_not_hear() {
    scenario(|| {
        let (filter, milter) = (Scripted::new(&[]), Filter::start(Script::new().at('T', [say(b"r")])));
        let mail = Setup::new()
            .set("mynetworks", "127.0.0.0/8")
            .set("smtpd_proxy_filter", format!("127.0.0.1:{}", filter.port))
            .set("smtpd_milters", milter.endpoint())
            .start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        for command in ["EHLO client.test", "MAIL FROM:<s@x.test>", "RCPT TO:<alice@mail.test>"] {
            client.command(command).expect("a reply");
        }
        assert_eq!(client.command("DATA").expect("a reply").last(), "550 5.7.1 Command rejected");
        let logged = "milter-reject: DATA from unknown[127.0.0.1]: 550 5.7.1 Command rejected; from=<s@x.test>";
        mail.wait_log(&[logged, "to=<alice@mail.test> proto=ESMTP helo=<client.test>"]);
        assert!(!filter.heard().iter().any(|line| line == "DATA"), "{:?}", filter.heard());
    });
}
