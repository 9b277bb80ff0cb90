//! What clients write in unusual ways, and what access tables make of a message: both as Postfix takes them.

use scenarios::scenario;
use testing::{Client, Instance, Setup};

/// The reply to each of these lines.
fn play(mail: &Instance, lines: &[&str]) -> Vec<String> {
    let mut client = Client::greet(mail.v4()).expect("connected");
    lines.iter().map(|line| client.command(line).expect("a reply").last()).collect()
}

/// Sends a message that a table holds, and shows the queue file.
fn held(mail: &Instance, lines: &[&str], header: &str) -> String {
    let mut client = Client::greet(mail.v4()).expect("connected");
    for line in lines {
        let reply = client.command(line).expect("a reply").last();
        assert!(reply.starts_with("250"), "{line}: {reply}");
    }
    assert!(client.command("DATA").expect("a reply").last().starts_with("354"));
    let reply = client.command(&format!("{header}\r\n\r\nbody\r\n.")).expect("a reply");
    let id = reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"));
    mail.wait_queue("hold", &id);
    mail.output("postcat", &["-ebh", "-q", &id])
}

/// The lines of a queue file that begin with one of these words.
fn lines<'s>(shown: &'s str, words: &[&str]) -> Vec<&'s str> {
    shown.lines().filter(|line| words.iter().any(|word| line.starts_with(word))).collect()
}

const COMPLETE: &str = "From: f@x.test\r\nDate: d\r\nMessage-Id: <m@x.test>";

#[test]
fn vrfy_takes_an_address_whose_quotes_are_not_closed() {
    scenario(|| {
        let mail = Setup::new().set("smtpd_reject_unlisted_recipient", "no").start();
        for written in ["<\"@mail.test>", "<alice@mail.test\\>", "<\"\\\"@mail.test>"] {
            assert_eq!(play(&mail, &[&format!("VRFY {written}")]), [format!("252 2.0.0 {written}")]);
            let refused = "501 5.1.3 Bad recipient address syntax";
            assert_eq!(play(&mail, &["MAIL FROM:<a@b.test>", &format!("RCPT TO:{written}")])[1], refused);
        }
    });
}

#[test]
fn a_list_of_notifications_may_have_empty_places_and_nothing_else_that_it_should_not() {
    scenario(|| {
        let mail = Setup::new().start();
        for (list, code) in
            [("SUCCESS,", "250"), (",SUCCESS", "250"), ("SUCCESS,,DELAY", "250"), (",", "501"), ("NEVER,x", "501")]
        {
            let said = play(&mail, &["MAIL FROM:<a@b.test>", &format!("RCPT TO:<alice@mail.test> NOTIFY={list}")]);
            assert!(said[1].starts_with(code), "{list}: {}", said[1]);
        }
        mail.wait_log(&["warning: unknown DSN NOTIFY command value \"x\" in \"NEVER,x\""]);
    });
}

