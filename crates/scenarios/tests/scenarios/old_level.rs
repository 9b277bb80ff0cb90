//! A configuration of an older version: each default that it keeps is told in the log where it counts, by the program
//! for which it does.

use scenarios::scenario;
use testing::accounts::is_root;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup};

const NOTICE: &str = "using backwards-compatible default setting";

fn old() -> Setup {
    Setup::new().set("compatibility_level", "0").set("smtpd_authorized_xclient_hosts", "127.0.0.1")
}

/// A session of a client at another address, with these commands.
fn stranger(mail: &Instance, commands: &[&str]) {
    let mut client = Client::connect(mail.v4()).expect("connected");
    for command in ["XCLIENT ADDR=192.0.2.7", "EHLO client.test"].iter().chain(commands) {
        client.command(command).expect("answered");
    }
}

#[test]
fn an_old_default_that_lets_mail_in_is_told() {
    scenario(|| {
        let mail = old()
            .set("smtpd_recipient_restrictions", "permit_auth_destination, check_client_access static:OK, reject")
            .start();
        let recipients = ["RCPT TO:<a@sub.mail.test>", "RCPT TO:<b@other.test>", "RCPT TO:<\u{fc}@mail.test>"];
        stranger(&mail, &[&["MAIL FROM:<\u{e4}@client.test>"], recipients.as_slice()].concat());
        for told in [
            "relay_domains=$mydestination to accept mail for domain \"sub.mail.test\"",
            "relay_domains=$mydestination to accept mail for address \"a@sub.mail.test\"",
            "\"smtpd_relay_restrictions = (empty)\" to avoid \"Relay access denied\" error for recipient \"b@other.test\" \
             from client \"unknown[192.0.2.7]\"",
            "smtputf8_enable=no to accept non-ASCII sender address \"??@client.test\" from unknown[192.0.2.7]",
        ] {
            mail.wait_log(&["/smtpd[", &format!("]: {NOTICE} {told}")]);
        }
    });
}

#[test]
fn a_client_that_todays_default_lets_pass_is_no_matter_of_an_old_one() {
    scenario(|| {
        let mail = old().set("smtpd_recipient_restrictions", "check_client_access static:OK, reject").start();
        let rcpt = |name: &str| format!("RCPT TO:<{name}@other.test>");
        let mut client = Client::connect(mail.v4()).expect("connected");
        for command in ["XCLIENT ADDR=192.0.2.7 LOGIN=bob", "EHLO client.test", "MAIL FROM:<a@client.test>", &rcpt("b")]
        {
            client.command(command).expect("answered");
        }
        stranger(&mail, &["MAIL FROM:<a@client.test>", &rcpt("c")]);
        mail.wait_log(&["smtpd_relay_restrictions = (empty)", "\"c@other.test\""]);
        assert_eq!(mail.find_log(&["smtpd_relay_restrictions = (empty)", "\"b@other.test\""]), None, "{}", mail.log());
    });
}

#[test]
fn an_old_order_of_restrictions_is_told_when_it_refuses() {
    scenario(|| {
        let mail = old().set("smtpd_recipient_restrictions", "reject_unauth_destination").start();
        stranger(&mail, &["MAIL FROM:<a@client.test>", "RCPT TO:<b@other.test>"]);
        mail.wait_log(&[
            "/smtpd[",
            &format!(
                "{NOTICE} smtpd_relay_before_recipient_restrictions=no to reject recipient \"b@other.test\" from client \
                 \"unknown[192.0.2.7]\""
            ),
        ]);
    });
}

