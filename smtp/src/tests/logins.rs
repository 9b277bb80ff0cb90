//! Logins at scripted servers: what is said, what comes of it, and whose mail goes over a session afterwards.

use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use delivery::Verdict;
use delivery::postmaster::Postmaster;

use super::fixture::{self, Script, Server, job};
use super::{TEXT, agent, deliver, run};
use crate::notices::Notices;
use crate::quirks::Quirks;
use crate::refusals::{self, Refusals};
use crate::sasl::Sasl;
use crate::sasl::tests::sasl;
use crate::settings::Settings;

fn settings(change: impl FnOnce(&mut Sasl)) -> Settings {
    let mut sasl = sasl("static:us:p:w");
    change(&mut sasl);
    Settings { sasl: Some(Rc::new(sasl)), ..fixture::settings() }
}

/// What became of one recipient, and what the server heard up to MAIL, in clear.
async fn login(settings: Settings, script: Script) -> (String, Vec<String>) {
    let mut server = Server::v4(script).await;
    let report = deliver(&agent(settings), job(&server.nexthop(), &["u@d.test"], TEXT)).await;
    let outcome = &report.outcomes[0];
    let host = "127.0.0.1[127.0.0.1]";
    let result = match outcome.verdict {
        Verdict::Sent => "sent".to_owned(),
        _ => format!("{} {}", outcome.status, outcome.reason.replace(host, "HOST")),
    };
    // What was said before the server hung up has been heard.
    tokio::task::yield_now().await;
    let heard = server.lines().into_iter().skip(1);
    let heard = heard.take_while(|line| !line.starts_with("RCPT") && line != "QUIT");
    (result, heard.map(|line| clear(&line)).collect())
}

/// A line with its base64 decoded.
fn clear(line: &str) -> String {
    if line.starts_with("MAIL") {
        return line.to_owned();
    }
    let words = line.split(' ').enumerate().map(|(at, word)| {
        let decoded = STANDARD.decode(word).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        decoded.filter(|_| at != 1 && word != "AUTH" && !word.is_empty()).unwrap_or_else(|| word.to_owned())
    });
    words.collect::<Vec<_>>().join(" ")
}

macro_rules! offer {
    ($($line:expr),*) => {
        ("EHLO", concat!("250-sink.test|250-ENHANCEDSTATUSCODES", $("|250-", $line,)* "|250 8BITMIME"))
    };
}

const GO_ON: (&str, &str) = ("AUTH PLAIN", "235 2.7.0 Authentication successful");
const MAIL: &str = "MAIL FROM:<alice@example.test>";

#[test]
fn the_login_is_said_once_and_before_the_mail() {
    run(async {
        let (result, heard) = login(settings(|_| {}), &[offer!("AUTH PLAIN LOGIN"), GO_ON]).await;
        assert_eq!((result.as_str(), heard), ("sent", vec!["AUTH PLAIN \0us\0p:w".to_owned(), MAIL.to_owned()]));
        let old: Script = &[
            offer!("AUTH=LOGIN"),
            ("AUTH", "334 VXNlcm5hbWU6"),
            ("DXM=", "334 UGFzc3dvcmQ6"),
            ("CDP3", "235 2.7.0 ok"),
        ];
        let (result, heard) = login(settings(|_| {}), old).await;
        assert_eq!(
            (result.as_str(), heard),
            ("sent", vec!["AUTH LOGIN".into(), "us".into(), "p:w".into(), MAIL.into()])
        );
        let cram: Script = &[offer!("AUTH CRAM-MD5 PLAIN"), ("AUTH", "334 PDFAeD4="), ("DXMG", "235 ok")];
        let (result, heard) = login(settings(|_| {}), cram).await;
        assert_eq!((result.as_str(), heard[0].as_str()), ("sent", "AUTH CRAM-MD5"));
        assert!(heard[1].starts_with("us ") && heard[1].len() == "us ".len() + 32, "{heard:?}");
    });
}

#[test]
fn without_an_offer_or_a_password_there_is_no_login_and_mail_goes_out() {
    run(async {
        for (passwords, script) in
            [("static:us:pw", &[offer!("DSN")][..]), ("inline:{ other.test=us:pw }", &[offer!("AUTH PLAIN")])]
        {
            let settings = Settings { sasl: Some(Rc::new(sasl(passwords))), ..fixture::settings() };
            let (result, heard) = login(settings, script).await;
            assert_eq!((result.as_str(), heard), ("sent", vec![MAIL.to_owned()]));
        }
        let mut discards = settings(|_| {});
        discards.quirks = Rc::new(Quirks { discard: vec!["AUTH".to_owned()], ..Quirks::none() });
        assert_eq!(login(discards, &[offer!("AUTH PLAIN")]).await, ("sent".to_owned(), vec![MAIL.to_owned()]));
    });
}

