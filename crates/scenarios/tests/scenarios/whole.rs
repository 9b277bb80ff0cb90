//! Limits on what is read: the whole counts, or somebody is told.

use std::fmt::Write;

use scenarios::scenario;
use testing::{Client, Instance, Setup};

/// A table in the instance's directory, as a setting has it.
fn table(mail: &Instance, name: &str, kind: &str, text: &str) -> String {
    let path = mail.etc().join(name);
    testing::setup::write_old(&path, text);
    format!("{kind}:{}", path.display())
}

fn nested(levels: usize) -> String {
    let level = |n| format!("Content-Type: multipart/mixed; boundary=b{n}x\n\n--b{n}x\n");
    format!("{}X-Deep: yes\n\nbody\n", (0..levels).map(level).collect::<String>())
}

#[test]
fn parts_that_are_nested_too_deep_to_be_checked_are_refused() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let checks = table(&mail, "checks", "regexp", "/^X-Deep/ WARN seen\n");
        mail.set("mime_header_checks", &checks);
        mail.start();
        let send = |text: &str| {
            let mut client = Client::greet(mail.v4()).expect("connected");
            client.send("a@client.test", &["alice@mail.test"], text).expect("reply").last()
        };
        assert!(send(&nested(102)).starts_with("250 "));
        mail.wait_log(&["warning: header X-Deep: yes"]);
        assert_eq!(send(&nested(103)), "550 5.6.0 MIME nesting exceeds safety limit");
        mail.wait_log(&["reject: mime-error MIME nesting exceeds safety limit: Content-Type: multipart/mixed; "]);
    });
}

#[test]
fn a_line_about_content_names_the_recipient_in_its_standard_form() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let checks = table(&mail, "checks", "regexp", "/^X-Seen/ WARN\n");
        for (name, value) in [
            ("header_checks", &*checks),
            ("append_dot_mydomain", "yes"),
            ("recipient_canonical_maps", "inline:{carol@mail.test=bob@mail.test}"),
            ("virtual_alias_maps", "inline:{bob@mail.test=alice@mail.test}"),
            ("local_recipient_maps", ""),
        ] {
            mail.set(name, value);
        }
        mail.start();
        let told =
            |to: &str| mail.wait_log(&["warning: header X-Seen: yes from ", &format!(" to=<{to}> proto=ESMTP ")]);
        for (given, standard) in [("carol", "bob@mail.test"), ("dave@sub", "dave@sub.mail.test")] {
            let mut client = Client::greet(mail.v4()).expect("connected");
            client.send("a@client.test", &[given], "X-Seen: yes\n\nbody\n").expect("reply");
            told(standard);
        }
    });
}

#[test]
fn parts_are_nested_as_deep_as_anybody_likes_where_nobody_checks_them() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let reply = client.send("a@client.test", &["alice@mail.test"], &nested(150)).expect("reply");
        assert_eq!(reply.code, 250, "{reply:?}");
    });
}

#[test]
fn the_text_of_a_table_reaches_the_client_whole() {
    scenario(|| {
        let mut mail = Setup::new().build();
        let text: String = (0..300).fold(String::new(), |mut text, n| {
            let _ = write!(text, " w{n:03}");
            text
        });
        let access = table(&mail, "access", "texthash", &format!("alice@mail.test 550 5.7.9{text}\n"));
        mail.set("smtpd_recipient_restrictions", &format!("check_recipient_access {access}, reject"));
        mail.start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("MAIL FROM:<a@client.test>").expect("reply");
        let reply = client.command("RCPT TO:<alice@mail.test>").expect("reply");
        assert!(reply.code == 550 && reply.lines.iter().all(|line| line.starts_with("5.7.9 ")), "{reply:?}");
        let words: Vec<&str> =
            reply.lines.iter().flat_map(|line| line.split(' ')).filter(|w| w.starts_with('w')).collect();
        assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
    });
}

#[test]
fn a_command_that_is_too_long_is_not_carried_out() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        client.command("MAIL FROM:<a@client.test>").expect("reply");
        let blanks = " ".repeat(3000);
        for end in ["NOTIFY=NEVER", ""] {
            let reply = client.command(&format!("RCPT TO:<alice@mail.test>{blanks}{end}")).expect("reply");
            assert_eq!(reply.last(), "500 5.5.2 Error: line too long");
        }
        mail.wait_log(&["request longer than 2048: RCPT TO:<alice@mail.test>"]);
        let reply = client.command("DATA").expect("reply");
        assert!(reply.code >= 500, "{reply:?}");
        assert_eq!(client.command("RSET").expect("reply").code, 250);
    });
}

#[test]
fn what_fills_a_command_that_means_nothing_may_be_long() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let filling = "x".repeat(3000);
        for (line, code) in [("NOOP", 250), ("EHLO", 250), ("HELO", 250), ("RSET", 501), ("XYZZY", 500), ("QUIT", 221)]
        {
            assert_eq!(client.command(&format!("{line} {filling}")).expect("a reply").code, code, "{line}");
            mail.wait_log(&["warning: ", &format!("request longer than 2048: {line} xxx")]);
        }
    });
}

#[test]
fn the_log_has_the_identifier_of_a_message_that_is_refused_at_its_end() {
    scenario(|| {
        let access = "check_sender_access inline:{ {a@client.test=REJECT} }";
        let setup = Setup::new().set("smtpd_end_of_data_restrictions", access).set("message_size_limit", "2000");
        let mail = setup.start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        for (sender, id, length) in [("a@client.test", "<1@x>", 1), ("b@client.test", "<2@x>", 3000)] {
            let text = format!("Subject: x\nMessage-Id: {id}\n\n{}\n", "line of the body\n".repeat(length / 10 + 1));
            let reply = client.send(sender, &["alice@mail.test"], &text).expect("a reply");
            assert_eq!(reply.code / 100, 5, "{reply:?}");
            mail.wait_log(&[&format!(": message-id={id}")]);
        }
    });
}

#[test]
fn every_recipient_has_the_copy_that_a_table_wants_for_it() {
    scenario(|| {
        let mut mail = Setup::new().set("default_transport", "discard").build();
        let access = table(&mail, "access", "regexp", "/^u([0-9]+)@/ BCC copy$1@elsewhere.test\n");
        let restrictions = format!("check_recipient_access {access}, permit_mynetworks, reject");
        mail.set("smtpd_recipient_restrictions", &restrictions);
        mail.start();
        let recipients: Vec<String> = (0..250).map(|n| format!("u{n}@elsewhere.test")).collect();
        let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let reply = client.send("a@client.test", &recipients, "Subject: x\n\nbody\n").expect("reply");
        let id = reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"));
        mail.wait_log(&[&id, "nrcpt=500 "]);
    });
}

#[test]
fn a_header_whose_rest_is_dropped_is_told_of() {
    scenario(|| {
        let mail = Setup::new().start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let text = format!("X-Long: {}\n\nbody\n", "x ".repeat(60_000));
        let reply = client.send("a@client.test", &["alice@mail.test"], &text).expect("reply");
        let id = reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"));
        mail.wait_log(&["warning: ", &id, "header X-Long: more than 102400 bytes (header_size_limit)"]);
    });
}