#[test]
fn a_domain_that_an_old_default_completes_is_told_and_so_is_mail_that_is_sent_without_tls() {
    scenario(|| {
        let recipients = ("smtpd_recipient_restrictions", "permit_mynetworks, reject");
        let known = old().set(recipients.0, recipients.1).start();
        known.sendmail(&["-f", "root@mail.test", "u@localhost"], "Subject: x\n\nbody\n");
        known.wait_log(&["to=<u@localhost.mail.test>"]);
        assert_eq!(known.find_log(&["to rewrite \"localhost\""]), None, "{}", known.log());
        let mail = old().set(recipients.0, recipients.1).set("mydestination", "mail.test").start();
        mail.sendmail(&["-f", "root@mail.test", "u@short", "u@localhost"], "Subject: x\n\nbody\n");
        mail.wait_log(&[
            "/trivial-rewrite[",
            &format!("{NOTICE} append_dot_mydomain=yes to rewrite \"short\" to \"short.mail.test\""),
        ]);
        mail.wait_log(&[
            "/trivial-rewrite[",
            &format!(
                "{NOTICE} append_dot_mydomain=yes to rewrite \"localhost\" to \"localhost.mail.test\"; please add \
                 \"localhost\" to mydestination or other address class"
            ),
        ]);
        mail.wait_log(&["/smtp[", &format!("{NOTICE} smtp_tls_security_level=(empty)")]);
    });
}

#[test]
fn the_client_tells_an_old_default_once_a_process() {
    scenario(|| {
        let mail = old().set("smtpd_recipient_restrictions", "permit_mynetworks, reject").start();
        for name in ["one", "two", "three"] {
            mail.sendmail(&["-f", "root@mail.test", &format!("{name}@away.mail.test")], "Subject: x\n\nbody\n");
            mail.wait_log(&[&format!("to=<{name}@away.mail.test>")]);
        }
        let log = mail.log();
        let told = log.lines().filter(|line| line.contains("smtp_tls_security_level=(empty)"));
        let mut processes: Vec<&str> = told.filter_map(|line| line.split("/smtp[").nth(1)).collect();
        let count = processes.len();
        processes.sort_unstable();
        processes.dedup();
        assert_eq!((processes.len(), count > 0), (count, true), "{log}");
    });
}

#[test]
fn addresses_that_an_old_default_leaves_out_are_told_by_check_and_in_the_log() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let recipients = ("smtpd_recipient_restrictions", "permit_mynetworks, reject");
        let mut mail = old().set("inet_interfaces", "127.0.0.1").set(recipients.0, recipients.1).build();
        for (file, left_out) in [("main.cf", "inet_protocols"), ("master.cf", "[::1]")] {
            let path = mail.etc().join(file);
            let text = std::fs::read_to_string(&path).expect("read");
            let lines = text.lines().filter(|line| !line.starts_with(left_out));
            std::fs::write(&path, lines.map(|line| format!("{line}\n")).collect::<String>()).expect("written");
        }
        let told = "inet_protocols=ipv4: mail is neither received nor sent over IPv6, and these addresses of this host are not used: ::1";
        let said = String::from_utf8_lossy(&mail.run("postfix", &["check"]).stderr).into_owned();
        assert_eq!(said.matches(told).count(), 1, "{said}");
        let started = mail.run("postfix", &["start"]);
        assert_eq!(started.status.code(), Some(0), "{}", String::from_utf8_lossy(&started.stderr));
        mail.adopt();
        mail.wait_log(&["/master[", told]);
    });
}

#[test]
fn every_command_of_postfix_tells_of_an_old_level() {
    scenario(|| {
        if !is_root() {
            eprintln!("left out: the postfix command is reserved for root");
            return;
        }
        let mut mail = old().set("smtpd_recipient_restrictions", "reject").build();
        for command in ["check", "start", "status", "reload"] {
            let before = mail.log().len();
            let said = String::from_utf8_lossy(&mail.run("postfix", &[command]).stderr).into_owned();
            if command == "start" {
                mail.adopt();
            }
            for sentence in [
                "Postfix is using backwards-compatible default settings",
                "See https://www.postfix.org/COMPATIBILITY_README.html for details",
                "To disable backwards compatibility use \"postconf compatibility_level=3.11\" and \"postfix reload\"",
            ] {
                assert!(said.contains(&format!("postfix: {sentence}")), "{command}: {said}");
                let is_logged = |line: &str| line.contains(" postfix[") && line.ends_with(sentence);
                let logged = until_true(PATIENCE, || mail.log()[before..].lines().any(is_logged));
                assert!(logged, "{command}: {}", mail.log());
            }
        }
        let today = Setup::new().set("compatibility_level", "3.11").build();
        let said = String::from_utf8_lossy(&today.run("postfix", &["check"]).stderr).into_owned();
        assert!(!said.contains("backwards-compatible"), "{said}");
    });
}
