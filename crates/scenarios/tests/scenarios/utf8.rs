//! Addresses and headers outside ASCII: SMTPUTF8 (RFC 6531), from the client to the notification.

use scenarios::scenario;
use testing::dns::Zone;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup, Sink, World};

const TEXT: &str = "Subject: x\r\n\r\nbody\r\n.";

/// A session with what is said in it; the last line of each reply.
fn play(mail: &Instance, lines: &[&str]) -> Vec<String> {
    let mut client = Client::greet(mail.v4()).expect("connected");
    lines.iter().map(|line| client.command(line).expect("a reply").last()).collect()
}

/// A message of one session; its queue id.
fn send(mail: &Instance, from: &str, to: &str, text: &str) -> String {
    let mut client = Client::greet(mail.v6()).expect("connected");
    for line in [format!("MAIL FROM:{from}"), format!("RCPT TO:{to}")] {
        let reply = client.command(&line).expect("a reply");
        assert_eq!(reply.code, 250, "{line}: {reply:?}");
    }
    client.command("DATA").expect("a reply");
    let reply = client.command(text).expect("a reply");
    reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"))
}

fn announces(mail: &Instance) -> bool {
    let mut client = Client::connect(mail.v4()).expect("connected");
    client.command("EHLO client.test").expect("a reply").lines.iter().any(|line| line == "SMTPUTF8")
}

#[test]
fn a_domain_outside_ascii_is_for_those_who_ask_for_smtputf8() {
    const BAD_SENDER: &str = "501 5.1.7 Bad sender address syntax";
    const BAD_RECIPIENT: &str = "501 5.1.3 Bad recipient address syntax";
    scenario(|| {
        let mail = Setup::new().set("relayhost", "[127.0.0.1]:1").set("smtpd_soft_error_limit", "100").start();
        assert!(announces(&mail));
        let replies = play(
            &mail,
            &[
                "MAIL FROM:<s@müller.test>",
                "MAIL FROM:<s@müller.test> FOO",
                "MAIL FROM:<s@müller.test> SMTPUTF8=1",
                "MAIL FROM:<s@client.test> SMTPUTF8=1",
                "MAIL FROM:<ü@client.test>",
                "RCPT TO:<r@bücher.test>",
                "RCPT TO:<ü@other.test>",
                "RSET",
                "MAIL FROM:<s@müller.test> SIZE=10 smtpUTF8",
                "RCPT TO:<r@bücher.test>",
                "RCPT TO:<\"j ü\"@other.test>",
                "RCPT TO:<r@b\u{202e}ücher.test>",
                "RCPT TO:<r@-ü.test>",
                "RCPT TO:<r@ü..test>",
                "RCPT TO:<r@[ü]>",
                "RCPT TO:<r@ab--ü.test>",
            ],
        );
        let expected = [
            BAD_SENDER,
            BAD_SENDER,
            BAD_SENDER,
            "555 5.5.4 Unsupported option: SMTPUTF8=1",
            "250 2.1.0 Ok",
            BAD_RECIPIENT,
            "250 2.1.5 Ok",
            "250 2.0.0 Ok",
            "250 2.1.0 Ok",
            "250 2.1.5 Ok",
            "250 2.1.5 Ok",
            BAD_RECIPIENT,
            BAD_RECIPIENT,
            BAD_RECIPIENT,
            BAD_RECIPIENT,
            BAD_RECIPIENT,
        ];
        assert_eq!(replies, expected);
        mail.wait_log(&["warning: Illegal address syntax from", "in RCPT command: <r@bücher.test>"]);
    });
}

#[test]
fn vrfy_takes_smtputf8_as_mail_does() {
    const BAD: &str = "501 5.1.3 Bad recipient address syntax";
    scenario(|| {
        let mail = Setup::new().set("local_recipient_maps", "").start();
        let replies = play(
            &mail,
            &[
                "VRFY",
                "VRFY SMTPUTF8",
                "VRFY <ü@mail.test>",
                "VRFY <ü@mail.test> SMTPUTF8",
                "VRFY <u@mail.test>  smtputf8 ",
                "VRFY u@bücher.test",
                "VRFY u@mail.test FOO",
                "ETRN bücher.test",
            ],
        );
        let expected = [
            "501 5.5.4 Syntax: VRFY address [SMTPUTF8]",
            "501 5.5.4 Syntax: VRFY address [SMTPUTF8]",
            "252 2.0.0 <ü@mail.test>",
            "252 2.0.0 <ü@mail.test>",
            "252 2.0.0 <u@mail.test>",
            BAD,
            BAD,
            "501 Error: invalid parameter syntax",
        ];
        assert_eq!(replies, expected);
    });
}

