//! A reply is about its command and its recipient alone, whatever becomes of the others and of the session.

use std::rc::Rc;

use delivery::postmaster::Postmaster;
use delivery::{Report, Verdict};
use queue::SendOptions;
use smtp_client::Protocol;

use super::fixture::{self, Script, Server, job};
use super::{TEXT, agent, deliver, run};
use crate::notices::Notices;
use crate::settings::Settings;

const RECIPIENTS: [&str; 3] = ["a@d.test", "b@d.test", "c@d.test"];
const NO_PIPELINING: (&str, &str) = ("EHLO", "250-sink.test|250 ENHANCEDSTATUSCODES");

/// `Status of each recipient`, in its order.
fn statuses(report: &Report) -> Vec<String> {
    let one = |it: &delivery::Outcome| match it.verdict {
        Verdict::Sent => "sent".to_owned(),
        _ => it.status.to_string(),
    };
    report.outcomes.iter().map(one).collect()
}

async fn deliver_to_three(protocol: Protocol, script: Script) -> (Vec<String>, Vec<String>) {
    let mut server = Server::v4(script).await;
    let mut settings = fixture::settings();
    settings.protocol = protocol;
    let report = deliver(&agent(settings), job(&server.nexthop(), &RECIPIENTS, TEXT)).await;
    (statuses(&report), server.lines())
}

async fn three(protocol: Protocol, script: Script) -> Vec<String> {
    deliver_to_three(protocol, script).await.0
}

#[test]
fn a_421_for_one_recipient_leaves_the_others_alone() {
    run(async {
        for protocol in [Protocol::Smtp, Protocol::Lmtp] {
            let of_second: Script = match protocol {
                Protocol::Smtp => &[("RCPT TO:<B", "421 4.7.0 too many")],
                Protocol::Lmtp => &[("RCPT TO:<B", "421 4.7.0 too many"), (".", "250 ok|250 ok")],
            };
            let (statuses, lines) = deliver_to_three(protocol, of_second).await;
            assert_eq!(statuses, ["sent", "4.7.0", "sent"]);
            assert!(lines.contains(&".".to_owned()), "{lines:?}");
            let of_all: Script = &[("RCPT", "421 4.7.0 too many"), ("DATA", "503 5.5.1 no recipients")];
            assert_eq!(three(protocol, of_all).await, ["4.7.0"; 3]);
        }
        let one_at_a_time: Script = &[NO_PIPELINING, ("RCPT TO:<A", "421 4.7.0 too many")];
        assert_eq!(three(Protocol::Smtp, one_at_a_time).await, ["4.7.0", "sent", "sent"]);
    });
}

#[test]
fn a_session_that_ends_fails_only_who_has_no_answer_yet() {
    run(async {
        let after_421: Script = &[("RCPT TO:<B", "421 4.7.0 bye!")];
        assert_eq!(three(Protocol::Smtp, after_421).await, ["4.4.2", "4.7.0", "4.4.2"]);
        let after_550: Script = &[NO_PIPELINING, ("RCPT TO:<A", "550 5.1.1 no"), ("RCPT TO:<B", "!")];
        assert_eq!(three(Protocol::Smtp, after_550).await, ["5.1.1", "4.4.2", "4.4.2"]);
        let after_mail: Script = &[("MAIL", "550 5.1.8 no!")];
        assert_eq!(three(Protocol::Smtp, after_mail).await, ["5.1.8"; 3]);
        let after_data: Script = &[("RCPT TO:<A", "550 5.1.1 no"), ("DATA", "421 4.3.2 bye!")];
        assert_eq!(three(Protocol::Smtp, after_data).await, ["5.1.1", "4.3.2", "4.3.2"]);
    });
}