#[test]
fn a_login_that_fails_says_why() {
    run(async {
        let refused = |said: &str| format!("SASL authentication failed; server HOST said: {said}");
        let said: [(&'static str, &str, &str); 7] = [
            ("535 5.7.8 Error: authentication failed", "4.7.8", "5.7.8"),
            ("454 4.7.0 Temporary authentication failure", "4.7.0", "4.7.0"),
            ("535 no enhanced", "4.0.0", "5.0.0"),
            ("421 4.3.0 bye", "4.3.0", "4.3.0"),
            ("504 5.5.4 Unrecognized authentication type", "4.5.4", "5.5.4"),
            ("538 5.7.11 Encryption required", "4.7.11", "5.7.11"),
            ("432 4.7.12 password transition needed", "4.7.12", "4.7.12"),
        ];
        for (reply, soft, hard) in said {
            let script: Script = Box::leak(Box::new([offer!("AUTH PLAIN"), ("AUTH", reply)]));
            let (result, heard) = login(settings(|_| {}), script).await;
            assert_eq!((result, heard.len()), (format!("{soft} {}", refused(reply)), 1));
            let (result, _) = login(settings(|sasl| sasl.soft_bounce = false), script).await;
            assert_eq!(result, format!("{hard} {}", refused(reply)));
        }
        let lines: Script = &[offer!("AUTH PLAIN"), ("AUTH", "535-5.7.8 line one|535 5.7.8 line two")];
        let (result, _) = login(settings(|_| {}), lines).await;
        assert_eq!(result, format!("4.7.8 {}", refused("535-5.7.8 line one?535 5.7.8 line two")));
    });
}

#[test]
fn a_login_that_is_not_possible_says_so_and_the_client_leaves() {
    run(async {
        let cannot = |why: &str| format!("4.7.0 SASL authentication failed; cannot authenticate to server HOST: {why}");
        let none = "4.7.0 SASL authentication failed: server HOST offered no compatible authentication mechanisms for \
                    this type of connection security";
        let lost = "4.4.2 lost connection with HOST while performing the EHLO handshake";
        let long: &'static str = Box::leak(format!("334 {}", "A".repeat(2048)).into_boxed_str());
        let cases: [(Script, String); 8] = [
            (&[offer!("AUTH")], none.to_owned()),
            (&[offer!("AUTH FOO BAR")], cannot("no mechanism available")),
            (&[offer!("AUTH CRAM-MD5"), ("AUTH", "334 ###bad")], cannot("bad protocol / cancel")),
            (&[offer!("AUTH PLAIN"), ("AUTH", "334 eyJ4Ijp9")], cannot("generic failure")),
            (&[offer!("AUTH LOGIN"), ("GREETING", "220 sink.test ESMTP"), ("", "334 ")], cannot("generic failure")),
            (&[offer!("AUTH PLAIN"), ("AUTH", "!")], lost.to_owned()),
            (Box::leak(Box::new([offer!("AUTH CRAM-MD5"), ("AUTH", long)])), lost.to_owned()),
            (
                &[offer!("AUTH SCRAM-SHA-256"), ("AUTH", "235 2.7.0 ok")],
                cannot("server failed mutual authentication step"),
            ),
        ];
        for (script, expected) in cases {
            let (result, heard) = login(settings(|_| {}), script).await;
            assert_eq!(result, expected, "{script:?}");
            assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "{heard:?}");
        }
        let broken = Settings { sasl: Some(Rc::new(sasl("fail:x"))), ..fixture::settings() };
        let (result, _) = login(broken, &[offer!("AUTH PLAIN"), GO_ON]).await;
        assert_eq!(result, "4.3.0 local data error while talking to HOST");
    });
}