#[test]
fn commands_that_are_not_utf8_are_refused() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        for bytes in [&b"\xfc"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
            for (before, after) in [("NOOP ", ""), ("MAIL FROM:<", "@client.test> SMTPUTF8"), ("EHLO ", ".test")] {
                client.write(&[before.as_bytes(), bytes, after.as_bytes(), b"\r\n"].concat()).expect("sent");
                assert_eq!(client.reply().expect("a reply").last(), "500 5.5.2 Error: bad UTF-8 syntax");
            }
        }
    });
}

#[test]
fn strict_smtputf8_wants_every_address_outside_ascii_to_be_declared() {
    const UNDECLARED: &str = "553 5.6.7 Must declare SMTPUTF8 to send unicode address";
    scenario(|| {
        let mail = Setup::new().set("strict_smtputf8", "yes").set("relayhost", "[127.0.0.1]:1").start();
        let replies = play(
            &mail,
            &[
                "MAIL FROM:<ü@client.test>",
                "MAIL FROM:<ü@client.test> FOO",
                "MAIL FROM:<s@client.test>",
                "RCPT TO:<ü@other.test>",
                "RCPT TO:<r@other.test> ORCPT=utf-8;ü@other.test",
                "VRFY ü@mail.test",
                "RSET",
                "MAIL FROM:<ü@client.test> SMTPUTF8",
                "RCPT TO:<ü@other.test>",
            ],
        );
        let expected = [
            UNDECLARED,
            "555 5.5.4 Unsupported option: FOO",
            "250 2.1.0 Ok",
            UNDECLARED,
            "250 2.1.5 Ok",
            UNDECLARED,
            "250 2.0.0 Ok",
            "250 2.1.0 Ok",
            "250 2.1.5 Ok",
        ];
        assert_eq!(replies, expected);
    });
}

#[test]
fn without_smtputf8_nothing_is_announced_and_bytes_are_bytes_and_the_log_is_ascii() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = Setup::new().set("relayhost", sink.next_hop()).set("smtputf8_enable", "no").start();
        assert!(!announces(&mail));
        let replies = play(&mail, &["VRFY", "MAIL FROM:<s@client.test> SMTPUTF8", "MAIL FROM:<s@müller.test>"]);
        let expected = [
            "501 5.5.4 Syntax: VRFY address",
            "555 5.5.4 Unsupported option: SMTPUTF8",
            "501 5.1.7 Bad sender address syntax",
        ];
        assert_eq!(replies, expected);
        let id = send(&mail, "<ü@client.test>", "<jü@other.test>", TEXT);
        mail.wait_log(&[&id, "to=<j??@other.test>", "status=sent"]);
        mail.wait_log(&[&id, "from=<??@client.test>"]);
        assert_eq!(sink.received()[0].recipients, ["<jü@other.test>"]);
    });
}

#[test]
fn a_client_from_which_the_keyword_is_kept_cannot_use_it() {
    scenario(|| {
        let mail = Setup::new().set("smtpd_discard_ehlo_keywords", "silent-discard, smtputf8").start();
        assert!(!announces(&mail));
        let replies = play(&mail, &["MAIL FROM:<s@client.test> smtputf8", "VRFY alice@mail.test SMTPUTF8"]);
        assert_eq!(replies[0], "555 5.5.4 Unsupported option: smtputf8");
        assert_eq!(replies[1], "501 5.1.3 Bad recipient address syntax");
    });
}