#[test]
fn after_the_content_each_recipient_of_lmtp_has_its_own_answer() {
    run(async {
        for (replies, expected) in [
            ("250 ok|421 4.3.0 later|250 ok", ["sent", "4.3.0", "sent"]),
            ("421 4.3.0 later|550 5.2.2 full|250 ok", ["4.3.0", "5.2.2", "sent"]),
            ("250 ok!", ["sent", "4.4.2", "4.4.2"]),
            ("250 ok|421 4.3.0 bye!", ["sent", "4.3.0", "4.4.2"]),
        ] {
            let script: Script = Box::leak(Box::new([(".", replies)]));
            assert_eq!(three(Protocol::Lmtp, script).await, expected, "{replies}");
        }
        let without_the_first: Script = &[("RCPT TO:<A", "421 4.7.0 no"), (".", "250 ok|452 4.2.2 full")];
        assert_eq!(three(Protocol::Lmtp, without_the_first).await, ["4.7.0", "sent", "4.2.2"]);
    });
}

#[test]
fn who_was_taken_gets_the_message_once_and_the_others_go_to_the_next_server() {
    run(async {
        let mut first = Server::v4(&[("RCPT TO:<B", "421 4.7.0 too many")]).await;
        let mut second = Server::v4(&[]).await;
        let mut settings = fixture::settings();
        settings.fallback = vec![second.nexthop()];
        let report = deliver(&agent(settings), job(&first.nexthop(), &RECIPIENTS, TEXT)).await;
        assert_eq!(statuses(&report), ["sent"; 3]);
        let asked = |lines: Vec<String>| lines.iter().filter(|line| line.starts_with("RCPT")).count();
        assert_eq!((asked(first.lines()), asked(second.lines())), (3, 1));
    });
}

#[test]
fn success_in_reply_to_data_is_a_protocol_error() {
    run(async {
        let server = Server::v4(&[("DATA", "250 odd")]).await;
        let report = deliver(&agent(fixture::settings()), job(&server.nexthop(), &["u@d.test"], TEXT)).await;
        let expected = "Protocol error: host 127.0.0.1[127.0.0.1] said: 250 odd (in reply to DATA command)".to_owned();
        assert_eq!(
            (report.outcomes[0].status.to_string(), &report.outcomes[0].reason),
            ("5.5.0".to_owned(), &expected)
        );
    });
}

#[test]
fn a_reply_of_no_known_class_is_a_reply() {
    run(async {
        for reply in ["150 odd", "999 odd", "000 odd"] {
            let script: Script = Box::leak(Box::new([("RCPT TO:<B", reply)]));
            assert_eq!(three(Protocol::Smtp, script).await, ["sent", "5.5.0", "sent"], "{reply}");
        }
    });
}

/// A server that answers before it has the whole content, and hangs up.
async fn impatient(reply: &'static str) -> Report {
    answers_within(reply, false).await
}

/// A server that answers before it has the whole content, and reads no more of it; `stays`: it does not hang up.
async fn answers_within(reply: &'static str, stays: bool) -> Report {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nexthop = format!("[127.0.0.1]:{}", listener.local_addr().unwrap().port());
    tokio::task::spawn_local(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 x ESMTP\r\n").await.unwrap();
        let mut line = String::new();
        while line != "DATA\r\n" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            let answer = if line == "DATA\r\n" { "354 go\r\n" } else { "250 ok\r\n" };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        let mut some = vec![0; 10_000];
        stream.read_exact(&mut some).await.unwrap();
        stream.write_all(reply.as_bytes()).await.unwrap();
        if stays {
            std::future::pending::<()>().await;
        }
    });
    let line = "x".repeat(900);
    let lines = vec![line.as_str(); 20_000];
    deliver(&agent(fixture::settings()), job(&nexthop, &RECIPIENTS, &lines)).await
}

#[test]
fn a_refusal_that_comes_before_the_end_of_the_content_counts_and_a_promise_does_not() {
    run(async {
        assert_eq!(statuses(&impatient("552 5.3.4 too large\r\n").await), ["5.3.4"; 3]);
        assert_eq!(statuses(&impatient("452 4.3.1 full\r\n").await), ["4.3.1"; 3]);
        assert_eq!(statuses(&impatient("250 2.0.0 ok\r\n").await), ["4.4.2"; 3]);
        let lost = impatient("").await;
        assert_eq!(statuses(&lost), ["4.4.2"; 3]);
        // RFC 3464 2.3.5: the server has reported nothing.
        assert!(lost.outcomes.iter().all(|it| it.remote_mta.is_empty()));
    });
}

