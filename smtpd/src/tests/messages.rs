//! What reaches cleanup, and what the client is told of it.

use ipc::cleanup::{Cause, Outcome};

use crate::tests::fakes::{Client, with_server};

/// Records as `TYPE payload` lines.
pub fn shown(mut records: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some((kind, payload, rest)) = queue::record::split_first(records) {
        lines.push(format!("{} {}", char::from(kind.0), String::from_utf8_lossy(payload)));
        records = rest;
    }
    lines
}

pub const ENVELOPE: [&str; 5] = [
    "EHLO client.test",
    "MAIL FROM:<a@b.test> BODY=8BITMIME RET=HDRS ENVID=a+2Bb",
    "RCPT TO:<bob@ok.test>",
    "DATA",
    "",
];

#[test]
fn a_message_reaches_cleanup_record_by_record() {
    with_server("", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&ENVELOPE[..4]).await;
        let reply = client.say("Subject: x\r\n\r\n..dot\r\n.").await;
        assert_eq!(reply, "250 2.0.0 Ok: queued as QUEUEID");
        let records = shown(&server.mail.borrow().finished[0]);
        let at = |start: &str| records.iter().position(|line| line.starts_with(start)).expect(start);
        assert_eq!(at("T "), 0);
        assert_eq!(
            records[1..7],
            [
                "A log_ident=QUEUEID",
                "A rewrite_context=local",
                "A envelope_id=a+b",
                "A ret_flags=2",
                "S a@b.test",
                "A encoding=8bit",
            ]
        );
        let names: Vec<&str> = records[7..22].iter().map(|line| line[2..].split('=').next().unwrap()).collect();
        let expected = "log_client_name log_client_address log_client_port log_message_origin log_helo_name \
                        log_protocol_name client_name reverse_client_name client_address client_port \
                        server_address server_port helo_name protocol_name client_address_type";
        assert_eq!(names.join(" "), expected);
        assert_eq!(records[22..25], ["A dsn_orig_rcpt=rfc822;bob@ok.test", "R bob@ok.test", "M "]);
        assert_eq!(records[25], "N Received: from client.test (unknown [127.0.0.1])");
        assert_eq!(records[26], "N \tby mx.example.test (Postfix) with ESMTP id QUEUEID");
        assert!(records[27].starts_with("N \tfor <bob@ok.test>; "), "{}", records[27]);
        assert_eq!(records[28..], ["N Subject: x", "N ", "N .dot", "X ", "E "]);
    });
}

#[test]
fn the_wishes_of_a_recipient_stand_before_it() {
    with_server("", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client
            .say_all(&["HELO c", "MAIL FROM:<>", "RCPT TO:<bob@ok.test> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;a+2Bb"])
            .await;
        client.say_all(&["RCPT TO:<\"x y\"@ok.test> NOTIFY=NEVER", "DATA", "."]).await;
        let records = shown(&server.mail.borrow().finished[0]);
        let at = records.iter().position(|line| line == "A notify_flags=10").unwrap();
        assert_eq!(
            records[at..at + 7],
            [
                "A notify_flags=10",
                "A dsn_orig_rcpt=rfc822;a+b",
                "R bob@ok.test",
                "A notify_flags=1",
                "A dsn_orig_rcpt=rfc822;\"x y\"@ok.test",
                "R x y@ok.test",
                "M "
            ]
        );
        assert!(records[at + 8].ends_with("with SMTP id QUEUEID;"), "{}", records[at + 8]);
    });
}

#[test]
fn what_an_access_table_wants_reaches_cleanup() {
    let settings = "smtpd_sender_restrictions = check_sender_access inline:{ {h@b.test=HOLD} \
                    {p@b.test=PREPEND X-A: b} {f@b.test=FILTER smtp:x} {c@b.test=BCC z@ok.test} }\n";
    for (sender, expected) in [
        ("h", &["f 4", "M "][..]),
        ("f", &["M "]),
        ("f", &["X ", "L smtp:x", "E "]),
        ("c", &["X ", "A notify_flags=1", "A dsn_orig_rcpt=rfc822;z@ok.test", "R z@ok.test", "E "]),
        ("p", &["M ", "N X-A: b"]),
    ] {
        with_server(settings, |server| async move {
            let (mut client, _) = Client::connect(&server).await;
            let mail = format!("MAIL FROM:<{sender}@b.test>");
            client.say_all(&["HELO c", &mail, "RCPT TO:<bob@ok.test>", "DATA", "."]).await;
            let records = shown(&server.mail.borrow().finished[0]);
            // Where a message goes stands behind its content.
            let behind = expected[0] == "X ";
            let at = records.iter().position(|line| line == if behind { "X " } else { "R bob@ok.test" }).unwrap();
            let at = at + usize::from(!behind);
            assert_eq!(records[at..at + expected.len()], *expected, "{sender}");
        });
    }
}

#[test]
fn the_outcome_of_cleanup_is_the_reply() {
    with_server("", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&ENVELOPE[..4]).await;
        server.mail.borrow_mut().outcome = Some(Outcome::refused(Cause::Content, "5.7.1 header bad"));
        assert_eq!(client.say("x: y\r\n.").await, "550 5.7.1 header bad");
        assert_eq!(client.say("RCPT TO:<bob@ok.test>").await, "503 5.5.1 Error: need MAIL command");
    });
}

