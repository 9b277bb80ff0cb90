//! non_smtpd_milters: mail of local users, and of the mail system itself.

use scenarios::scenario;
use testing::milter::{Filter, Script, header, say};

use super::setup;

const MESSAGE: &str = "From: a@mail.test\nSubject: x\n\nbody\n";

#[test]
fn a_filter_is_told_of_mail_of_local_users_as_if_a_client_had_sent_it() {
    scenario(|| {
        let filter = Filter::start(Script::new().at('E', [header('h', None, "X-A", "1"), say("c")]));
        let mail = setup().set("non_smtpd_milters", filter.endpoint()).start();
        mail.sendmail(&["-f", "bob@mail.test", "alice", "carol@mail.test"], MESSAGE);
        let delivered = mail.wait_mail("alice", 1);
        assert_eq!(delivered[0].header("X-A").as_deref(), Some("1"), "{}", mail.log());
        filter.wait_heard("Q");
        let heard = filter.heard();
        let told: Vec<&str> =
            heard.iter().map(String::as_str).filter(|line| line.starts_with(['C', 'H', 'M', 'R'])).collect();
        assert_eq!(
            told,
            ["Clocalhost|4||127.0.0.1|", "Hlocalhost|", "Mbob@mail.test|", "Ralice@mail.test|", "Rcarol@mail.test|"]
        );
        assert_eq!(filter.events(), "OCHMRRTLLLLNBEQ");
        assert!(
            heard.iter().any(|line| line.starts_with("DMi|") && line.ends_with("|{mail_addr}|bob@mail.test|")),
            "{heard:#?}"
        );
    });
}

#[test]
fn mail_that_a_filter_rejects_is_returned_to_its_sender() {
    scenario(|| {
        let filter = Filter::start(Script::new().at('E', [say("y550 5.7.9 custom\0")]));
        let mail = setup().set("non_smtpd_milters", filter.endpoint()).start();
        mail.sendmail(&["-f", "bob@mail.test", "alice"], MESSAGE);
        mail.wait_log(&[
            "cleanup",
            ": milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 5.7.9 custom; from=<bob@mail.test> to=<alice",
        ]);
        mail.wait_log(&["cleanup", "to=<alice@mail.test>", "relay=none", "dsn=5.7.9, status=bounced (custom)"]);
        assert!(mail.wait_mail("bob", 1)[0].body().contains("custom"));
        assert!(mail.wait_mail("alice", 0).is_empty());
    });
}

#[test]
fn mail_that_a_filter_changes_and_rejects_is_returned_as_it_was_changed() {
    scenario(|| {
        let acts = [header('h', None, "X-Verdict", "spam"), header('m', Some(1), "Subject", "bad"), say("r")];
        let filter = Filter::start(Script::new().at('E', acts));
        let mail = setup().set("non_smtpd_milters", filter.endpoint()).start();
        mail.sendmail(&["-f", "bob@mail.test", "alice"], MESSAGE);
        mail.wait_log(&[
            "cleanup",
            "to=<alice@mail.test>",
            "relay=none",
            "dsn=5.7.1, status=bounced (Command rejected)",
        ]);
        let returned = mail.wait_mail("bob", 1).remove(0);
        assert!(returned.body().contains("\nX-Verdict: spam\n"), "{}", returned.0);
        assert!(returned.body().contains("\nSubject: bad\n"), "{}", returned.0);
        assert!(mail.wait_mail("alice", 0).is_empty());
    });
}

#[test]
fn a_recipient_that_a_filter_rejects_keeps_the_message_waiting() {
    scenario(|| {
        let filter = Filter::start(Script::new().at('R', [say("r")]));
        let mail = setup().set("non_smtpd_milters", filter.endpoint()).start();
        mail.sendmail(&["-f", "bob@mail.test", "alice"], MESSAGE);
        mail.wait_log(&["cleanup", "milter configuration error: can't reject recipient in non-smtpd(8) submission"]);
        mail.wait_log(&["cleanup", "message not accepted, try again later"]);
        assert_eq!(std::fs::read_dir(mail.queue().join("maildrop")).expect("maildrop").count(), 1);
    });
}

#[test]
fn no_filter_sees_notifications_unless_internal_mail_filter_classes_says_so() {
    scenario(|| {
        let filter = Filter::start(Script::new());
        let setup = setup().set("non_smtpd_milters", filter.endpoint()).set("receive_override_options", "no_milters");
        let mut mail = setup.start();
        mail.sendmail(&["-f", "bob@mail.test", "nobody-here@mail.test"], MESSAGE);
        mail.wait_mail("bob", 1);
        assert_eq!(filter.events(), "", "{}", mail.log());
        mail.set("internal_mail_filter_classes", "bounce");
        mail.reload();
        mail.sendmail(&["-f", "bob@mail.test", "nobody-here@mail.test"], MESSAGE);
        mail.wait_mail("bob", 2);
        filter.wait_heard("Q");
        assert!(filter.heard().iter().any(|line| line == "M|"), "{:#?}", filter.heard());
    });
}

#[test]
fn mail_over_smtp_is_nothing_for_the_filters_of_other_mail() {
    scenario(|| {
        let filter = Filter::start(Script::new().at('M', [say("r")]));
        let mail = setup().set("non_smtpd_milters", filter.endpoint()).start();
        let mut client = testing::Client::greet(mail.v4()).expect("connected");
        let reply = client.send("a@client.test", &["alice@mail.test"], MESSAGE).expect("a reply");
        assert_eq!((reply.code, filter.events().as_str()), (250, ""));
    });
}
