//! Deliveries to servers that offer TLS, good ones and others, at each level: the status and what became of TLS.

use std::rc::Rc;
use std::time::Duration;

use delivery::{Job, Report, Verdict};
use lookup::{Maps, OpenFlags};
use queue::SendOptions;
use testing::certificates::{Authority, Identity, Period};
use testing::tls_server::{Script, Starttls, TlsServer};

use super::fixture::{self, job};
use super::{TEXT, agent, deliver, run};
use crate::settings::Settings;
use crate::tls::{Level, Rules, open_requiretls};

/// Settings that trust an authority.
fn trusting(authority: &Authority, level: Level) -> Settings {
    let mut anchors = ::tls::Anchors::default();
    assert!(anchors.add(authority.certificate().der.clone()));
    let rules = Rules { level, anchors: Rc::new(anchors), log_feature: true, ..fixture::settings().tls };
    Settings { tls: rules, ..fixture::settings() }
}

/// `tls=`, status and reason of a report for one recipient.
fn told(report: &Report) -> (String, String) {
    let outcome = &report.outcomes[0];
    (outcome.status.to_string(), outcome.reason.clone())
}

async fn outcome(settings: Settings, server: &TlsServer) -> (String, String) {
    told(&deliver(&agent(settings), job(&server.next_hop(), &["u@d.test"], TEXT)).await)
}

/// A certificate for the address of the servers here.
fn good(authority: &Authority) -> Identity {
    authority.issue(&["127.0.0.1"], Period::Current)
}

fn host(server: &TlsServer) -> String {
    let ip = server.address().ip();
    format!("{ip}[{ip}]")
}

const SENT: &str = "2.0.0";

#[test]
fn each_level_takes_what_it_asks_for_and_nothing_less() {
    run(async {
        let ours = Authority::root("Lab Root CA");
        let servers = [
            ("good", Script::new(&good(&ours))),
            ("plain", Script::plain()),
            ("old", Script { old: true, ..Script::new(&good(&ours)) }),
            ("unknown", Script::new(&good(&Authority::root("Other Root CA")))),
            ("expired", Script::new(&ours.issue(&["127.0.0.1"], Period::Over))),
            ("other name", Script::new(&ours.issue(&["mx.other.test"], Period::Current))),
            ("refused", Script::new(&good(&ours)).with(Starttls::Refused("454 4.7.0 not now"))),
            ("refused for good", Script::new(&good(&ours)).with(Starttls::Refused("501 5.5.1 no"))),
            ("closes", Script::new(&good(&ours)).with(Starttls::Closes)),
            ("garbage", Script::new(&good(&ours)).with(Starttls::Garbage)),
            ("hangs", Script::new(&good(&ours)).with(Starttls::Hangs)),
            ("closes after", Script::new(&good(&ours)).with(Starttls::ClosesAfter)),
            ("1.2", Script { only_12: true, ..Script::new(&good(&ours)) }),
        ];
        let (t1, t4) =
            ("4.7.4 TLS is required, but was not offered by host HOST", "4.7.5 Server certificate not verified");
        let t2 = "4.7.0 TLS is required, but host HOST refused to start TLS: 454 4.7.0 not now";
        let t2_final = "5.5.1 TLS is required, but host HOST refused to start TLS: 501 5.5.1 no";
        let t3 = "4.7.5 Cannot start TLS: handshake failure";
        let lost = "4.4.2 lost connection with HOST while performing the EHLO handshake";
        // Which words mean what for levels none, may, encrypt, verify.
        let expected = [
            ("good", [SENT, SENT, SENT, SENT]),
            ("plain", [SENT, SENT, t1, t1]),
            ("old", [SENT, SENT, t1, t1]),
            ("unknown", [SENT, SENT, SENT, t4]),
            ("expired", [SENT, SENT, SENT, t4]),
            ("other name", [SENT, SENT, SENT, t4]),
            ("refused", [SENT, SENT, t2, t2]),
            ("refused for good", [SENT, SENT, t2_final, t2_final]),
            ("closes", [SENT, t3, t3, t3]),
            ("garbage", [SENT, t3, t3, t3]),
            ("hangs", [SENT, t3, t3, t3]),
            ("closes after", [SENT, lost, lost, lost]),
            ("1.2", [SENT, SENT, SENT, SENT]),
        ];
        for ((name, script), (same, outcomes)) in servers.into_iter().zip(expected) {
            assert_eq!(name, same);
            let server = script.start();
            for (level, expected) in [Level::None, Level::May, Level::Encrypt, Level::Verify].into_iter().zip(outcomes)
            {
                let mut settings = trusting(&ours, level);
                if name == "hangs" {
                    settings.limits.starttls = Duration::from_millis(50);
                }
                let (status, reason) = outcome(settings, &server).await;
                let told = if status == SENT { status } else { format!("{status} {reason}") };
                let expected = expected.replace("HOST", &host(&server));
                assert_eq!(told, expected, "{name} {level:?}");
            }
        }
    });
}

