//! Lists of what waits for a destination: `postqueue -s` and `-i`, `sendmail -qR` and `-qI`.

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup, Sink};

const TEXT: &str = "From: a@mail.test\nSubject: x\n\nbody\n";

/// A mail system that keeps lists of `r.test` and what is below it, and for which nothing is due before its time. Two
/// destinations have a server that is not there yet; the third has none.
fn setup(port: u16) -> Setup {
    Setup::new()
        .set("fast_flush_domains", "r.test")
        .set("relayhost", "")
        .set("minimal_backoff_time", "3600s")
        .set("smtp_tls_security_level", "none")
        .set(
            "transport_maps",
            format!(
                "inline:{{r.test=smtp:[127.0.0.1]:{port}, sub.r.test=smtp:[127.0.0.1]:{port}, \
                 other.test=smtp:[127.0.0.1]:{port}}}"
            ),
        )
        .service("flush unix n - n 1000? 0 flush")
}

/// Hands in a message for each of these, and waits until all wait: their identifiers.
fn deferred(mail: &Instance, recipients: &[&str]) -> Vec<String> {
    let wait = |recipient: &&str| {
        mail.sendmail(&["-f", "a@mail.test", recipient], TEXT);
        let line = mail.wait_log(&[&format!("to=<{recipient}>"), "status=deferred"]);
        let (_, rest) = line.split_once("]: ").expect("a line");
        let id = rest.split(':').next().expect("an identifier").to_owned();
        let (_, domain) = recipient.split_once('@').expect("an address");
        let is_listed = || list(mail, &domain.replace('.', "_")).contains(&id);
        assert!(domain == "other.test" || until_true(PATIENCE, is_listed), "{}", mail.log());
        // The line is there before qmgr has put it away, and what is still in its hands is not asked for.
        mail.wait_queue("deferred", &id);
        id
    };
    recipients.iter().map(wait).collect()
}

fn list(mail: &Instance, name: &str) -> Vec<String> {
    let content = std::fs::read_to_string(mail.queue().join("flush").join(name)).unwrap_or_default();
    content.lines().map(str::to_owned).collect()
}

/// Exit status, and what is on standard error.
fn run(mail: &Instance, program: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = mail.run(program, arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

#[test]
fn a_list_has_what_waits_for_a_domain_and_is_delivered_when_somebody_asks() {
    scenario(|| {
        let port = testing::port::Port::reserve();
        let mail = setup(port.number()).start();
        let ids = deferred(&mail, &["u@r.test", "u@sub.r.test", "u@other.test"]);
        assert_eq!(list(&mail, "sub_r_test"), [ids[1].clone()]);
        assert_eq!(list(&mail, "r_test"), [ids[0].clone()]);
        assert!(!mail.queue().join("flush/other_test").exists());
        let sink = Sink::at(([127, 0, 0, 1], port.number()).into());
        assert_eq!(run(&mail, "postqueue", &["-s", "r.test"]), (Some(0), String::new()));
        mail.wait_log(&["to=<u@r.test>", "status=sent"]);
        assert_eq!(list(&mail, "r_test"), Vec::<String>::new());
        assert_eq!(run(&mail, "sendmail", &["-qRsub.r.test"]), (Some(0), String::new()));
        mail.wait_log(&["to=<u@sub.r.test>", "status=sent"]);
        assert!(mail.find_log(&["to=<u@other.test>", "status=sent"]).is_none());
        assert_eq!(run(&mail, "postqueue", &["-i", &ids[2]]), (Some(0), String::new()));
        mail.wait_log(&["to=<u@other.test>", "status=sent"]);
        assert_eq!(sink.count(), 3);
        // Nobody knows it any more, and that is no failure.
        assert_eq!(run(&mail, "sendmail", &[&format!("-qI{}", ids[2])]), (Some(0), String::new()));
    });
}

#[test]
fn a_site_that_is_there_again_asks_for_its_mail_by_etrn() {
    scenario(|| {
        let port = testing::port::Port::reserve();
        let mail = setup(port.number()).start();
        deferred(&mail, &["u@r.test", "u@sub.r.test", "u@other.test"]);
        let _sink = Sink::at(([127, 0, 0, 1], port.number()).into());
        let mut client = Client::greet(mail.v4()).expect("connected");
        let mut say = |line: &str| client.command(line).expect("a reply").last();
        for (line, reply) in [
            ("ETRN", "500 Syntax: ETRN domain"),
            ("ETRN a b", "500 Syntax: ETRN domain"),
            ("ETRN -r.test", "501 Error: invalid parameter syntax"),
            ("ETRN other.test", "459 <other.test>: service unavailable"),
            ("ETRN r.test", "250 Queuing started"),
            ("ETRN @sub.r.test", "250 Queuing started"),
            ("MAIL FROM:<a@client.test>", "250 2.1.0 Ok"),
            ("ETRN r.test", "503 Error: MAIL transaction in progress"),
        ] {
            assert_eq!(say(line), reply, "{line}");
        }
        for recipient in ["to=<u@r.test>", "to=<u@sub.r.test>"] {
            mail.wait_log(&[recipient, "status=sent"]);
        }
        mail.wait_log(&["/smtpd[", "warning: reject: ETRN other.test... from unknown[127.0.0.1]"]);
        assert!(mail.find_log(&["to=<u@other.test>", "status=sent"]).is_none());
    });
}

#[test]
fn what_is_not_delivered_comes_back_into_its_list() {
    scenario(|| {
        let port = testing::port::Port::reserve();
        let mail = setup(port.number()).start();
        let ids = deferred(&mail, &["u@r.test"]);
        assert_eq!(run(&mail, "postqueue", &["-s", "r.test"]), (Some(0), String::new()));
        let attempts = || mail.log().matches("to=<u@r.test>").count();
        assert!(until_true(PATIENCE, || attempts() == 2), "{}", mail.log());
        assert!(until_true(PATIENCE, || list(&mail, "r_test") == ids), "{}", mail.log());
    });
}

#[test]
fn a_destination_without_a_list_and_words_that_are_none_are_refused() {
    scenario(|| {
        let mail = setup(9).start();
        let long = "x".repeat(300);
        for (arguments, said) in [
            (["-s", "other.test"], "Flush service is not configured for destination \"other.test\"".to_owned()),
            (["-s", "a b"], "Cannot flush mail queue - invalid destination: \"a b\"".to_owned()),
            (["-s", &long], format!("Cannot flush mail queue - invalid destination: \"{}...\"", &long[..100])),
            (["-i", "../x"], "Cannot flush queue ID - invalid name: \"../x\"".to_owned()),
        ] {
            assert_eq!(run(&mail, "postqueue", &arguments), (Some(69), format!("postqueue: fatal: {said}")));
        }
        let (status, said) = run(&mail, "postqueue", &["-s", "r.test"]);
        assert_eq!((status, said.as_str()), (Some(0), ""));
        assert_eq!(mail.run("postfix", &["stop"]).status.code(), Some(0));
        let (status, said) = run(&mail, "postqueue", &["-s", "r.test"]);
        assert_eq!(status, Some(69));
        assert!(said.contains("warning: connect to public/flush: "), "{said}");
        assert!(said.ends_with("postqueue: fatal: Cannot flush mail queue - mail system is down"), "{said}");
    });
}
