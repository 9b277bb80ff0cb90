//! What happens at limits: everything counts, or there is an error with a name; and one message's trouble is no
//! other's.

use scenarios::scenario;
use testing::{Setup, Sink};

/// Header lines with this many recipients.
fn blind_copies(count: usize) -> String {
    let addresses: Vec<String> = (0..count).map(|n| format!("u{n}@elsewhere.test")).collect();
    addresses.chunks(1000).map(|some| format!("Bcc: {}\n", some.join(",\n "))).collect()
}

fn named(mail: &testing::Instance, user: &str) -> usize {
    let reports = testing::maildir::Mail::in_maildir(&mail.maildir(user));
    reports.iter().map(|report| report.0.matches("\nFinal-Recipient:").count()).sum()
}

#[test]
fn a_server_that_refuses_at_great_length_concerns_its_recipients_alone() {
    scenario(|| {
        let (hostile, other) = (Sink::v4(), Sink::v4());
        let line = format!("550-{}\r\n", "x".repeat(2000));
        hostile.refuse(Some(&format!("{}550 5.7.1 no", line.repeat(99))));
        let mail = Setup::new().set("relayhost", hostile.next_hop()).set("default_transport", "smtp").build();
        let map = mail.etc().join("transport");
        std::fs::write(&map, format!("other.test smtp:{}\n", other.next_hop())).expect("a table");
        let mut mail = mail;
        mail.set("transport_maps", &format!("texthash:{}", map.display()));
        mail.start();
        let refused: Vec<String> = (0..20).map(|n| format!("u{n}@elsewhere.test")).collect();
        let mut arguments = vec!["-f", "bob@mail.test"];
        arguments.extend(refused.iter().map(String::as_str));
        mail.sendmail(&arguments, "Subject: refused\n\nbody\n");
        mail.wait_mail("bob", 1);
        assert_eq!(named(&mail, "bob"), 20);
        mail.wait_log(&["warning: ", "multi-line response longer than 2048 550-xxxxxxxxxx"]);
        mail.sendmail(&["-f", "bob@mail.test", "a@other.test"], "Subject: fine\n\nbody\n");
        mail.wait_log(&["to=<a@other.test>", "status=sent"]);
        mail.wait_idle();
    });
}

#[test]
fn a_notification_names_every_recipient_that_failed() {
    scenario(|| {
        let mail = Setup::new().set("default_transport", "error:5.1.1 no such domain").set("relayhost", "").start();
        mail.sendmail(&["-f", "bob@mail.test", "-t"], &format!("Subject: many\n{}\nbody\n", blind_copies(10_500)));
        mail.wait_mail("bob", 1);
        mail.wait_idle();
        assert_eq!(named(&mail, "bob"), 10_500);
    });
}

#[test]
fn a_submission_that_is_refused_goes_back_however_many_recipients_it_has() {
    scenario(|| {
        let mail = Setup::new().build();
        let checks = mail.etc().join("checks");
        std::fs::write(&checks, "/^Subject: bad/ REJECT no\n").expect("a table");
        let mut mail = mail;
        mail.set("header_checks", &format!("regexp:{}", checks.display()));
        mail.start();
        mail.sendmail(&["-f", "bob@mail.test", "-t"], &format!("Subject: bad\n{}\nbody\n", blind_copies(10_500)));
        mail.wait_mail("bob", 1);
        mail.wait_idle();
        assert_eq!(named(&mail, "bob"), 10_500);
        assert!(mail.queue_ids("maildrop").is_empty());
    });
}

#[test]
fn a_header_that_is_too_long_to_be_read_for_recipients_is_refused_with_status_75() {
    scenario(|| {
        let mail = Setup::new().start();
        let addresses: Vec<String> = (0..6000).map(|n| format!("user{n:05}@elsewhere.test")).collect();
        let text = format!("Bcc: {}\n\nbody\n", addresses.join(",\n "));
        let output = mail.run_with("sendmail", &["-f", "bob@mail.test", "-t"], text.as_bytes());
        assert_eq!(output.status.code(), Some(75));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("unable to extract recipients: message header length exceeds safety limit"), "{said}");
        assert!(mail.queue_ids("maildrop").is_empty());
    });
}

#[test]
fn a_submission_that_may_write_no_file_says_so_and_leaves_none() {
    scenario(|| {
        let mail = Setup::new().start();
        let sendmail = mail.command("sendmail");
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", "ulimit -f 0; echo text | \"$0\" -f bob@mail.test alice@mail.test"]);
        limited.arg(sendmail.get_program());
        limited.envs(sendmail.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = limited.output().expect("sh");
        assert_eq!(output.status.code(), Some(75));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("message file too big"), "{said}");
        assert_eq!(std::fs::read_dir(mail.queue().join("maildrop")).expect("maildrop").count(), 0);
    });
}

#[test]
fn a_long_line_whose_pieces_are_replaced_stays_one() {
    scenario(|| {
        for (rule, line) in [
            ("REPLACE R", "RRR".to_owned()),
            ("PREPEND P", format!("P\n{0}P\n{0}P\n{1}", "x".repeat(2048), "x".repeat(904))),
            ("IGNORE", String::new()),
        ] {
            let mail = Setup::new().set("body_checks", format!("regexp:{{{{/^x/ {rule}}}}}")).start();
            let text = format!("Subject: x\n\n{}\nshort\n", "x".repeat(5000));
            mail.sendmail(&["-f", "alice@mail.test", "bob"], &text);
            let expected = if line.is_empty() { "short\n".to_owned() } else { format!("{line}\nshort\n") };
            assert_eq!(mail.wait_mail("bob", 1).remove(0).body(), expected, "{rule}");
        }
    });
}
