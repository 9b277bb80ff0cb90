//! What sendmail does beside taking a message: it asks whether addresses are good (`-bv`), and has the queue tried
//! (`-q`).

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Instance, Setup, Sink};

/// What would become of mail for each recipient, from the report: `STATUS ACTION: diagnostic`, with ports as PORT.
fn report(text: &str, recipient: &str) -> Option<String> {
    let text = text.replace("\n    ", " ");
    let (_, part) = text.split_once(&format!("\nFinal-Recipient: rfc822; {recipient}\n"))?;
    let part = part.split("\n\n").next()?;
    let field = |name: &str| part.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    Some(format!("{}{}:{}", field("Status: "), field("Action:"), field("Diagnostic-Code:")))
}

#[test]
fn whether_addresses_that_nobody_has_written_to_are_good_is_found_out_and_reported_by_mail() {
    scenario(|| {
        let (good, bad) = (Sink::v4(), Sink::v4());
        bad.refuse_beyond(0, "550 5.1.1 no such user");
        let ways = format!("inline:{{other.test=smtp:{}, bad.test=smtp:{}}}", good.next_hop(), bad.next_hop());
        let ways =
            format!("{ways}, inline:{{{{err.test=error:5.7.1 go away}}}}, inline:{{down.test=smtp:[127.0.0.1]:9}}");
        let aliases = "inline:{{list@mail.test=carol, y@bad.test}}";
        let mail = Setup::new().set("transport_maps", ways).set("virtual_alias_maps", aliases).start();
        let to = ["bob", "nosuch@mail.test", "x@other.test", "z@down.test", "e@err.test", "list"];
        let output = mail.run("sendmail", &[&["-bv", "-f", "alice@mail.test"][..], &to].concat());
        assert_eq!(output.status.code(), Some(0));
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, "Mail Delivery Status Report will be mailed to <alice@mail.test>.\n");
        let told = mail.wait_mail("alice", 1).remove(0);
        assert_eq!(told.header("Subject").as_deref(), Some("Mail Delivery Status Report"));
        assert_eq!(told.header("Auto-Submitted").as_deref(), Some("auto-replied"));
        let file = |user: &str| format!("delivery via local: delivers to file: {}/", mail.maildir(user).display());
        let unknown = "5.1.1 undeliverable: X-Postfix; delivery via local: unknown user: \"nosuch\"";
        for (recipient, expected) in [
            ("bob@mail.test", format!("2.0.0 deliverable: X-Postfix; {}", file("bob"))),
            ("carol@mail.test", format!("2.0.0 deliverable: X-Postfix; {}", file("carol"))),
            ("nosuch@mail.test", unknown.to_owned()),
            ("x@other.test", "2.1.5 deliverable: smtp; 250 2.1.5 Ok".to_owned()),
            ("y@bad.test", "5.1.1 undeliverable: smtp; 550 5.1.1 no such user".to_owned()),
            ("e@err.test", "5.7.1 undeliverable: X-Postfix; go away".to_owned()),
        ] {
            assert_eq!(report(&told.0, recipient), Some(expected), "{}", told.0);
        }
        let down = report(&told.0, "z@down.test").unwrap_or_default();
        assert!(down.starts_with("4.4.1 undeliverable: X-Postfix; connect to 127.0.0.1[127.0.0.1]:9: "), "{down}");
        for line in [
            ["to=<x@other.test>", "dsn=2.1.5, status=deliverable (250 2.1.5 Ok)"],
            ["to=<y@bad.test>, orig_to=<list>", "dsn=5.1.1, status=undeliverable (host "],
            ["to=<nosuch@mail.test>", "relay=local, "],
            ["to=<e@err.test>", "dsn=5.7.1, status=undeliverable (go away)"],
            ["/bounce[", "sender delivery status notification: "],
        ] {
            mail.wait_log(&line);
        }
        mail.wait_idle();
        assert_eq!((good.count(), bad.count(), testing::maildir::Mail::count(&mail.maildir("bob"))), (0, 0, 0));
    });
}

/// The exit status of sendmail, and what it says.
fn sendmail(mail: &Instance, arguments: &[&str]) -> (Option<i32>, String) {
    let output = mail.run_with("sendmail", arguments, b"");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).trim_end().to_owned())
}

#[test]
fn the_queue_is_tried_when_somebody_asks_and_a_request_that_makes_no_sense_says_why() {
    scenario(|| {
        let port = testing::port::Port::reserve();
        let mut mail = Setup::new().set("relayhost", format!("[127.0.0.1]:{}", port.number())).start();
        mail.sendmail(&["-f", "alice@mail.test", "x@other.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["to=<x@other.test>", "status=deferred"]);
        // The line comes before the file is where a flush looks for it.
        assert!(until_true(PATIENCE, || mail.queue_ids("deferred").len() == 1));
        let sink = Sink::at(([127, 0, 0, 1], port.number()).into());
        assert_eq!(sendmail(&mail, &["-q1h"]), (Some(0), String::new()));
        assert_eq!(sendmail(&mail, &["-q"]), (Some(0), String::new()));
        mail.wait_log(&["to=<x@other.test>", "status=sent"]);
        assert_eq!(sink.count(), 1);
        for (arguments, status, said) in [
            (&["-qI"][..], 75, "sendmail: fatal: specify: -qIqueueid"),
            (&["-qI../x"], 69, "postqueue: fatal: Cannot flush queue ID - invalid name: \"../x\""),
            (&["-qR"], 75, "sendmail: fatal: specify: -qRsitename"),
            (&["-qRfoo"], 69, "postqueue: fatal: Flush service is not configured for destination \"foo\""),
            (&["-qRa b"], 69, "postqueue: fatal: Cannot flush mail queue - invalid destination: \"a b\""),
            (&["-qSx"], 75, "sendmail: fatal: -qS is not implemented"),
            (&["-qfoo"], 75, "sendmail: fatal: -qf is not implemented"),
            (&["-qIXYZ", "x"], 75, "sendmail: fatal: flush queue_id requires no recipient"),
            (&["-q", "bob"], 75, "sendmail: fatal: flush queue mode requires no recipient"),
            (&["-bv", "-t"], 75, "sendmail: fatal: -t option cannot be used with -bv"),
        ] {
            assert_eq!(sendmail(&mail, arguments), (Some(status), said.to_owned()), "{arguments:?}");
        }
        mail.stop();
        let down = "postqueue: fatal: Cannot flush mail queue - mail system is down";
        assert_eq!(sendmail(&mail, &["-q"]), (Some(69), down.to_owned()));
    });
}
