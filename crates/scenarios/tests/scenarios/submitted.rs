//! The text that a local user hands to `sendmail`, and what is delivered of it.

use scenarios::scenario;
use testing::maildir::Mail;
use testing::wait::{PATIENCE, until_true};
use testing::{Instance, Setup};

/// Leaves each text for alice and gives back what she got of them, in no order.
fn delivered(mail: &Instance, texts: &[&str]) -> Vec<Mail> {
    for text in texts {
        mail.sendmail(&["-f", "carol@mail.test", "alice@mail.test"], text);
    }
    mail.wait_mail("alice", texts.len())
}

#[test]
fn a_final_dot_ends_the_text_with_or_without_the_end_of_its_line() {
    scenario(|| {
        let mail = Setup::new().start();
        for message in delivered(&mail, &["Subject: a\n\nbody\n.", "Subject: a\n\nbody\n.\nmore\n"]) {
            assert_eq!(message.body(), "body\n");
        }
    });
}

#[test]
fn a_first_line_that_begins_with_a_blank_is_body_and_no_part_of_the_trace_header() {
    scenario(|| {
        let mail = Setup::new().start();
        let message = delivered(&mail, &[" by a stranger\nSubject: a\n"]).remove(0);
        assert_eq!(message.body(), " by a stranger\nSubject: a\n");
        assert!(!message.header("Received").unwrap_or_default().contains("stranger"), "{}", message.0);
    });
}

#[test]
fn the_sender_that_names_the_recipient_has_the_name_that_the_message_was_sent_to() {
    scenario(|| {
        let mail = Setup::new().set("virtual_alias_maps", "inline:{member@list.test=alice@mail.test}").start();
        let own = "owner@mail.test";
        for (recipient, sender) in [
            ("member@list.test", "owner+member=list.test@mail.test"),
            ("alice@mail.test", "owner+alice=mail.test@mail.test"),
        ] {
            mail.sendmail(&["-XV", "-f", own, recipient], "Subject: hello\n\nbody\n");
            mail.wait_log(&[&format!("from=<{own}>"), "(queue active)"]);
            let expected = format!("<{sender}>");
            let of_sender = |text: &Mail| text.header("Return-Path").as_deref() == Some(expected.as_str());
            let arrived = || Mail::in_maildir(&mail.maildir("alice")).iter().any(of_sender);
            assert!(until_true(PATIENCE, arrived), "{sender}");
        }
    });
}