#[test]
fn under_tls_everything_begins_anew_and_nothing_from_before_counts() {
    run(async {
        let ours = Authority::root("Lab Root CA");
        let stuffed = Starttls::Stuffed("250-fake|250 SIZE 1|250 2.1.0 Ok");
        let server = Script::new(&good(&ours)).with(stuffed).start();
        let settings = trusting(&ours, Level::Verify);
        assert_eq!(outcome(settings, &server).await.0, SENT);
        let heard = server.heard();
        let expected = ["EHLO mx.example.test", "STARTTLS", "# TLS TLSv1_3 -", "EHLO mx.example.test"];
        assert_eq!(heard[..4], expected);
        assert!(heard[4].starts_with("MAIL FROM:<alice@example.test>"), "{heard:?}");
    });
}

#[test]
fn the_name_that_is_asked_for_is_the_one_that_is_configured() {
    run(async {
        let ours = Authority::root("Lab Root CA");
        let server = Script::new(&good(&ours)).start();
        let mut settings = trusting(&ours, Level::May);
        settings.tls.servername = "sni.example".to_owned();
        assert_eq!(outcome(settings, &server).await.0, SENT);
        assert!(server.heard().contains(&"# TLS TLSv1_3 sni.example".to_owned()));
    });
}

#[test]
fn tls_before_the_greeting_needs_no_command() {
    run(async {
        let ours = Authority::root("Lab Root CA");
        let server = Script { wrapped: true, ..Script::new(&good(&ours)) }.start();
        let mut settings = trusting(&ours, Level::Verify);
        settings.tls.engine.wrapper = true;
        assert_eq!(outcome(settings.clone(), &server).await.0, SENT);
        assert_eq!(server.heard()[..2], ["# TLS TLSv1_3 -", "EHLO mx.example.test"]);
        let plain = Script::plain().start();
        assert_eq!(outcome(settings, &plain).await.1, "Cannot start TLS: handshake failure");
    });
}

/// The same job for a message that has waited.
fn aged(job: Job, seconds: i64) -> Job {
    let mut request = job.request().clone();
    request.active.seconds = request.arrival.seconds + seconds;
    let file = job.file().try_clone().unwrap();
    Job::new(request, file, Rc::new(delivery::Settings::default()))
}

#[test]
fn mail_that_has_waited_goes_in_the_clear_where_tls_is_optional_and_fails() {
    run(async {
        let ours = Authority::root("Lab Root CA");
        for starttls in [Starttls::Closes, Starttls::Garbage, Starttls::ClosesAfter] {
            for (level, seconds, sent) in [
                (Level::May, 299, false),
                (Level::May, 300, true),
                (Level::Encrypt, 300, false),
                (Level::Verify, 300, false),
            ] {
                let server = Script::new(&good(&ours)).with(starttls).start();
                let job = aged(job(&server.next_hop(), &["u@d.test"], TEXT), seconds);
                let report = deliver(&agent(trusting(&ours, level)), job).await;
                let verdict = report.outcomes[0].verdict;
                assert_eq!(verdict == Verdict::Sent, sent, "{starttls:?} {level:?} {seconds}");
                let mails = server.heard().iter().filter(|line| line.starts_with("MAIL")).count();
                assert_eq!(mails, usize::from(sent));
            }
        }
    });
}

#[test]
fn a_session_is_used_again_only_by_mail_that_asks_for_the_same() {
    run(async {
        let ours = Authority::root("Lab Root CA");
        let sessions = async |reuse: bool, jobs: &[SendOptions]| {
            let server = Script::new(&good(&ours)).start();
            let mut settings = trusting(&ours, Level::Verify);
            settings.tls.reuse = reuse;
            let agent = agent(settings);
            for options in jobs {
                let job = job(&server.next_hop(), &["u@d.test"], TEXT);
                let report = deliver(&agent, fixture::with_send_options(job, *options)).await;
                assert_eq!(report.outcomes[0].verdict, Verdict::Sent);
            }
            server.heard().iter().filter(|line| line.starts_with("# TLS")).count()
        };
        let same = SendOptions::default();
        assert_eq!(sessions(false, &[same, same]).await, 2);
        assert_eq!(sessions(true, &[same, same, same]).await, 1);
        assert_eq!(sessions(true, &[same, SendOptions::TLS_REQUIRED_NO, same]).await, 2);
    });
}

