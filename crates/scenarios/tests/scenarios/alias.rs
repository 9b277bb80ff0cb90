//! Aliases: users, lists with owners, commands, loops.

use scenarios::scenario;
use testing::{Instance, Setup};

/// An instance that knows these aliases beside its users.
fn with_aliases(text: &str) -> Instance {
    let mut mail = Setup::new().build();
    let path = mail.etc().join("more-aliases");
    std::fs::write(&path, text).expect("aliases written");
    let users = mail.etc().join("aliases");
    mail.set("alias_maps", &format!("texthash:{}, texthash:{}", users.display(), path.display()));
    mail.start();
    mail
}

fn send(mail: &Instance, to: &str) {
    mail.sendmail(&["-f", "carol@mail.test", to], "Subject: hello\n\nbody\n");
}

#[test]
fn an_alias_of_several_users_is_delivered_to_each_with_a_line_of_its_own() {
    scenario(|| {
        let mail = with_aliases("team alice, bob\n");
        send(&mail, "team@mail.test");
        for user in ["alice", "bob"] {
            let message = mail.wait_mail(user, 1).remove(0);
            assert_eq!(message.header("Delivered-To").as_deref(), Some("team@mail.test"));
            assert_eq!(message.header("X-Original-To").as_deref(), Some("team@mail.test"));
            let address = format!("to=<{user}@mail.test>, orig_to=<team@mail.test>, relay=local, ");
            mail.wait_log(&[&address, "dsn=2.0.0, status=sent (delivered to maildir)"]);
        }
        mail.wait_idle();
    });
}

#[test]
fn the_owner_of_a_list_becomes_the_sender_of_its_mail() {
    scenario(|| {
        let mail = with_aliases("list alice, gone\nowner-list bob\n");
        send(&mail, "list@mail.test");
        let line = mail.wait_log(&["to=<list@mail.test>, relay=local", "status=sent (forwarded as "]);
        let id = line.rsplit(' ').next().unwrap_or_default().trim_end_matches(')').to_owned();
        mail.wait_log(&[&id, "from=<owner-list@mail.test>", "nrcpt=1 (queue active)"]);
        let message = mail.wait_mail("alice", 1).remove(0);
        assert_eq!(message.header("Return-Path").as_deref(), Some("<owner-list@mail.test>"));
        let report = mail.wait_mail("bob", 1).remove(0);
        assert!(report.body().contains("Final-Recipient: rfc822; gone@mail.test"), "{}", report.0);
        mail.wait_idle();
    });
}

#[test]
fn the_status_and_the_words_of_a_command_decide_about_its_mail() {
    scenario(|| {
        let mail = with_aliases("later \"|echo not now; exit 75\"\nnever \"|echo 5.7.7 not you; exit 1\"\n");
        send(&mail, "later@mail.test");
        mail.wait_log(&[
            "to=<later@mail.test>",
            "dsn=4.3.0, status=deferred (temporary failure. Command output: not now )",
        ]);
        send(&mail, "never@mail.test");
        mail.wait_log(&["to=<never@mail.test>", "dsn=5.7.7, status=bounced (not you )"]);
        let report = mail.wait_mail("carol", 1).remove(0);
        assert!(report.body().contains("Status: 5.7.7\nDiagnostic-Code: x-unix; not you"), "{}", report.0);
    });
}

#[test]
fn mail_that_was_delivered_to_an_address_before_is_not_delivered_to_it_again() {
    scenario(|| {
        let mail = with_aliases("");
        let text = "Subject: hello\nDelivered-To: Alice@mail.test\n\nbody\n";
        mail.sendmail(&["-f", "carol@mail.test", "alice@mail.test"], text);
        mail.wait_log(&["dsn=5.4.6, status=bounced (mail forwarding loop for alice@mail.test)"]);
        mail.wait_mail("carol", 1);
        mail.wait_idle();
    });
}