#[test]
fn what_came_with_smtputf8_goes_on_with_it() {
    scenario(|| {
        for sink in [Sink::v4().take_utf8(), Sink::v6().take_utf8()] {
            let mail = Setup::new().set("relayhost", sink.next_hop()).start();
            let id = send(&mail, "<s@müller.test> SMTPUTF8", "<jü@other.test>", TEXT);
            mail.wait_log(&[&id, "to=<jü@other.test>", "status=sent"]);
            // Nobody needs it, and it is asked for all the same.
            send(&mail, "<s@client.test> SMTPUTF8", "<r@other.test> ORCPT=utf-8;j\\x{FC}+@x.test", TEXT);
            send(&mail, "<ü@client.test>", "<jü@other.test>", "Subject: grü\r\n\r\nbody\r\n.");
            assert!(until_true(PATIENCE, || sink.count() == 3), "{}", mail.log());
            let mut received = sink.received();
            received.sort_by_key(|received| received.text.contains("grü"));
            let utf8: Vec<bool> = received.iter().map(|received| received.sender.ends_with(" SMTPUTF8")).collect();
            assert_eq!(utf8, [true, true, false]);
            let with = |at: usize| received[at].text.contains(" with UTF8SMTP id ");
            assert_eq!([with(0), with(1), with(2)], [true, true, false]);
            let recipients: Vec<&str> = received.iter().map(|received| received.recipients[0].as_str()).collect();
            assert!(recipients.contains(&"<jü@other.test> ORCPT=rfc822;j+C3+BC@other.test"), "{recipients:?}");
            assert!(recipients.contains(&"<r@other.test> ORCPT=utf-8;j\\x{FC}\\x{2B}@x.test"), "{recipients:?}");
        }
    });
}

#[test]
fn what_needs_smtputf8_is_returned_where_no_server_has_it_in_the_form_for_utf8() {
    const NONE: &str = "message requires SMTPUTF8, but no server was found that supports SMTPUTF8";
    scenario(|| {
        let sink = Sink::v6();
        let mail = Setup::new().set("relayhost", sink.next_hop()).start();
        for (to, text) in [("<r@other.test>", "Subject: grü\r\n\r\nbody\r\n."), ("<jü@other.test>", TEXT)] {
            let id = send(&mail, "<alice@mail.test> SMTPUTF8", to, text);
            mail.wait_log(&[&id, "dsn=5.6.7", "status=bounced", NONE, ". The last attempted server was ::1[::1]"]);
        }
        let notices = mail.wait_mail("alice", 2);
        let about = |part: &str| notices.iter().map(|mail| mail.0.as_str()).find(|mail| mail.contains(part));
        let plain = about("Final-Recipient: rfc822; r@other.test").expect("a notification");
        let international = about("Final-Recipient: utf-8; jü@other.test").expect("a notification");
        for notice in [plain, international] {
            for line in [
                "Content-Type: multipart/report; report-type=delivery-status;",
                "Content-Type: message/global-delivery-status",
                "Content-Type: message/global",
                "X-Postfix-Sender: rfc822; alice@mail.test",
                "Status: 5.6.7",
            ] {
                assert!(notice.lines().any(|found| found == line), "{line}: {notice}");
            }
            assert!(!notice.contains("Remote-MTA"), "{notice}");
        }
        assert!(international.contains("Original-Recipient: rfc822;jü@other.test"), "{international}");
        // Nothing was said of SMTPUTF8: it goes on as ever.
        let id = send(&mail, "<ü@client.test>", "<jü@other.test>", "Subject: grü\r\n\r\nbody\r\n.");
        mail.wait_log(&[&id, "status=sent"]);
        // Nothing needs it.
        let id = send(&mail, "<s@client.test> SMTPUTF8", "<r@other.test>", TEXT);
        mail.wait_log(&[&id, "status=sent"]);
        assert!(sink.received().iter().all(|received| !received.sender.contains("SMTPUTF8")));
    });
}

