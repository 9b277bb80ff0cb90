//! What becomes of a message on its way out: addresses that are replaced, headers and lines that change, headers in
//! front.

use scenarios::scenario;
use testing::sink::Received;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup, Sink};

/// Sends a message, and waits until the sink has it.
fn through(mail: &Instance, sink: &Sink, recipients: &[&str], text: &str) -> Received {
    let count = sink.count();
    let id = send(mail, recipients, text);
    mail.wait_log(&[&id, "status=sent"]);
    assert!(until_true(PATIENCE, || sink.count() > count), "{}", mail.log());
    sink.received().remove(count)
}

fn send(mail: &Instance, recipients: &[&str], text: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    let reply = client.send("alice@mail.test", recipients, text).expect("sent");
    reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"))
}

/// The message behind the Received header of this system.
fn as_sent(received: &Received) -> &str {
    let received = received.text.split_once("Received: ").expect("a Received header").1;
    received.split_once("(UTC)\n").expect("its date").1
}

/// The message in front of it.
fn heading(received: &Received) -> &str {
    received.text.split_once("Received: ").map_or("", |(heading, _)| heading)
}

const DATED: &str = "Message-Id: <1@mail.test>\nDate: Mon, 30 Nov 2026 10:00:00 +0000\n";

#[test]
fn generic_maps_replace_addresses_of_the_envelope_and_of_the_header_and_no_others() {
    scenario(|| {
        let sink = Sink::v4();
        let table = "inline:{ {alice@mail.test = \"Alice A\"@isp.example}, {bob@other.test=@elsewhere.example}, \
                     {carol@other.test=carol@elsewhere.example, dora@elsewhere.example}, {eve@other.test=eva} }";
        let mail = Setup::new()
            .set("relayhost", sink.next_hop())
            .set("mydestination", "")
            .set("recipient_delimiter", "+")
            .set("smtp_generic_maps", table)
            .start();
        let text = format!(
            "From: Alice <alice@mail.test>\nTo: \"Bob, B\" <bob@other.test>, carol+x@other.test (her),\n eve@other.test\n\
             Cc:   other@other.test\nReply-To: alice@mail.test\nSubject: alice@mail.test\n{DATED}MIME-Version: 1.0\n\
             Content-Type: message/rfc822\n\nFrom: alice@mail.test\n\nalice@mail.test\n"
        );
        let recipients = ["bob@other.test", "carol+x@other.test", "eve@other.test", "other@other.test"];
        let received = through(&mail, &sink, &recipients, &text);
        let expected = format!(
            "From: Alice <\"Alice A\"@isp.example>\nTo: \"Bob, B\" <bob@elsewhere.example>, \
             carol@elsewhere.example (her),\n\teva@mail.test\nCc:   other@other.test\n\
             Reply-To: \"Alice A\"@isp.example\nSubject: alice@mail.test\n{DATED}MIME-Version: 1.0\n\
             Content-Type: message/rfc822\n\nFrom: alice@mail.test\n\nalice@mail.test\n"
        );
        assert_eq!(as_sent(&received), expected);
        assert!(received.sender.starts_with("<\"Alice A\"@isp.example>"), "{}", received.sender);
        let mut to = received.recipients.clone();
        to.sort();
        let expected =
            ["<bob@elsewhere.example>", "<carol@elsewhere.example>", "<eva@mail.test>", "<other@other.test>"];
        assert_eq!(to, expected);
        // The log, and reports, have the recipients that this system knows.
        mail.wait_log(&["to=<carol+x@other.test>", "status=sent"]);
        mail.wait_log(&["multi-valued smtp_generic_maps result for carol+x@other.test"]);
    });
}

#[test]
fn an_extension_goes_on_where_generic_is_among_the_classes_that_propagate_it() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = Setup::new()
            .set("relayhost", sink.next_hop())
            .set("recipient_delimiter", "+")
            .set("propagate_unmatched_extensions", "generic")
            .set("smtp_generic_maps", "inline:{bob@other.test=rob@isp.example}")
            .start();
        let text = format!("From: x@other.test\nTo: bob+list@other.test\n{DATED}\nbody\n");
        let received = through(&mail, &sink, &["bob+list@other.test"], &text);
        assert_eq!(received.recipients, ["<rob+list@isp.example>"]);
        assert!(as_sent(&received).contains("To: rob+list@isp.example\n"), "{}", received.text);
    });
}

