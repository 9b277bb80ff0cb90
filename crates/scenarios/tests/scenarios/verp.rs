//! VERP: each recipient sees a sender that names it, and hears of itself alone; and notifications that name what they
//! answer.

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup, Sink};

/// A list server on this machine may ask for VERP. What comes back to the list is alice's.
fn list() -> Setup {
    Setup::new()
        .set("smtpd_authorized_verp_clients", "127.0.0.1")
        .set("recipient_delimiter", "+")
        .set("local_recipient_maps", "")
        .set("virtual_alias_maps", "regexp:{{/^list[-+].*@/ alice@mail.test}, {/^all@/ gone@mail.test}}")
}

/// Sends a message from the list by a dialogue; the replies to MAIL and to the end.
fn post(mail: &Instance, parameter: &str, recipients: &[&str]) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    client.command("EHLO lists.test").expect("reply");
    let reply = client.command(&format!("MAIL FROM:<list@mail.test>{parameter}")).expect("reply");
    if reply.code != 250 {
        return reply.last().trim_end().to_owned();
    }
    for recipient in recipients {
        assert_eq!(client.command(&format!("RCPT TO:<{recipient}>")).expect("reply").code, 250);
    }
    client.command("DATA").expect("reply");
    client.command("Subject: hello\r\nMessage-Id: <one@lists.test>\r\n\r\nbody\r\n.").expect("reply").last()
}

#[test]
fn who_may_ask_for_verp_is_told_so_and_others_are_refused() {
    scenario(|| {
        let hello = |mail: &Instance| Client::greet(mail.v4()).expect("connected").command("EHLO x").expect("reply");
        let mail = list().start();
        assert!(hello(&mail).lines.iter().any(|line| line.ends_with("XVERP")));
        for (parameter, reply) in [
            (" XVERP=+", "501 5.5.4 Error: XVERP needs two characters from -=+"),
            (" XVERP=", "501 5.5.4 Error: XVERP needs two characters from -=+"),
            (" XVERP=%@", "501 5.5.4 Error: XVERP needs two characters from -=+"),
            (" XVERPS", "555 5.5.4 Unsupported option: XVERPS"),
        ] {
            assert_eq!(post(&mail, parameter, &[]), reply);
        }
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("EHLO x").expect("reply");
        let reply = client.command("MAIL FROM:<> XVERP").expect("reply");
        assert_eq!(reply.last().trim_end(), "503 5.5.4 Error: XVERP requires non-null sender");
        let mail = list().set("smtpd_authorized_verp_clients", "").start();
        assert!(!hello(&mail).lines.iter().any(|line| line.contains("XVERP")));
        assert_eq!(post(&mail, " XVERP=+=", &[]), "555 5.5.4 Unsupported option: XVERP=+=");
    });
}

#[test]
fn a_client_that_stands_for_another_may_ask_for_verp_if_that_one_may() {
    scenario(|| {
        let mail = list().set("smtpd_authorized_xclient_hosts", "127.0.0.1").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        for (address, may) in [("127.0.0.1", true), ("192.0.2.1", false)] {
            client.command(&format!("XCLIENT ADDR={address} NAME=client.test")).expect("a reply");
            let announced = client.command("EHLO client.test").expect("a reply");
            assert_eq!(announced.lines.iter().any(|line| line == "XVERP"), may, "{address}");
        }
    });
}

#[test]
fn each_recipient_sees_a_sender_that_names_it() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = list().set("relayhost", sink.next_hop()).start();
        assert!(
            post(&mail, " XVERP", &["bob@far.test", "eve@far.test", "carol@mail.test"]).starts_with("250 2.0.0 Ok")
        );
        let carol = mail.wait_mail("carol", 1).remove(0);
        assert_eq!(carol.header("Return-Path").as_deref(), Some("<list+carol=mail.test@mail.test>"));
        assert!(post(&mail, " XVERP=-=", &["bob@far.test"]).starts_with("250 2.0.0 Ok"));
        assert!(until_true(PATIENCE, || sink.count() >= 3), "{:?}", sink.received());
        let mut seen: Vec<String> = sink.received().into_iter().map(|message| message.sender).collect();
        seen.iter_mut().for_each(|sender| *sender = sender.split_whitespace().next().unwrap_or_default().to_owned());
        seen.sort();
        let expected =
            ["<list+bob=far.test@mail.test>", "<list+eve=far.test@mail.test>", "<list-bob=far.test@mail.test>"];
        assert_eq!(seen, expected);
    });
}