#[test]
fn local_mail_is_found_to_need_smtputf8_and_other_mail_where_the_site_wants_it() {
    const PART: &str =
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nX-Part: ü\n\nbody\n--b--\n";
    scenario(|| {
        let sink = Sink::v4().take_utf8();
        let mut mail = Setup::new().set("relayhost", sink.next_hop()).start();
        let asked = |mail: &Instance, count: usize| {
            assert!(until_true(PATIENCE, || sink.count() == count), "{}", mail.log());
            let received = sink.received().pop().expect("a message");
            (received.sender.ends_with(" SMTPUTF8"), received.recipients[0].clone())
        };
        let plain = "Subject: x\n\nbody\n";
        let mut count = 0;
        for (from, to, text, expected) in [
            ("s@client.test", "r@other.test", plain, false),
            ("s@client.test", "r@other.test", "Subject: grü\n\nbody\n", true),
            ("s@client.test", "r@other.test", "Subject: x\n\nbodü\n", false),
            ("s@client.test", "r@other.test", PART, true),
            ("ü@client.test", "r@other.test", plain, true),
            ("s@client.test", "jü@other.test", plain, true),
        ] {
            count += 1;
            mail.sendmail(&["-f", from, to], text);
            let (asked, recipient) = asked(&mail, count);
            assert_eq!(asked, expected, "{from} {to} {text}");
            if to.starts_with('j') {
                assert_eq!(recipient, "<jü@other.test> ORCPT=utf-8;j\\x{FC}@other.test");
            }
        }
        send(&mail, "<ü@client.test>", "<jü@other.test>", TEXT);
        assert!(!asked(&mail, count + 1).0);
        // Not by a reload: processes of C Postfix from before it may take one more message. The sink has the message
        // before qmgr knows of it.
        mail.wait_idle();
        mail.stop();
        mail.set("smtputf8_autodetect_classes", "smtpd, bounce");
        mail.start();
        send(&mail, "<ü@client.test>", "<jü@other.test>", TEXT);
        let (utf8, recipient) = asked(&mail, count + 2);
        assert_eq!((utf8, recipient.as_str()), (true, "<jü@other.test> ORCPT=rfc822;j+C3+BC@other.test"));
        mail.sendmail(&["-f", "s@client.test", "r@other.test"], "Subject: grü\n\nbody\n");
        assert!(!asked(&mail, count + 3).0);
    });
}

#[test]
fn sendmail_asks_for_smtputf8_by_an_option() {
    scenario(|| {
        let sink = Sink::v4().take_utf8();
        let mut mail = Setup::new().set("relayhost", sink.next_hop()).start();
        let run = |mail: &Instance, option: &str| {
            mail.run_with("sendmail", &["-O", option, "-f", "s@client.test", "r@other.test"], b"Subject: x\n\nbody\n")
        };
        let said = |output: std::process::Output| String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let quiet = ["SMTPUTF8=yes", "smtputf8=Yes", "SMTPUTF8=no", "X=y"];
        for option in quiet {
            assert_eq!(said(run(&mail, option)), "");
        }
        assert_eq!(said(run(&mail, "SMTPUTF8=maybe")), "sendmail: warning: bad -O option: 'SMTPUTF8=maybe' -- ignored");
        assert!(until_true(PATIENCE, || sink.count() == 5), "{}", mail.log());
        let asked = |sink: &Sink| sink.received().iter().filter(|mail| mail.sender.ends_with(" SMTPUTF8")).count();
        assert_eq!(asked(&sink), 2);
        mail.wait_idle();
        mail.set("smtputf8_enable", "no");
        mail.reload();
        assert_eq!(
            said(run(&mail, "SMTPUTF8=yes")),
            "sendmail: warning: '-O SMTPUTF8=yes' was requested, but the configuration is 'smtputf8_enable = no'"
        );
        assert!(until_true(PATIENCE, || sink.count() == 6), "{}", mail.log());
        assert_eq!(asked(&sink), 2);
    });
}