#[test]
fn mail_waits_while_a_generic_map_has_no_answer() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = Setup::new().set("relayhost", sink.next_hop()).set("smtp_generic_maps", "fail:x").start();
        let id = send(&mail, &["bob@other.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["fatal: smtp_generic_maps map lookup problem for alice@mail.test"]);
        // The transport is out of order for a while, and then perhaps mended.
        assert!(mail.queue_file("active", &id).or_else(|| mail.queue_file("deferred", &id)).is_some());
        assert_eq!(sink.count(), 0);
    });
}

/// The rules of a table of checks.
fn rules(mail: &mut Instance, parameter: &str, text: &str) {
    let file = mail.etc().join(parameter);
    std::fs::write(&file, text).expect("written");
    mail.set(parameter, &format!("regexp:{}", file.display()));
}

const CHECKED: &str = "From: alice@mail.test\nX-Ignore: 1\nX-Strip: 2\nX-Replace: 3,\n more\nX-No-Header: 4\nX-Prepend: 5\n\
    X-Warn: 6\nX-Info: 7\nX-Dunno: 8\nX-Reject: 9\nX-Hold: 10\n";

#[test]
fn checks_of_what_leaves_change_and_log_headers_and_lines_and_refuse_nothing() {
    scenario(|| {
        let sink = Sink::v4();
        let mut mail = Setup::new().set("relayhost", sink.next_hop()).build();
        let header = "/^X-Ignore/ IGNORE\n/^X-Strip/ STRIP gone\n/^X-Replace/ REPLACE X-Other: new\n\
                      /^X-No-Header/ REPLACE none\n/^X-Prepend/ prepend X-Before: this\n/^X-Warn/ WARN look\n\
                      /^X-Info/ INFO\n/^X-Dunno/ DUNNO\n/^X-Reject/ REJECT no\n/^X-Hold/ HOLD\n/^Content-/ INFO wrong\n";
        rules(&mut mail, "smtp_header_checks", header);
        let mime = "/^X-Part/ REPLACE X-Of-Part: yes\n/^Content-Type: text/ WARN seen\n/^From/ IGNORE\n";
        rules(&mut mail, "smtp_mime_header_checks", mime);
        rules(&mut mail, "smtp_nested_header_checks", "/^From/ IGNORE\n/^Content-/ IGNORE\n");
        let body = "/^one/ REPLACE 1\n/^two/ PREPEND before two\n/^three/ IGNORE\n/^four/ DISCARD\n/^$/ INFO never\n/^dot/ REPLACE .\n";
        rules(&mut mail, "smtp_body_checks", body);
        mail.start();
        let text = format!(
            "{CHECKED}{DATED}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\none\n\n--b\nX-Part: 1\n\ntwo\nthree\n\
             --b\nContent-Type: message/rfc822\n\nFrom: within\nContent-Type: text/plain\n\nfour\ndot\n--b--\n"
        );
        let received = through(&mail, &sink, &["bob@other.test"], &text);
        let expected = format!(
            "From: alice@mail.test\nX-Other: new\nX-No-Header: 4\nX-Before: this\nX-Prepend: 5\nX-Warn: 6\nX-Info: 7\n\
             X-Dunno: 8\nX-Reject: 9\nX-Hold: 10\n{DATED}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n1\n\n\
             --b\nX-Of-Part: yes\n\nbefore two\ntwo\n--b\nContent-Type: message/rfc822\n\nContent-Type: text/plain\n\nfour\n.\n--b--\n"
        );
        assert_eq!(as_sent(&received), expected);
        for line in [
            "strip: header X-Strip: 2: gone",
            "replace: header X-Replace: 3,? more: X-Other: new",
            "prepend: header X-Prepend: 5: X-Before: this",
            "warning: header X-Warn: 6: look",
            "info: header X-Info: 7",
            "replace: header X-Part: 1: X-Of-Part: yes",
            "warning: header Content-Type: text/plain: seen",
            "replace: body one: 1",
            "prepend: body two: before two",
            "warning: bad REPLACE header text \"none\" in smtp_header_checks map -- need \"headername: headervalue\"",
            "warning: unsupported command in smtp_header_checks map: REJECT no",
            "warning: unsupported command in smtp_header_checks map: HOLD",
            "warning: unsupported command in smtp_body_checks map: DISCARD",
        ] {
            assert!(mail.log().lines().any(|logged| logged.ends_with(line)), "{line}\n{}", mail.log());
        }
        assert!(!mail.log().contains("never") && !mail.log().contains("wrong"), "{}", mail.log());
    });
}