#[test]
fn requiretls_travels_with_the_message_to_a_server_that_knows_it() {
    run(async {
        let ours = Authority::root("Lab Root CA");
        let attempt = async |script: Script, level, rules: &str| {
            let server = script.start();
            let mut settings = trusting(&ours, level);
            settings.tls.requiretls = Some(open_requiretls(rules));
            let job = job(&server.next_hop(), &["u@d.test"], TEXT);
            let report = deliver(&agent(settings), fixture::with_send_options(job, SendOptions::REQUIRETLS)).await;
            let (status, reason) = told(&report);
            let mail = server.heard().into_iter().find(|line| line.starts_with("MAIL")).unwrap_or_default();
            (status, reason.replace(&host(&server), "HOST"), mail)
        };
        let knows = || Script::new(&good(&ours)).offering_under_tls("REQUIRETLS");
        let other = || Script::new(&good(&Authority::root("Other"))).offering_under_tls("REQUIRETLS");
        let (status, _, mail) = attempt(knows(), Level::Verify, "enforce").await;
        assert!(status == SENT && mail.ends_with(" REQUIRETLS"), "{mail}");
        let (status, reason, _) = attempt(Script::new(&good(&ours)), Level::Verify, "enforce").await;
        let unsupported = "Sender requested REQUIRETLS, but no server was found that supports REQUIRETLS. The last \
                           attempted server was HOST";
        assert_eq!((status.as_str(), reason.as_str()), ("5.7.30", unsupported));
        let (status, reason, _) = attempt(other(), Level::Verify, "enforce").await;
        let untrusted = "Sender requested REQUIRETLS, but no trusted server certificate was found. The last attempted \
                         server was HOST";
        assert_eq!((status.as_str(), reason.as_str()), ("5.7.10", untrusted));
        let (status, reason, _) = attempt(other(), Level::Verify, "opportunistic").await;
        assert_eq!((status.as_str(), reason.as_str()), ("4.7.5", "Server certificate not verified"));
        let (status, reason, _) = attempt(Script::plain(), Level::May, "opportunistic+starttls").await;
        let not_offered = "Sender requested REQUIRETLS, but TLS service was not offered by host HOST";
        assert_eq!((status.as_str(), reason.as_str()), ("5.7.30", not_offered));
        let refuses = knows().with(Starttls::Refused("454 4.7.0 no"));
        let (status, reason, _) = attempt(refuses, Level::Verify, "enforce").await;
        let refused = "Sender requested REQUIRETLS, but host HOST refused to start TLS: 454 4.7.0 no";
        assert_eq!((status.as_str(), reason.as_str()), ("5.7.10", refused));
        let (status, _, mail) = attempt(Script::plain(), Level::May, "opportunistic").await;
        assert!(status == SENT && mail.ends_with(" RET=HDRS"), "{mail}");
        let (status, _, mail) = attempt(knows(), Level::May, "disable").await;
        assert!(status == SENT && !mail.contains("REQUIRETLS"), "{mail}");
    });
}

#[test]
fn mail_waits_where_it_needs_tls_and_there_is_none_to_be_had() {
    run(async {
        let ours = Authority::root("Lab Root CA");
        let server = Script::new(&good(&ours)).start();
        for (level, reason) in [
            (Level::May, None),
            (Level::Encrypt, Some("TLS is required, but our TLS engine is unavailable")),
            (Level::Verify, Some("TLS is required, but our TLS engine is unavailable")),
        ] {
            let mut settings = trusting(&ours, level);
            settings.tls.engine.works = false;
            let (status, told) = outcome(settings, &server).await;
            assert_eq!(reason.unwrap_or(&told), told);
            assert_eq!(status == SENT, reason.is_none());
        }
        assert!(!server.heard().contains(&"STARTTLS".to_owned()));
    });
}

#[test]
fn a_reply_that_is_there_before_mail_is_sent_ends_the_session_where_that_is_watched() {
    run(async {
        let ours = Authority::root("Lab Root CA");
        let server = Script { early: Some("250 2.1.0 early"), ..Script::new(&good(&ours)) }.start();
        let mut settings = trusting(&ours, Level::Encrypt);
        settings.tls.engine.block_early = true;
        let told = outcome(settings, &server).await;
        assert_eq!(told, ("4.7.0".to_owned(), "unexpected server message".to_owned()));
        assert!(!server.heard().iter().any(|line| line.starts_with("MAIL")));
    });
}

#[test]
fn a_destination_that_the_table_exempts_gets_its_mail_in_the_clear() {
    run(async {
        let ours = Authority::root("Lab Root CA");
        let server = Script::new(&good(&ours)).with(Starttls::Closes).start();
        let mut settings = trusting(&ours, Level::Verify);
        let list = format!("inline:{{ {{ {}=none }} }}", server.next_hop());
        settings.tls.policies =
            Maps::open(lookup::Settings::default(), "smtp_tls_policy_maps", &list, OpenFlags::default()).unwrap();
        assert_eq!(outcome(settings, &server).await.0, SENT);
        assert!(!server.heard().contains(&"STARTTLS".to_owned()));
    });
}