#[test]
fn a_domain_outside_ascii_is_looked_up_as_dns_has_it_and_named_as_it_was_written() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        world.address("2001:db8::25".parse().expect("address"));
        let zone = Zone::new().mx("xn--bcher-kva.test", "mx.other.test", 10).host("mx.other.test", &["2001:db8::25"]);
        let _dns = zone.host("xn--strae-oqa.test", &["2001:db8::25"]).start();
        let mail = Setup::new().set("relayhost", "").set("inet_interfaces", "127.0.0.1, ::1").start();
        let sink = Sink::at(("2001:db8::25".parse::<std::net::IpAddr>().expect("address"), 25).into()).take_utf8();
        for domain in ["bücher.test", "BÜCHER.test", "bücher。test", "bu\u{308}cher.test", "straße.test"] {
            let count = sink.count() + 1;
            let id = send(&mail, "<s@client.test> SMTPUTF8", &format!("<r@{domain}>"), TEXT);
            mail.wait_log(&[&id, &format!("to=<r@{domain}>"), "[2001:db8::25]:25", "status=sent"]);
            assert!(until_true(PATIENCE, || sink.count() == count));
            let recipients = sink.received().pop().expect("a message").recipients;
            assert!(recipients[0].starts_with(&format!("<r@{domain}>")), "{recipients:?}");
        }
    });
}

#[test]
fn the_rules_of_idna2003_are_there_for_those_who_ask_for_them() {
    scenario(|| {
        let Some(world) = World::enter() else { return };
        world.address("192.0.2.25".parse().expect("address"));
        let _dns = Zone::new().host("strasse.test", &["192.0.2.25"]).start();
        let setup = Setup::new().set("relayhost", "").set("inet_interfaces", "127.0.0.1, ::1");
        let mail = setup.set("enable_idna2003_compatibility", "yes").start();
        let _sink = Sink::at(("192.0.2.25".parse::<std::net::IpAddr>().expect("address"), 25).into()).take_utf8();
        let id = send(&mail, "<s@client.test> SMTPUTF8", "<r@straße.test>", TEXT);
        mail.wait_log(&[&id, "to=<r@straße.test>", "relay=strasse.test[192.0.2.25]:25", "status=sent"]);
    });
}

#[test]
fn what_an_alias_sends_on_needs_smtputf8_as_before() {
    scenario(|| {
        let sink = Sink::v4().take_utf8();
        let setup = Setup::new().set("relayhost", sink.next_hop()).set("local_recipient_maps", "");
        let mail = setup.set("alias_maps", "inline:{away=jü@other.test}").start();
        send(&mail, "<s@client.test> SMTPUTF8", "<away@mail.test>", TEXT);
        assert!(until_true(PATIENCE, || sink.count() == 1), "{}", mail.log());
        send(&mail, "<s@client.test>", "<away@mail.test>", TEXT);
        assert!(until_true(PATIENCE, || sink.count() == 2), "{}", mail.log());
        let received = sink.received();
        let utf8: Vec<bool> = received.iter().map(|received| received.sender.ends_with(" SMTPUTF8")).collect();
        assert_eq!(utf8, [true, false]);
        assert!(received.iter().all(|received| received.recipients[0].starts_with("<jü@other.test>")));
    });
}

#[test]
fn orcpt_of_an_address_in_utf8_holds_no_control_character() {
    scenario(|| {
        let mail = Setup::new().start();
        let replies = play(
            &mail,
            &[
                "MAIL FROM:<s@client.test>",
                "RCPT TO:<alice@mail.test> ORCPT=utf-8;j\\x{A}R@x",
                "RCPT TO:<alice@mail.test> ORCPT=utf-8;j\\x{D800}@x",
                "RCPT TO:<alice@mail.test> ORCPT=utf-8;j\\x{85}@x",
            ],
        );
        assert_eq!(replies[1..], ["501 5.5.4 Error: Bad ORCPT parameter syntax"; 3]);
        assert_eq!(
            play(&mail, &["MAIL FROM:<s@client.test>", "RCPT TO:<alice@mail.test> ORCPT=utf-8;j\\x{FC}@x"])[1],
            "250 2.1.5 Ok"
        );
    });
}

#[test]
fn without_smtputf8_replies_have_blanks_for_bytes_beyond_ascii() {
    scenario(|| {
        let setup = Setup::new().set("smtputf8_enable", "no").set("smtpd_delay_reject", "no");
        let mail = setup.set("smtpd_sender_restrictions", "check_sender_access static:{REJECT nö!}").start();
        assert_eq!(play(&mail, &["MAIL FROM:<mü@x.test>"]), ["554 5.7.1 <m  @x.test>: Sender address rejected: n  !"]);
    });
}
