//! Settings that few servers have, and what they change in headers, notifications and the log.

use scenarios::scenario;
use testing::certificates::{Identity, Period};
use testing::milter::{Filter, Script};
use testing::port::Port;
use testing::{Client, Instance, Setup, Sink};

/// A system whose header checks are these. It runs.
fn checking(rules: &str, setup: Setup) -> Instance {
    let mut mail = setup.build();
    let table = mail.etc().join("checks");
    std::fs::write(&table, rules).expect("written");
    mail.set("header_checks", &format!("regexp:{}", table.display()));
    mail.start();
    mail
}

#[test]
fn mail_name_stands_in_trace_headers_and_in_notifications() {
    scenario(|| {
        let mail = Setup::new().set("mail_name", "Postoffice").set("local_recipient_maps", "").start();
        mail.sendmail(&["-f", "alice@mail.test", "bob@mail.test"], "Subject: x\n\nbody\n");
        let local = mail.wait_mail("bob", 1).remove(0);
        assert!(
            local.header("Received").is_some_and(|field| field.contains("(Postoffice, from userid ")),
            "{}",
            local.0
        );
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.send("alice@mail.test", &["nobody-here@mail.test"], "Subject: y\n\nbody\n").expect("sent");
        let notice = mail.wait_mail("alice", 1).remove(0);
        assert!(notice.header("Received").is_some_and(|field| field.contains("(Postoffice)")), "{}", notice.0);
        for line in [
            "X-Postoffice-Queue-ID: ",
            "X-Postoffice-Sender: rfc822; alice@mail.test",
            "Diagnostic-Code: X-Postoffice; unknown user: \"nobody-here\"",
            "(Postoffice) with ",
        ] {
            assert!(notice.body().contains(line), "no {line:?} in\n{}", notice.0);
        }
    });
}

#[test]
fn without_smtputf8_a_notification_is_8bit_only_if_the_message_is() {
    let eight = "Content-Transfer-Encoding: 8bit";
    scenario(|| {
        let mail = Setup::new().set("smtputf8_enable", "no").set("local_recipient_maps", "").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.send("alice@mail.test", &["nobody-here@mail.test"], "Subject: seven\n\nbody\n").expect("sent");
        let seven = mail.wait_mail("alice", 1).remove(0);
        assert!(seven.body().contains("Content-Type: text/plain; charset=us-ascii"), "{}", seven.0);
        assert!(!seven.0.contains(eight), "{}", seven.0);
        for line in ["EHLO client.test", "MAIL FROM:<bob@mail.test> BODY=8BITMIME", "RCPT TO:<nobody-here@mail.test>"] {
            assert!(client.command(line).expect("a reply").last().starts_with("250"), "{line}");
        }
        client.command("DATA").expect("a reply");
        client.command("Subject: eight\r\n\r\nh\u{e9}\r\n.").expect("a reply");
        let notice = mail.wait_mail("bob", 1).remove(0);
        assert!(notice.body().contains("Content-Type: text/plain; charset=utf-8"), "{}", notice.0);
        assert_eq!(notice.0.matches(eight).count(), 3, "{}", notice.0);
    });
}

#[test]
fn notifications_to_the_postmaster_come_from_this_host_whatever_myorigin_is() {
    scenario(|| {
        let mail = Setup::new()
            .set("myorigin", "origin.test")
            .set("notify_classes", "bounce")
            .set("bounce_notice_recipient", "carol@mail.test")
            .set("local_recipient_maps", "")
            .start();
        mail.sendmail(&["-f", "alice@mail.test", "nobody-here@mail.test"], "Subject: x\n\nbody\n");
        let name = mail.output("postconf", &["-hx", "myhostname"]);
        let expected = format!("<double-bounce@{}>", name.trim());
        assert_eq!(mail.wait_mail("carol", 1).remove(0).header("Return-Path").as_deref(), Some(&*expected));
    });
}

#[test]
fn a_check_of_mail_whose_recipients_are_in_its_header_names_none() {
    scenario(|| {
        let mail = checking("/^Subject: bad/ WARN seen\n", Setup::new());
        mail.sendmail(&["-t", "-f", "alice@mail.test"], "Subject: bad\nTo: bob@mail.test\n\nbody\n");
        mail.wait_log(&["warning: header Subject: bad from local; from=<alice@mail.test>: seen"]);
    });
}