/// It need not write of a lost connection in its log.
#[test]
fn a_server_that_wants_no_session_is_told_of_its_end() {
    run(async {
        let refusals: [Script; 3] = [
            &[("GREETING", "554 5.3.2 no")],
            &[("GREETING", "450 4.3.2 later")],
            &[("EHLO", "550 5.5.1 no"), ("HELO", "550 5.5.1 no")],
        ];
        for script in refusals {
            let mut server = Server::v4(script).await;
            let report = deliver(&agent(fixture::settings()), job(&server.nexthop(), &RECIPIENTS, TEXT)).await;
            assert!(report.outcomes.iter().all(|it| it.verdict != Verdict::Sent));
            while server.heard.recv().await.expect("the server listens").1 != "QUIT" {}
        }
    });
}

/// How many notices the postmaster gets about mail of a sender.
async fn notices(sender: &str, script: Script) -> usize {
    let main_cf = b"notify_classes = protocol\nmyhostname = mx.example.test\n";
    let config = config::Config::parse(main_cf, std::path::Path::new("/c"), &[]).unwrap();
    let postmaster = Postmaster::read(&config, "SMTP client").unwrap();
    let settings = Settings { notices: Rc::new(Notices::of(&postmaster)), ..fixture::settings() };
    let server = Server::v4(script).await;
    let (agent, mail) = (agent(settings), job(&server.nexthop(), &RECIPIENTS, TEXT));
    deliver(&agent, fixture::with_sender(mail, sender)).await;
    agent.settings.notices.take().len()
}

#[test]
fn a_notice_about_a_server_is_not_followed_by_one_about_itself() {
    run(async {
        let odd: Script = &[("MAIL", "150 odd")];
        for (sender, count) in [("a@example.test", 1), ("", 0), ("Double-bounce@mx.example.test", 0)] {
            assert_eq!(notices(sender, odd).await, count, "{sender}");
        }
    });
}

#[test]
fn a_refusal_is_no_breach_of_the_protocol_whatever_is_refused() {
    run(async {
        let scripts: [Script; 3] = [
            &[("GREETING", "554 no")],
            &[("EHLO", "550 no"), ("HELO", "450 no")],
            &[("MAIL", "550 no"), ("RCPT", "503 no"), ("DATA", "503 no")],
        ];
        for script in scripts {
            assert_eq!(notices("a@example.test", script).await, 0, "{script:?}");
        }
        assert_eq!(notices("a@example.test", &[("EHLO", "999 no"), ("HELO", "999 no")]).await, 1);
    });
}

/// A server could send so for ever, and the whole worker would read it.
#[test]
fn a_refusal_that_comes_before_the_end_of_the_content_and_does_not_end_soon_is_none() {
    run(async {
        assert_eq!(statuses(&answers_within("550-no\r\n550 5.7.1 no\r\n", true).await), ["5.7.1"; 3]);
        let long = "550-no\r\n".repeat(12_500) + "550 5.7.1 no\r\n";
        assert_eq!(statuses(&answers_within(long.leak(), true).await), ["4.4.2"; 3]);
    });
}

#[test]
fn a_server_that_cannot_take_the_message_leaves_it_to_one_that_can() {
    run(async {
        let plain = Server::v4(&[]).await;
        let able = Server::v4(&[("EHLO", "250-sink.test|250-SMTPUTF8|250 8BITMIME")]).await;
        let options = SendOptions::SMTPUTF8_RECIPIENT.with(SendOptions::SMTPUTF8_REQUESTED);
        let utf8 = |nexthop: &str| fixture::with_send_options(job(nexthop, &["\u{fc}@d.test"], TEXT), options);
        let mut settings = fixture::settings();
        let none = "message requires SMTPUTF8, but no server was found that supports SMTPUTF8";
        let report = deliver(&agent(fixture::settings()), utf8(&plain.nexthop())).await;
        assert_eq!(statuses(&report), ["5.6.7"]);
        assert!(report.outcomes[0].reason.starts_with(none), "{}", report.outcomes[0].reason);
        settings.fallback = vec![able.nexthop()];
        let report = deliver(&agent(settings), utf8(&plain.nexthop())).await;
        assert_eq!(statuses(&report), ["sent"]);
    });
}