#[test]
fn of_several_things_that_are_wrong_the_first_is_told() {
    scenario(|| {
        let mail = Setup::new().set("smtpd_discard_ehlo_keywords", "dsn").start();
        let (unsupported, no_dsn) = ("555 5.5.4 Unsupported option: ", "501 5.7.1 DSN support is disabled");
        for (line, expected) in [
            ("MAIL FROM:<a@b.test> XVERP RET=x", format!("{unsupported}XVERP")),
            ("MAIL FROM:<a@b.test> RET=x SIZE=x", no_dsn.to_owned()),
            ("MAIL FROM:<a@b.test> AUTH=<> AUTH=a", "250 2.1.0 Ok".to_owned()),
            ("MAIL FROM:<a@b.test> AUTH=a AUTH=<>", "503 5.5.4 Error: multiple AUTH= options".to_owned()),
            ("MAIL FROM:<a@b.test> FOO ENVID=", format!("{unsupported}FOO")),
            ("MAIL FROM:<a@.> FOO", "501 5.1.7 Bad sender address syntax".to_owned()),
            ("MAIL FROM:a<b@c.test", "501 5.1.7 Bad sender address syntax".to_owned()),
            ("BDAT 0", "551 5.7.1 Null BDAT request".to_owned()),
            ("ETRN mail.test\tx", "500 Syntax: ETRN domain".to_owned()),
        ] {
            assert_eq!(play(&mail, &[line])[0], expected, "{line}");
        }
        for (parameters, expected) in [
            ("<alice@mail.test> NOTIFY=x FOO", no_dsn.to_owned()),
            ("<alice@mail.test> FOO ORCPT=", format!("{unsupported}FOO")),
            ("<alice@.> FOO", "501 5.1.3 Bad recipient address syntax".to_owned()),
            ("a<alice@mail.test", "501 5.1.3 Bad recipient address syntax".to_owned()),
        ] {
            let replies = play(&mail, &["MAIL FROM:<a@b.test>", &format!("RCPT TO:{parameters}")]);
            assert_eq!(replies[1], expected, "{parameters}");
        }
        mail.wait_log(&["warning: Illegal address syntax from unknown[127.0.0.1] in MAIL command: <a@.>"]);
        mail.wait_log(&["warning: NOQUEUE: null BDAT request from unknown[127.0.0.1]"]);
    });
}

#[test]
fn the_name_in_ehlo_is_ascii_where_smtputf8_is_not_wanted() {
    scenario(|| {
        let refuse = "check_helo_access static:{REJECT x}";
        for (wanted, shown) in [("no", "??.test"), ("yes", "\u{fc}.test")] {
            let mail = Setup::new().set("smtputf8_enable", wanted).set("smtpd_helo_restrictions", refuse).start();
            let lines = ["EHLO \u{fc}.test", "MAIL FROM:<a@b.test>", "RCPT TO:<alice@mail.test>"];
            assert_eq!(play(&mail, &lines)[2], format!("554 5.7.1 <{shown}>: Helo command rejected: x"));
        }
    });
}

#[test]
fn the_queue_file_has_what_the_client_said_of_sender_and_recipient() {
    scenario(|| {
        let mail = Setup::new()
            .set("smtpd_recipient_restrictions", "check_recipient_access static:HOLD")
            .set("smtpd_reject_unlisted_recipient", "no")
            .start();
        for (sender, recipient, expected) in [
            ("<a@b.test> AUTH=c@d.test", "<\"alice\"@mail.test>", "rfc822;\"alice\"@mail.test"),
            ("<a@b.test>", "<@x,@y:alice@mail.test>", "rfc822;@x,@y:alice@mail.test"),
            ("<a@b.test>", "alice@mail.test", "rfc822;alice@mail.test"),
            ("<a@b.test>", "<alice@mail.test(c)>", "rfc822;alice@mail.test(c)"),
            ("<a@b.test>", "<alice@mail.test> ORCPT=rfc822;o@x.test", "rfc822;o@x.test"),
        ] {
            let shown = held(&mail, &[&format!("MAIL FROM:{sender}"), &format!("RCPT TO:{recipient}")], COMPLETE);
            let expected = format!("named_attribute: dsn_orig_rcpt={expected}");
            assert_eq!(lines(&shown, &["named_attribute: dsn_orig_rcpt"]), [expected], "{shown}");
            assert_eq!(shown.contains("sasl_sender=c@d.test"), sender.contains("AUTH"), "{shown}");
            assert_eq!(lines(&shown, &["recipient: "]), ["recipient: alice@mail.test"]);
        }
        mail.wait_log(&["client=", "sasl_sender=c@d.test"]);
    });
}