#[test]
fn a_message_beyond_the_limit_is_read_to_its_end_and_refused() {
    with_server("message_size_limit = 1000\n", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&ENVELOPE[..4]).await;
        let reply = client.say(&format!("{}\r\n.", "x".repeat(200_000))).await;
        assert_eq!(reply, "552 5.3.4 Error: message file too big");
        assert_eq!(client.say("NOOP").await, "250 2.0.0 Ok");
        assert!(server.mail.borrow().finished.is_empty());
        assert_eq!(server.mail.borrow().aborted, 1);
    });
}

#[test]
fn a_session_that_is_left_takes_its_message_with_it() {
    with_server("", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&ENVELOPE[..4]).await;
        client.send(b"Subject: half a mess").await;
        drop(client);
        while server.mail.borrow().aborted == 0 {
            tokio::task::yield_now().await;
        }
        assert!(server.mail.borrow().finished.is_empty());
    });
}

#[test]
fn a_bare_line_feed_neither_ends_a_message_nor_starts_another() {
    let attack = "one\r\n.\nMAIL FROM:<evil@b.test>\r\n\n.\r\nRCPT TO:<bob@ok.test>\r\n.";
    with_server("smtpd_forbid_bare_newline_exclusions =\n", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&ENVELOPE[..4]).await;
        assert!(client.say(attack).await.starts_with("250 "));
        assert_eq!(client.say("NOOP").await, "250 2.0.0 Ok");
        assert_eq!(server.mail.borrow().finished.len(), 1);
    });
    with_server("smtpd_forbid_bare_newline_exclusions =\nsmtpd_forbid_bare_newline = reject\n", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&ENVELOPE[..4]).await;
        assert_eq!(client.say(attack).await, "550 5.5.2 mx.example.test Error: bare <LF> received");
        assert!(server.mail.borrow().finished.is_empty());
    });
}

#[test]
fn a_group_of_commands_is_answered_in_order() {
    with_server("", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say("EHLO c").await;
        client.send(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<bob@ok.test>\r\nRCPT TO:<x@y.test>\r\nDATA\r\n").await;
        let mut codes = Vec::new();
        for _ in 0..4 {
            codes.push(client.reply().await.unwrap().code());
        }
        assert_eq!(codes, [250, 250, 554, 354]);
    });
}

#[test]
fn a_client_that_does_not_wait_where_it_must_is_left() {
    with_server("smtpd_forbid_unauth_pipelining = yes\n", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say("EHLO c").await;
        client.send(b"NOOP\r\nNOOP\r\n").await;
        let reply = client.reply().await.unwrap();
        assert_eq!(reply.verbatim(), b"554 5.5.0 Error: SMTP protocol synchronization");
        assert!(client.reply().await.is_none());
    });
}

#[test]
fn a_client_that_speaks_before_it_is_greeted_is_left() {
    with_server("smtpd_forbid_unauth_pipelining = yes\n", |server| async move {
        let mut client = Client::connect_talking(&server, b"EHLO c\r\n");
        let reply = client.reply().await.unwrap();
        assert_eq!(reply.verbatim(), b"554 5.5.0 Error: SMTP protocol synchronization");
        assert!(client.reply().await.is_none());
    });
}

#[test]
fn many_errors_end_the_session() {
    with_server("smtpd_hard_error_limit = 3\n", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        for _ in 0..2 {
            assert!(client.say("FOO").await.starts_with("500 "));
        }
        client.send(b"FOO\r\n").await;
        assert_eq!(client.reply().await.unwrap().code(), 500);
        let last = client.reply().await.unwrap();
        assert_eq!(last.verbatim(), b"421 4.7.0 mx.example.test Error: too many errors");
        assert!(client.reply().await.is_none());
    });
}

#[test]
fn any_bytes_leave_the_server_in_good_health() {
    with_server("smtpd_hard_error_limit = 1000\n", |server| async move {
        for garbage in [&b"\0\0\0\r\n"[..], b"\xff\xfe\r\n", b"MAIL FROM:<\"\\\r\n", b"RCPT TO:<((((\r\n", b"\r\r\n"] {
            let (mut client, _) = Client::connect(&server).await;
            client.send(garbage).await;
            assert!(client.reply().await.is_some(), "{garbage:?}");
        }
        let (mut client, _) = Client::connect(&server).await;
        assert_eq!(client.say("NOOP").await, "250 2.0.0 Ok");
    });
}

#[test]
fn a_client_that_drips_its_command_is_given_up_at_the_deadline() {
    with_server("smtpd_timeout = 1s\nsmtpd_per_request_deadline = yes\n", |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        let dripping = async {
            loop {
                client.send(b"x").await;
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        let _ = tokio::time::timeout(std::time::Duration::from_millis(1200), dripping).await;
        let reply = client.reply().await.map(|reply| reply.code());
        assert!(matches!(reply, Some(421) | None), "{reply:?}");
    });
}

#[test]
fn what_a_table_wants_done_with_a_message_does_not_outlive_a_question_about_an_address() {
    let restrictions = "smtpd_recipient_restrictions = check_recipient_access inline:{bob@example.test=DISCARD}\n";
    with_server(restrictions, |server| async move {
        let (mut client, _) = Client::connect(&server).await;
        client.say_all(&["EHLO client.test", "VRFY bob@example.test"]).await;
        assert!(client.say("VRFY nobody@example.test").await.starts_with("550 5.1.1 "));
        client.say_all(&["MAIL FROM:<a@b.test>", "RCPT TO:<alice@example.test>", "DATA", "x\r\n."]).await;
        assert!(!shown(&server.mail.borrow().finished[0]).iter().any(|record| record.starts_with("f ")));
    });
}