#[test]
fn a_message_waits_while_a_table_of_checks_has_no_answer_and_nothing_of_it_counts() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = Setup::new().set("relayhost", sink.next_hop()).set("smtp_body_checks", "fail:x").start();
        let id = send(&mail, &["bob@other.test", "carol@other.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&[&format!("warning: {id}: smtp body checks lookup error")]);
        let reason = "status=deferred (local data error while talking to 127.0.0.1[127.0.0.1])";
        for recipient in ["bob", "carol"] {
            mail.wait_log(&[&id, &format!("to=<{recipient}@other.test>"), "dsn=4.3.0", reason]);
        }
        assert_eq!(sink.count(), 0);
    });
}

/// A system that gives its mail to a sink by LMTP.
fn store(sink: &Sink, flags: &str) -> Setup {
    Setup::new()
        .set("default_transport", format!("lmtp:inet:{}", sink.address()))
        .set("relayhost", "")
        .service(&format!("lmtp unix - - n - - lmtp {flags}"))
}

#[test]
fn flags_put_headers_in_front_with_the_addresses_as_they_leave() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = store(&sink, "flags=DOR")
            .set("lmtp_destination_recipient_limit", "1")
            .set("lmtp_generic_maps", "inline:{bob@other.test=rob@isp.example}")
            .set("lmtp_header_checks", "regexp:{{/^Return-Path/ PREPEND X-First: yes}}")
            .set("virtual_alias_maps", "inline:{robert@other.test=bob@other.test}")
            .start();
        let text = format!("From: alice@mail.test\n{DATED}\nbody\n");
        let received = through(&mail, &sink, &["robert@other.test"], &text);
        let expected = "X-First: yes\nReturn-Path: <alice@mail.test>\nX-Original-To: robert@other.test\n\
                        Delivered-To: rob@isp.example\n";
        assert_eq!(heading(&received), expected);
        let id = send(&mail, &["bob@other.test"], &format!("Delivered-To: ROB@isp.example\n{text}"));
        let reason = "status=bounced (mail forwarding loop for bob@other.test)";
        mail.wait_log(&[&id, "relay=lmtp", "dsn=5.4.6", reason]);
    });
}

