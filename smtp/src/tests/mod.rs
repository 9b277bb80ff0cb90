//! Whole deliveries against scripted servers on loopback, over both families.

use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::FileExt;

use delivery::{Job, Report, Verdict};
use dns::Resolver;
use dsn::{Action, Status};
use ipc::bounce::Diagnostic;
use smtp_client::Protocol;

use crate::deliver::Agent;
use crate::settings::Settings;

mod dane;
pub mod fixture;
mod logins;
mod name_server;
mod replies;
mod sessions;

use fixture::{Script, Server, job};

const TEXT: &[&str] = &["Subject: hello", "", ".", "..two", "bye"];

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(test);
}

fn agent(settings: Settings) -> Agent {
    let resolver = Resolver::with_servers(vec!["127.0.0.1:9".parse().unwrap()], settings.protocols);
    Agent::new(settings, resolver)
}

async fn deliver(agent: &Agent, mut job: Job) -> Report {
    agent.deliver(&mut job).await.unwrap();
    job.into_report()
}

/// Delivers to one recipient of a server with this script.
async fn one(script: Script) -> (Verdict, String, String, Report) {
    let server = Server::v4(script).await;
    let report = deliver(&agent(fixture::settings()), job(&server.nexthop(), &["u@d.test"], TEXT)).await;
    let outcome = report.outcomes[0].clone();
    (outcome.verdict, outcome.status.to_string(), outcome.reason, report)
}

#[test]
fn a_message_goes_out_pipelined_and_dot_stuffed_over_both_families() {
    run(async {
        for ip in [IpAddr::from([127, 0, 0, 1]), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let mut server = Server::start(ip, &[]).await;
            let job = job(&server.nexthop(), &["u@d.test", "\"v w@d.test"], TEXT);
            let (file, recipients) = (job.file().clone(), job.request().recipients.clone());
            let report = deliver(&agent(fixture::settings()), job).await;
            assert_eq!(report.host_problem, None);
            for outcome in &report.outcomes {
                assert_eq!((outcome.verdict, outcome.status), (Verdict::Sent, Status::new(2, 0, 0)));
                assert!(outcome.reason.ends_with("250 2.0.0 Ok: queued as ABC123"), "{}", outcome.reason);
                assert_eq!(outcome.action, Some(Action::Relayed));
                assert_eq!(outcome.remote_mta, ip.to_string());
            }
            let lines = server.lines();
            let expected = [
                "EHLO mx.example.test",
                "MAIL FROM:<alice@example.test> SIZE=28",
                "RCPT TO:<u@d.test>",
                "RCPT TO:<\"\\\"v w\"@d.test>",
                "DATA",
                "Subject: hello",
                "",
                "..",
                "...two",
                "bye",
                ".",
            ];
            assert_eq!(lines, expected);
            for recipient in &recipients {
                let mut kind = [0];
                file.read_exact_at(&mut kind, recipient.offset).unwrap();
                assert_eq!(kind, *b"D");
            }
        }
    });
}

#[test]
fn a_session_is_reused_for_the_next_message_and_ends_when_it_was_idle_for_long() {
    run(async {
        let mut server = Server::v4(&[]).await;
        let mut settings = fixture::settings();
        settings.reuse.idle = std::time::Duration::from_millis(100);
        let agent = agent(settings);
        for _ in 0..3 {
            let report = deliver(&agent, job(&server.nexthop(), &["u@d.test"], TEXT)).await;
            assert_eq!(report.outcomes[0].verdict, Verdict::Sent);
        }
        let mut heard = Vec::new();
        while heard.last().is_none_or(|(_, line)| line != "QUIT") {
            heard.push(server.heard.recv().await.unwrap());
        }
        assert!(heard.iter().all(|(connection, _)| *connection == 0));
        let hellos = heard.iter().filter(|(_, line)| line.starts_with("EHLO")).count();
        assert_eq!(hellos, 1);
    });
}