#[test]
fn mailer_daemon_of_this_site_is_the_null_sender() {
    scenario(|| {
        let mail = Setup::new().set("smtpd_data_restrictions", "check_sender_access static:HOLD").start();
        for (sender, expected) in [
            ("MAILER-DAEMON", "sender: "),
            ("mailer-daemon@mail.test", "sender: "),
            ("mailer-daemon@x.test", "sender: mailer-daemon@x.test"),
        ] {
            let shown = held(&mail, &[&format!("MAIL FROM:<{sender}>"), "RCPT TO:<alice@mail.test>"], "Subject: x");
            let from = if expected == "sender: " { "MAILER-DAEMON" } else { "mailer-daemon@x.test" };
            assert_eq!(lines(&shown, &["sender:", "From:"]), [expected, &format!("From: {from}")], "{sender}: {shown}");
        }
    });
}

#[test]
fn of_two_filters_and_two_other_recipients_that_of_the_header_counts_and_a_copy_comes_once() {
    scenario(|| {
        let tables = "check_recipient_access inline:{ {f@mail.test = FILTER first:1}, {r@mail.test = REDIRECT r1@mail.test}, \
                      {b@mail.test = BCC alice@mail.test} }";
        let mail = Setup::new()
            .set("smtpd_recipient_restrictions", tables)
            .set("smtpd_data_restrictions", "check_sender_access static:HOLD")
            .set("smtpd_end_of_data_restrictions", "check_sender_access inline:{{e@x.test = FILTER late:1}}")
            .set("header_checks", "regexp:{{/^X: y/ FILTER header:1}, {/^X: z/ REDIRECT r2@mail.test}}")
            .set("smtpd_reject_unlisted_recipient", "no")
            .start();
        let play = |sender: &str, recipients: &[&str], header: &str| {
            let recipients = recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}@mail.test>"));
            let said: Vec<String> = std::iter::once(format!("MAIL FROM:<{sender}>")).chain(recipients).collect();
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            let shown = held(&mail, &said, &format!("{header}\r\n{COMPLETE}"));
            lines(&shown, &["content_filter", "redirect_to", "recipient: "]).join("|")
        };
        assert_eq!(
            play("e@x.test", &["f"], "X: y"),
            "recipient: f@mail.test|content_filter: late:1|content_filter: header:1"
        );
        assert_eq!(play("s@x.test", &["f"], "X: x"), "recipient: f@mail.test|content_filter: first:1");
        assert_eq!(
            play("s@x.test", &["r"], "X: z"),
            "recipient: r@mail.test|redirect_to: r1@mail.test|redirect_to: r2@mail.test"
        );
        let (alice, copied) = ("recipient: alice@mail.test", "recipient: b@mail.test");
        assert_eq!(play("s@x.test", &["alice", "b"], "X: x"), format!("{alice}|{copied}"));
        assert_eq!(play("s@x.test", &["b"], "X: x"), format!("{copied}|{alice}"));
    });
}

#[test]
fn the_first_recipient_by_its_address_stands_for_all_that_are_redirected() {
    scenario(|| {
        let mail = Setup::new()
            .set("smtpd_data_restrictions", "check_sender_access static:{REDIRECT alice@mail.test}")
            .set("smtpd_reject_unlisted_recipient", "no")
            .start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let to = ["c@mail.test", "d@mail.test", "b@mail.test"];
        let reply = client.send("s@x.test", &to, "Subject: x\n\nbody\n").expect("a reply");
        let id = reply.queue_id().expect("a message");
        mail.wait_log(&[&id, "to=<alice@mail.test>, orig_to=<b@mail.test>", "status=sent"]);
    });
}