#[test]
fn sendmail_asks_for_verp_as_well() {
    scenario(|| {
        let mail = list().start();
        for (option, sender) in
            [("-XV", "list+bob=mail.test"), ("-XV-=", "list-bob=mail.test"), ("-V", "list+bob=mail.test")]
        {
            let before = mail.wait_mail("bob", 0).len();
            mail.sendmail(&[option, "-f", "list@mail.test", "bob@mail.test"], "Subject: hello\n\nbody\n");
            let messages = mail.wait_mail("bob", before + 1);
            let path = format!("<{sender}@mail.test>");
            assert!(messages.iter().any(|message| message.header("Return-Path").as_deref() == Some(&path)), "{option}");
        }
    });
}

#[test]
fn the_sender_that_a_recipient_has_seen_hears_of_it_and_of_nobody_else() {
    scenario(|| {
        let mail = list().set("notify_classes", "bounce").set("bounce_notice_recipient", "bob@mail.test").start();
        post(&mail, " XVERP", &["gone@mail.test", "away@mail.test", "all@mail.test", "carol@mail.test"]);
        let mut reports: Vec<(String, String)> = Vec::new();
        for report in mail.wait_mail("alice", 3) {
            let failed = report.0.lines().filter_map(|line| line.strip_prefix("Final-Recipient: rfc822; "));
            reports.push((report.header("To").unwrap_or_default(), failed.collect()));
            assert!(report.0.contains("\nX-Postfix-Sender: rfc822; list@mail.test\n"), "{}", report.0);
            assert!(report.0.contains("\nReturn-Path: <list@mail.test>\n"), "{}", report.0);
        }
        reports.sort();
        let expected = [
            ("list+all=mail.test@mail.test", "gone@mail.test"),
            ("list+away=mail.test@mail.test", "away@mail.test"),
            ("list+gone=mail.test@mail.test", "gone@mail.test"),
        ];
        assert_eq!(reports, expected.map(|(to, failed)| (to.to_owned(), failed.to_owned())));
        // Postmaster hears of each as well.
        assert_eq!(mail.wait_mail("bob", 3).len(), 3);
        mail.wait_log(&["sender non-delivery notification:"]);
    });
}

#[test]
fn one_notification_names_all_where_bounces_are_not_to_be_variable() {
    scenario(|| {
        let mail = list().set("disable_verp_bounces", "yes").set("virtual_alias_maps", "").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("EHLO lists.test").expect("reply");
        for command in ["MAIL FROM:<alice@mail.test> XVERP", "RCPT TO:<gone@mail.test>", "RCPT TO:<away@mail.test>"] {
            assert_eq!(client.command(command).expect("reply").code, 250);
        }
        client.command("DATA").expect("reply");
        client.command("Subject: hello\r\n\r\nbody\r\n.").expect("reply");
        let report = mail.wait_mail("alice", 1).remove(0);
        assert_eq!(report.header("To").as_deref(), Some("alice@mail.test"));
        assert_eq!(report.0.matches("\nFinal-Recipient: ").count(), 2, "{}", report.0);
    });
}

#[test]
fn a_notification_names_the_message_that_it_answers_where_that_is_wanted() {
    scenario(|| {
        let mail = Setup::new().set("enable_threaded_bounces", "yes").start();
        for (field, answered) in [
            ("Message-Id: <one@lists.test>\nReferences: <zero@lists.test>", Some("<one@lists.test>")),
            ("Message-Id:\n <two@lists.test>", Some("<two@lists.test>")),
            ("Message-Id: (c) <three@lists.test> <four@lists.test>", None),
            ("Message-Id: five", None),
        ] {
            let before = mail.wait_mail("carol", 0).len();
            let text = format!("{field}\nSubject: hello\n\nMessage-Id: <body@lists.test>\n");
            mail.sendmail(&["-f", "carol@mail.test", "gone@mail.test"], &text);
            let matches = |message: &testing::maildir::Mail| {
                let value = |name: &str| message.header(name);
                let answered = answered.map(str::to_owned);
                message.0.contains(field) && value("References") == answered && value("In-Reply-To") == answered
            };
            let messages = mail.wait_mail("carol", before + 1);
            assert!(messages.iter().any(matches), "{field}: {messages:?}");
        }
    });
}