#[test]
fn a_nexthop_with_much_mail_keeps_its_sessions_even_when_nothing_waits() {
    run(async {
        let mut server = Server::v4(&[]).await;
        let agent = agent(fixture::settings());
        for _ in 0..4 {
            let mut job = job(&server.nexthop(), &["u@d.test"], TEXT);
            job = fixture::with_nothing_behind(job);
            deliver(&agent, job).await;
        }
        // The first does not know of the second; from then on there is one session.
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn a_kept_session_that_the_server_ended_is_replaced_without_a_trace() {
    run(async {
        let mut server = Server::v4(&[(".", "250 2.0.0 Ok|421 4.4.2 too slow")]).await;
        let agent = agent(fixture::settings());
        for _ in 0..2 {
            let report = deliver(&agent, job(&server.nexthop(), &["u@d.test"], TEXT)).await;
            assert_eq!(report.outcomes[0].verdict, Verdict::Sent, "{:?}", report.outcomes[0]);
        }
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn after_a_refused_message_the_session_is_reset_before_the_next() {
    run(async {
        let mut server = Server::v4(&[("RCPT TO:<BAD", "550 5.1.1 no"), ("DATA", "354 go")]).await;
        let agent = agent(fixture::settings());
        for address in ["bad@d.test", "good@d.test"] {
            deliver(&agent, job(&server.nexthop(), &[address], TEXT)).await;
        }
        let lines = server.lines();
        assert_eq!(lines.iter().filter(|line| line.starts_with("EHLO")).count(), 1);
        // The server took DATA without recipients: it got an empty content, and there is nothing to reset.
        assert_eq!(lines[1..6].iter().filter(|line| *line == ".").count(), 1);
    });
    run(async {
        let mut server =
            Server::v4(&[("MAIL FROM:<ALICE@EXAMPLE.TEST> SIZE=28", "550 5.7.1 no"), ("DATA", "503 no")]).await;
        let agent = agent(fixture::settings());
        deliver(&agent, job(&server.nexthop(), &["u@d.test"], TEXT)).await;
        let report = deliver(&agent, job(&server.nexthop(), &["u@d.test"], &["other"])).await;
        assert_eq!(report.outcomes[0].verdict, Verdict::Bounced);
        assert_eq!(server.lines().iter().filter(|line| *line == "RSET").count(), 1);
    });
}

#[test]
fn each_recipient_has_its_own_result() {
    run(async {
        let script: Script = &[("RCPT TO:<BAD", "550 5.1.1 <bad> no such user"), ("RCPT TO:<LATER", "450 4.2.1 busy")];
        let server = Server::v4(script).await;
        let list = ["good@d.test", "bad@d.test", "later@d.test", "a\r\nDATA@d.test"];
        let report = deliver(&agent(fixture::settings()), job(&server.nexthop(), &list, TEXT)).await;
        let results: Vec<_> = report.outcomes.iter().map(|it| (it.verdict, it.status)).collect();
        let expected = [
            (Verdict::Sent, Status::new(2, 0, 0)),
            (Verdict::Bounced, Status::new(5, 1, 1)),
            (Verdict::Deferred, Status::new(4, 2, 1)),
            (Verdict::Bounced, Status::new(5, 1, 3)),
        ];
        assert_eq!(results, expected);
        assert_eq!(
            report.outcomes[1].reason,
            "host 127.0.0.1[127.0.0.1] said: 550 5.1.1 <bad> no such user (in reply to RCPT TO command)"
        );
        let said = Diagnostic { kind: "smtp".to_owned(), text: "550 5.1.1 <bad> no such user".to_owned() };
        assert_eq!(report.outcomes[1].diagnostic, Some(said));
        assert_eq!(report.host_problem, None);
    });
}

#[test]
fn every_refusal_names_its_command() {
    run(async {
        let host = "host 127.0.0.1[127.0.0.1]";
        for (script, status, reason) in [
            (
                &[("MAIL", "451 4.3.0 no")] as Script,
                "4.3.0",
                format!("{host} said: 451 4.3.0 no (in reply to MAIL FROM command)"),
            ),
            (
                &[("RCPT", "552 5.5.3 many")],
                "5.5.3",
                format!("{host} said: 552 5.5.3 many (in reply to RCPT TO command)"),
            ),
            (&[("DATA", "554 no")], "5.0.0", format!("{host} said: 554 no (in reply to DATA command)")),
            (
                &[(".", "554-5.6.0 a|554 5.6.0 b")],
                "5.6.0",
                format!("{host} said: 554-5.6.0 a 554 5.6.0 b (in reply to end of DATA command)"),
            ),
            (&[("GREETING", "554 5.7.1 go away")], "4.7.1", format!("{host} refused to talk to me: 554 5.7.1 go away")),
            (
                &[("EHLO", "502 what"), ("HELO", "550 5.7.1 no")],
                "5.7.1",
                format!("{host} refused to talk to me: 550 5.7.1 no"),
            ),
        ] {
            let (_, found_status, found_reason, _) = one(script).await;
            assert_eq!((found_status.as_str(), found_reason), (status, reason));
        }
    });
}

#[test]
fn a_broken_session_says_where_it_broke_and_blames_the_host() {
    run(async {
        let with = "lost connection with 127.0.0.1[127.0.0.1] while";
        let slow = "conversation with 127.0.0.1[127.0.0.1] timed out while";
        for (script, reason) in [
            (&[("GREETING", "!")] as Script, format!("{with} receiving the initial server greeting")),
            (&[("EHLO", "!")], format!("{with} performing the EHLO handshake")),
            (&[("MAIL", "!")], format!("{with} sending MAIL FROM")),
            (&[("RCPT", "!")], format!("{with} sending RCPT TO")),
            (&[(".", "!")], format!("{with} sending end of data -- message may be sent more than once")),
            (&[("GREETING", "~")], format!("{slow} receiving the initial server greeting")),
            (&[("DATA", "~")], format!("{slow} sending DATA command")),
        ] {
            let (verdict, status, found, report) = one(script).await;
            assert_eq!((verdict, status.as_str(), found.as_str()), (Verdict::Deferred, "4.4.2", reason.as_str()));
            assert_eq!(report.host_problem.map(|problem| problem.reason), Some(reason));
        }
    });
}

#[test]
fn what_is_no_reply_is_passed_over_and_what_does_not_fit_is_a_protocol_error() {
    run(async {
        let (verdict, ..) = one(&[("MAIL", "hello there|250 ok")]).await;
        assert_eq!(verdict, Verdict::Sent);
        let (verdict, status, reason, _) = one(&[("RCPT", "354 go")]).await;
        assert_eq!((verdict, status.as_str()), (Verdict::Bounced, "5.5.0"));
        assert_eq!(reason, "host 127.0.0.1[127.0.0.1] said: 354 go (in reply to RCPT TO command)");
    });
}

#[test]
fn a_server_without_extensions_is_talked_to_one_command_at_a_time() {
    run(async {
        let script: Script = &[("EHLO", "502 what"), ("RCPT TO:<BAD", "550 no")];
        let mut server = Server::v4(script).await;
        let report =
            deliver(&agent(fixture::settings()), job(&server.nexthop(), &["bad@d.test", "u@d.test"], TEXT)).await;
        assert_eq!(report.outcomes[1].verdict, Verdict::Sent);
        let lines = server.lines();
        assert_eq!(lines[..3], ["EHLO mx.example.test", "HELO mx.example.test", "MAIL FROM:<alice@example.test>"]);
        let report = deliver(&agent(fixture::settings()), job(&server.nexthop(), &["bad@d.test"], TEXT)).await;
        assert_eq!(report.outcomes[0].verdict, Verdict::Bounced);
        assert!(!server.lines().contains(&"DATA".to_owned()));
    });
}

#[test]
fn lmtp_has_one_reply_a_recipient() {
    run(async {
        let script: Script = &[(".", "250 2.1.5 first|550 5.2.2 second is full")];
        let mut server = Server::v4(script).await;
        let mut settings = fixture::settings();
        settings.protocol = Protocol::Lmtp;
        let nexthop = format!("inet:{}", server.nexthop());
        let report = deliver(&agent(settings), job(&nexthop, &["a@d.test", "b@d.test"], TEXT)).await;
        assert_eq!(report.outcomes[0].verdict, Verdict::Sent);
        assert_eq!(report.outcomes[0].action, Some(Action::Relayed));
        assert_eq!((report.outcomes[1].verdict, report.outcomes[1].status), (Verdict::Bounced, Status::new(5, 2, 2)));
        assert_eq!(server.lines()[0], "LHLO mx.example.test");
    });
}

#[test]
fn the_next_nexthop_is_tried_when_the_first_cannot() {
    run(async {
        let later = Server::v4(&[("RCPT", "450 4.7.1 later")]).await;
        let good = Server::v4(&[]).await;
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut settings = fixture::settings();
        settings.fallback = vec![good.nexthop()];
        let agent = agent(settings);
        for first in [format!("[127.0.0.1]:{}", closed.port()), later.nexthop(), "[bad".to_owned()] {
            let report = deliver(&agent, job(&first, &["u@d.test"], TEXT)).await;
            assert_eq!(report.outcomes[0].verdict, Verdict::Sent, "{first}");
        }
    });
}

#[test]
fn a_bad_nexthop_and_a_closed_port_defer() {
    run(async {
        let agent = agent(fixture::settings());
        let report = deliver(&agent, job("[::1", &["u@d.test"], TEXT)).await;
        assert_eq!(report.outcomes[0].verdict, Verdict::Deferred);
        assert_eq!(report.outcomes[0].reason, "missing \"]\" in server description: [::1");
        let closed = std::net::TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap().port();
        let report = deliver(&agent, job(&format!("[::1]:{closed}"), &["u@d.test"], TEXT)).await;
        let expected = format!("connect to ::1[::1]:{closed}: Connection refused");
        assert_eq!(report.outcomes[0].reason, expected);
        let problem = report.host_problem.unwrap();
        assert_eq!((problem.status, problem.reason), (Status::new(4, 4, 1), expected));
    });
}

#[test]
fn mail_does_not_loop_on_the_own_port() {
    run(async {
        let report = deliver(&agent(fixture::settings()), job("[::1]", &["u@d.test"], TEXT)).await;
        assert_eq!(report.outcomes[0].verdict, Verdict::Bounced);
        assert_eq!(report.outcomes[0].reason, "mail for ::1 loops back to myself");
        assert_eq!(report.outcomes[0].status, Status::new(5, 4, 6));
    });
}

#[test]
fn a_message_that_cannot_be_read_is_never_ended_with_a_dot() {
    run(async {
        let mut server = Server::v4(&[]).await;
        let job = job(&server.nexthop(), &["u@d.test"], &["one", "two"]);
        // The file loses its end.
        let length = job.file().metadata().unwrap().len();
        job.file().set_len(length - 3).unwrap();
        let report = deliver(&agent(fixture::settings()), job).await;
        assert_eq!(report.outcomes[0].verdict, Verdict::Deferred);
        assert_eq!(report.outcomes[0].reason, "local data error while talking to 127.0.0.1[127.0.0.1]");
        assert!(!server.lines().contains(&".".to_owned()));
    });
}

#[test]
fn a_large_message_goes_out_in_pieces_and_whole() {
    run(async {
        let mut server = Server::v4(&[("EHLO", "250 sink")]).await;
        let line = "x".repeat(900);
        let lines = vec![line.as_str(); 2000];
        let report = deliver(&agent(fixture::settings()), job(&server.nexthop(), &["u@d.test"], &lines)).await;
        assert_eq!(report.outcomes[0].verdict, Verdict::Sent);
        assert_eq!(server.lines().iter().filter(|heard| **heard == line).count(), 2000);
    });
}