#[test]
fn a_filter_does_not_see_the_content_of_mail_that_a_check_sends_to_somebody_else() {
    scenario(|| {
        let filter = Filter::start(Script::new());
        let setup = Setup::new().set("non_smtpd_milters", filter.endpoint());
        let mail = checking("/^Subject: other/ REDIRECT bob@mail.test\n", setup);
        mail.sendmail(&["-f", "alice@mail.test", "carol@mail.test"], "Subject: other\n\nbody\n");
        mail.wait_mail("bob", 1);
        filter.wait_heard("Q");
        assert!(!filter.events().contains(['L', 'N', 'B', 'E']), "{}", filter.events());
    });
}

#[test]
fn a_recipient_of_sendmail_bs_is_reported_as_it_was_written() {
    scenario(|| {
        let mail = Setup::new().set("local_recipient_maps", "").start();
        let talk = b"HELO x\r\nMAIL FROM:<alice@mail.test>\r\nRCPT TO:<nobody-here>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n";
        assert!(mail.run_with("sendmail", &["-bs"], talk).status.success());
        let notice = mail.wait_mail("alice", 1).remove(0);
        assert!(notice.body().contains("Original-Recipient: rfc822;nobody-here\n"), "{}", notice.0);
    });
}

#[test]
fn soft_bounce_is_in_the_log_line_of_a_message_that_is_too_large() {
    scenario(|| {
        let mail = Setup::new().set("soft_bounce", "yes").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("EHLO client.test").expect("a reply");
        let reply = client.command("MAIL FROM:<alice@mail.test> SIZE=99999999999").expect("a reply").last();
        assert_eq!(reply, "452 4.3.4 Message size exceeds fixed limit");
        mail.wait_log(&["reject: MAIL from ", ": 452 4.3.4 Message size exceeds fixed limit; from=<alice@mail.test>"]);
    });
}

#[test]
fn a_server_without_the_tls_that_is_required_is_asked_again_for_the_next_message() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = Setup::new().set("relayhost", sink.next_hop()).set("smtp_tls_security_level", "encrypt").start();
        for recipient in ["x@other.test", "y@other.test"] {
            mail.sendmail(&["-f", "alice@mail.test", recipient], "Subject: x\n\nbody\n");
            mail.wait_log(&[
                &format!("to=<{recipient}>"),
                "dsn=4.7.4, status=deferred (TLS is required, but was not offered",
            ]);
        }
    });
}

#[test]
fn a_transcript_shows_nothing_above_ascii_where_smtputf8_is_off() {
    scenario(|| {
        let mail = Setup::new()
            .set("smtputf8_enable", "no")
            .set("notify_classes", "protocol")
            .set("error_notice_recipient", "bob@mail.test")
            .start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        for line in ["EHLO client.test", "FOO b\u{fc}ro", "QUIT"] {
            client.command(line).expect("a reply");
        }
        let notice = mail.wait_mail("bob", 1).remove(0);
        assert!(notice.body().contains(" In:  FOO b??ro\n"), "{}", notice.0);
    });
}

#[test]
fn the_log_names_the_last_command_that_was_not_waiting_for_tls() {
    scenario(|| {
        let port = Port::reserve();
        let options = "-o smtpd_tls_security_level=encrypt -o smtpd_hard_error_limit=2";
        let service = format!("127.0.0.1:{} inet n - n - - smtpd {options}", port.number());
        let identity = Identity::self_signed(&["mail.test"], Period::Current);
        let mut mail = Setup::new().service(&service).build();
        let chain = mail.folder().join("chain.pem");
        std::fs::write(&chain, format!("{}{}", identity.key_pem(), identity.certificates_pem())).expect("written");
        mail.set("smtpd_tls_chain_files", &chain.display().to_string());
        mail.start();
        let mut client = Client::connect(([127, 0, 0, 1], port.number()).into()).expect("connected");
        for line in ["EHLO client.test", "MAIL FROM:<a@b.test>", "RCPT TO:<alice@mail.test>", "DATA"] {
            client.command(line).expect("a reply");
        }
        mail.wait_log(&["too many errors after EHLO from "]);
    });
}

#[test]
fn a_line_about_a_session_that_goes_on_says_nothing_of_tls_that_is_not_to_be() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = Setup::new()
            .set("relayhost", sink.next_hop())
            .set("smtp_tls_security_level", "none")
            .set("smtp_connection_cache_destinations", "127.0.0.1")
            .start();
        for recipient in ["x@other.test", "y@other.test"] {
            mail.sendmail(&["-f", "alice@mail.test", recipient], "Subject: x\n\nbody\n");
            mail.wait_log(&[&format!("to=<{recipient}>"), "status=sent"]);
        }
        let line = mail.wait_log(&["to=<y@other.test>", ", conn_use=2,"]);
        assert!(!line.contains(", tls="), "{line}");
    });
}