#[test]
fn addresses_in_headers_are_written_as_postfix_writes_them() {
    scenario(|| {
        let mail = Setup::new().set("smtpd_data_restrictions", "check_sender_access static:HOLD").start();
        for (written, expected) in [
            ("\"alice\"@x.test (c)", "alice@x.test (c)"),
            ("a..b@x.test, \"a b\"@x.test", "\"a..b\"@x.test, \"a b\"@x.test"),
            ("bob (x) @ mail.test (y)", "bob (x) @ mail.test (y)"),
            ("bob (x) @ mail.test (y), a", "bob@mail.test (x) (y), a@mail.test"),
            ("(c) a, n (d) <b>, <(e) b>", "a@mail.test (c), n (d) <b@mail.test>, <b@mail.test (e)>"),
            ("a, , b,", "a@mail.test, , b@mail.test, "),
            ("a (b) c", "a@mail.test, c@mail.test (b)"),
            ("g: a; b, h: a; n <b>", "g: a@mail.test;, b@mail.test, h: a@mail.test;n <b@mail.test>"),
            ("<a> <b>", "<a@mail.test> <b@mail.test>"),
            ("@x.test", "\"\"@x.test"),
            ("a\\,b@x.test", "a\\,b@x.test"),
            // A quoted local part has no domain and asks for no further routing.
            ("\"a@b\"", "\"a@b\"@mail.test"),
            ("x \"a@b\"", "x@mail.test, \"a@b\"@mail.test"),
            ("\"a%b\", <\"a!b\">", "a%b@mail.test, <a!b@mail.test>"),
            // A bracket that is not closed is a character of a local part.
            ("<a@b, c@d", "\"<a\"@b, c@d"),
            ("<a@b x", "\"<a\"@b, x@mail.test"),
            ("a <b, c <d>", "\"a <b\"@mail.test, c <d@mail.test>"),
            ("<a <b@c>", "<a <b@c>"),
        ] {
            let header = format!("{COMPLETE}\r\nTo: {written}");
            let shown = held(&mail, &["MAIL FROM:<s@x.test>", "RCPT TO:<alice@mail.test>"], &header);
            assert_eq!(lines(&shown, &["To: "]), [format!("To: {expected}")], "{written}");
        }
    });
}

#[test]
fn a_header_with_a_blank_before_its_colon_is_checked_without_it_and_a_folded_message_id_is_logged_in_one_line() {
    scenario(|| {
        let mail = Setup::new().set("header_checks", "regexp:{{/^Subject: x/ REJECT}}").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut send = |text: &str| client.send("s@x.test", &["alice@mail.test"], text).expect("a reply").last();
        assert!(send("Subject : x\n\nbody\n").starts_with("550"));
        assert!(send("Message-Id:\n <folded@x.test>\n\nbody\n").starts_with("250"));
        mail.wait_log(&["message-id=<folded@x.test>"]);
    });
}

#[test]
fn a_footer_names_the_first_recipient_that_was_taken() {
    scenario(|| {
        let mail = Setup::new().set("smtpd_reject_footer", "\\c; to=$recipient").start();
        let (nobody, alice) = ("RCPT TO:<nobody@mail.test>", "RCPT TO:<alice@mail.test>");
        let said = play(&mail, &["MAIL FROM:<s@x.test>", nobody, alice, nobody, "RCPT TO:<bob@mail.test>", nobody]);
        assert!(said[1].ends_with("User unknown in local recipient table; to="), "{}", said[1]);
        for refused in [&said[3], &said[5]] {
            assert!(refused.ends_with("User unknown in local recipient table; to=alice@mail.test"), "{refused}");
        }
    });
}

#[test]
fn a_check_that_refuses_for_now_is_no_problem_of_the_postmaster() {
    scenario(|| {
        let mail = Setup::new()
            .set("header_checks", "regexp:{{/^Subject: x/ REJECT 4.7.1 later}}")
            .set("notify_classes", "resource, software")
            .set("error_notice_recipient", "bob")
            .start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut send = |text: &str| client.send("s@x.test", &["alice@mail.test"], text).expect("a reply").last();
        assert!(send("Subject: x\n\nbody\n").starts_with("4"));
        assert!(send("Subject: y\n\nbody\n").starts_with("250"));
        client.command("QUIT").expect("a reply");
        mail.wait_log(&["disconnect from"]);
        mail.wait_mail("alice", 1);
        mail.wait_idle();
        assert!(!mail.log().contains("from=<double-bounce@"), "{}", mail.log());
    });
}