#[test]
fn a_header_for_one_recipient_is_not_written_into_the_mail_of_two() {
    scenario(|| {
        let sink = Sink::v4();
        let mail = store(&sink, "flags=DR").start();
        let id = send(&mail, &["bob@other.test", "carol@other.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["warning: flag `D' requires lmtp_destination_recipient_limit = 1"]);
        for recipient in ["bob", "carol"] {
            let reason = "status=deferred (mail system configuration error)";
            mail.wait_log(&[&id, &format!("to=<{recipient}@other.test>"), "relay=lmtp", "dsn=4.3.5", reason]);
        }
        assert_eq!(sink.count(), 0);
    });
}

#[test]
fn a_report_of_success_says_delivered_where_the_server_is_the_last_stop() {
    scenario(|| {
        let sink = Sink::v4();
        for (flags, assume, action) in [("", "no", "relayed"), ("flags=X", "no", "delivered"), ("", "yes", "delivered")]
        {
            let mail = store(&sink, flags).set("lmtp_assume_final", assume).start();
            let mut client = Client::greet(mail.v4()).expect("connected");
            client.command("MAIL FROM:<alice@mail.test>").expect("said");
            client.command("RCPT TO:<bob@other.test> NOTIFY=SUCCESS").expect("said");
            client.command("DATA").expect("said");
            client.command("Subject: x\r\n\r\nbody\r\n.").expect("said");
            let report = mail.wait_mail("alice", 1).remove(0).0;
            assert!(report.contains(&format!("\nAction: {action}")), "{flags}\n{report}");
        }
    });
}

const EIGHT_BIT_PARTS: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\
    Content-Transfer-Encoding: 8bit\n\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: 8bit\n\nh\u{fc}\n\
    --b\nContent-Type: message/rfc822\n\nSubject: in\nContent-Transfer-Encoding: 8bit\nContent-Type: text/plain\n\n\
    h\u{fc}\n--b--\n";

#[test]
fn a_field_that_the_conversion_makes_is_checked_as_one_of_the_header_that_it_is_in() {
    scenario(|| {
        let sink = Sink::v4();
        sink.take_7bit_alone();
        let mut setup = Setup::new().set("relayhost", sink.next_hop());
        for name in ["header", "mime_header", "nested_header"] {
            setup = setup.set(&format!("smtp_{name}_checks"), format!("regexp:{{{{/^Content-/ WARN {name}}}}}"));
        }
        let mail = setup.start();
        let id = send(&mail, &["x@other.test"], EIGHT_BIT_PARTS);
        mail.wait_log(&[&id, "status=sent"]);
        let log = mail.log();
        let told =
            log.lines().filter(|line| line.contains("/smtp[")).filter_map(|line| line.split_once("warning: header "));
        let told: Vec<&str> = told.map(|(_, told)| told).filter(|told| told.starts_with("Content-")).collect();
        let expected = [
            "Content-Type: multipart/mixed; boundary=b: mime_header",
            "Content-Transfer-Encoding: 7bit: header",
            "Content-Type: text/plain: mime_header",
            "Content-Transfer-Encoding: quoted-printable: mime_header",
            "Content-Type: message/rfc822: mime_header",
            "Content-Type: text/plain: mime_header",
            "Content-Transfer-Encoding: quoted-printable: nested_header",
        ];
        assert_eq!(told, expected, "{log}");
    });
}

#[test]
fn the_size_of_a_message_is_told_unless_it_is_converted_on_its_way() {
    scenario(|| {
        let text = "Subject: x\n\nplain\n";
        for (takes_eight, disabled, body, content, is_told) in [
            (true, "no", "8BITMIME", EIGHT_BIT_PARTS, true),
            (false, "no", "8BITMIME", EIGHT_BIT_PARTS, false),
            (false, "no", "8BITMIME", text, false),
            (false, "no", "7BIT", text, true),
            (false, "yes", "8BITMIME", EIGHT_BIT_PARTS, true),
        ] {
            let sink = Sink::v4();
            sink.ask_for_size();
            if !takes_eight {
                sink.take_7bit_alone();
            }
            let setup = Setup::new().set("relayhost", sink.next_hop());
            let mail = setup.set("disable_mime_output_conversion", disabled).start();
            mail.sendmail(&["-B", body, "-f", "alice@mail.test", "x@other.test"], content);
            mail.wait_log(&["to=<x@other.test>", "status=sent"]);
            assert!(until_true(PATIENCE, || sink.count() == 1), "{}", mail.log());
            let sender = sink.received().remove(0).sender;
            assert_eq!(sender.contains(" SIZE="), is_told, "{takes_eight} {disabled} {body} {sender}");
        }
    });
}

#[test]
fn what_is_looked_at_on_its_way_out_loses_no_more_than_in_postfix() {
    scenario(|| {
        let sink = Sink::v4();
        let body = |line: &str| {
            format!(
                "Subject: {}\n {}\n {}\nX-Y: {}\n{DATED}From: alice@mail.test\n\n{line}\nshort\n",
                "s".repeat(150),
                "t".repeat(150),
                "u".repeat(150),
                "y".repeat(500)
            )
        };
        // A line that begins beyond header_size_limit goes, and one that begins before it stays as a whole. Pieces of a
        // long line are checked one by one, and stay one line.
        for (rule, line) in [
            ("WARN w", "x".repeat(5000)),
            ("REPLACE R", "RRR".to_owned()),
            ("PREPEND P", format!("P\n{0}P\n{0}P\n{1}", "x".repeat(2048), "x".repeat(904))),
        ] {
            let setup = Setup::new().set("relayhost", sink.next_hop()).set("smtp_line_length_limit", "0");
            let mut mail = setup.set("smtp_body_checks", format!("regexp:{{{{/^x/ {rule}}}}}")).build();
            mail.remove_service("smtp");
            mail.add_service("smtp unix - - n - - smtp -o header_size_limit=200");
            mail.start();
            let received = through(&mail, &sink, &["a@other.test"], &body(&"x".repeat(5000)));
            let expected = body(&line).replace(&format!(" {}\n", "u".repeat(150)), "");
            assert_eq!(as_sent(&received), expected, "{rule}");
        }
    });
}