#[test]
fn a_long_initial_response_waits_for_the_servers_challenge() {
    run(async {
        for (length, commands) in [(360, 1), (370, 2)] {
            let script: Script =
                &[offer!("AUTH PLAIN"), ("AUTH PLAIN A", "235 ok"), ("AUTH", "334 "), ("AHVZ", "235 ok")];
            let passwords = format!("static:us:{}", "p".repeat(length));
            let settings = Settings { sasl: Some(Rc::new(sasl(&passwords))), ..fixture::settings() };
            let (result, heard) = login(settings, script).await;
            assert_eq!((result.as_str(), heard.len()), ("sent", commands + 1), "{length}");
        }
    });
}

#[test]
fn a_refused_password_is_not_tried_again_where_refusals_are_remembered() {
    run(async {
        for (reply, tries) in [("535 5.7.8 no", 1), ("454 4.7.0 later", 2)] {
            let script: Script = Box::leak(Box::new([offer!("AUTH PLAIN"), ("AUTH", reply)]));
            let mut server = Server::v4(script).await;
            let file = refusals::tests::path(&tries.to_string());
            let refusals = Refusals::open(&file, None, Duration::from_secs(60)).unwrap();
            let agent = agent(settings(|sasl| sasl.refusals = Some(refusals)));
            let mut last = String::new();
            for _ in 0..2 {
                let report = deliver(&agent, job(&server.nexthop(), &["u@d.test"], TEXT)).await;
                last = format!("{} {}", report.outcomes[0].status, report.outcomes[0].reason);
            }
            assert_eq!(server.lines().iter().filter(|line| line.starts_with("AUTH")).count(), tries);
            std::fs::remove_file(file).unwrap();
            if tries == 1 {
                let text = "SASL [CACHED] authentication failed; server 127.0.0.1 said: 535 5.7.8 no";
                assert_eq!(last, format!("4.7.8 {text}"));
            }
        }
    });
}

#[test]
fn nobody_is_named_in_mail_only_after_a_login_and_where_that_is_wanted() {
    run(async {
        let wanted = || settings(|sasl| sasl.says_nobody = true);
        let (_, heard) = login(wanted(), &[offer!("AUTH PLAIN"), GO_ON]).await;
        assert_eq!(heard.last().unwrap(), &format!("{MAIL} AUTH=<>"));
        assert_eq!(login(wanted(), &[]).await.1.last().unwrap(), &format!("{MAIL} SIZE=28"));
    });
}

#[test]
fn a_kept_session_takes_only_mail_with_the_same_login() {
    run(async {
        let passwords = "inline:{ alice@example.test=alice:a, bob@example.test=bob:b, carol@example.test=alice:a }";
        let mut server = Server::v4(&[offer!("AUTH PLAIN"), GO_ON]).await;
        let settings = Settings { sasl: Some(Rc::new(sasl(passwords))), ..fixture::settings() };
        let agent = agent(settings);
        let mut connections = Vec::new();
        for sender in ["alice", "carol", "bob", "alice", "nobody"] {
            let mail = job(&server.nexthop(), &["u@d.test"], TEXT);
            let sender = format!("{sender}@example.test");
            assert_eq!(deliver(&agent, fixture::with_sender(mail, &sender)).await.outcomes[0].verdict, Verdict::Sent);
            let heard = std::iter::from_fn(|| server.heard.try_recv().ok());
            let mails = heard.filter(|(_, line)| line.starts_with("MAIL")).map(|(connection, _)| connection);
            connections.extend(mails);
        }
        assert_eq!(connections, [0, 0, 1, 0, 2]);
    });
}

#[test]
fn the_postmaster_is_not_told_the_password() {
    run(async {
        let mut settings = settings(|_| {});
        let main_cf = b"notify_classes = protocol\nmyhostname = mx.example.test\n";
        let config = config::Config::parse(main_cf, std::path::Path::new("/c"), &[]).unwrap();
        settings.notices = Rc::new(Notices::of(&Postmaster::read(&config, "SMTP client").unwrap()));
        let server = Server::v4(&[offer!("AUTH PLAIN"), GO_ON, ("MAIL", "150 odd")]).await;
        let agent = agent(settings);
        deliver(&agent, job(&server.nexthop(), &["u@d.test"], TEXT)).await;
        let told: Vec<_> = agent.settings.notices.take();
        let text = format!("{:?}", told.iter().map(|notice| notice.transcript.to_string()).collect::<Vec<_>>());
        assert!(text.contains("Out: AUTH PLAIN [12 bytes that are secret]"), "{text}");
        assert!(!text.contains("AHVzAHA6dw"), "{text}");
    });
}
