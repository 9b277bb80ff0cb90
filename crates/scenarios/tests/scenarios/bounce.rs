//! Mail that comes back: the notification and its three parts.

use scenarios::scenario;
use testing::{Client, Setup, Sink};

#[test]
fn a_message_to_an_unknown_local_user_comes_back_as_a_failure_report() {
    scenario(|| {
        let mail = Setup::new().set("local_recipient_maps", "").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let text = "From: alice@mail.test\nSubject: lost\nMessage-Id: <3@client.test>\n\nbody\n";
        let reply = client.send("alice@mail.test", &["nobody-here@mail.test"], text).expect("sent");
        let id = reply.queue_id().expect("queue id");
        let report = mail.wait_mail("alice", 1).remove(0);
        mail.wait_log(&[&id, "dsn=5.1.1", "status=bounced (unknown user: \"nobody-here\")"]);
        mail.wait_log(&[&id, "sender non-delivery notification: "]);
        assert_eq!(report.header("Return-Path").as_deref(), Some("<>"));
        assert!(report.header("Content-Type").is_some_and(|t| t.contains("report-type=delivery-status")));
        for part in
            ["Final-Recipient: rfc822; nobody-here@mail.test", "Action: failed", "Status: 5.1.1", "Subject: lost"]
        {
            assert!(report.body().contains(part), "no {part:?} in\n{}", report.0);
        }
    });
}

#[test]
fn a_message_that_the_next_hop_rejects_comes_back_with_its_reply() {
    scenario(|| {
        let sink = Sink::v6();
        sink.refuse(Some("550 5.7.1 go away"));
        let mail = Setup::new().set("relayhost", sink.next_hop()).start();
        mail.sendmail(&["-f", "bob@mail.test", "x@other.test"], "Subject: y\n\nbody\n");
        let report = mail.wait_mail("bob", 1).remove(0);
        assert!(report.body().contains("Diagnostic-Code: smtp; 550 5.7.1 go away"), "{}", report.0);
        mail.wait_idle();
    });
}

#[test]
fn a_bounce_that_cannot_be_delivered_is_not_bounced_again() {
    scenario(|| {
        let mail = Setup::new().set("local_recipient_maps", "").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        let reply = client.send("gone@mail.test", &["nobody-here@mail.test"], "Subject: z\n\nbody\n").expect("sent");
        let id = reply.queue_id().expect("queue id");
        let line = mail.wait_log(&[&id, "sender non-delivery notification: "]);
        let second = line.rsplit(' ').next().expect("id").to_owned();
        mail.wait_log(&[&second, "to=<gone@mail.test>", "status=bounced"]);
        mail.wait_log(&[&second, ": removed"]);
        mail.wait_idle();
    });
}

#[test]
fn the_class_bounce_of_notify_classes_has_2bounce_in_it() {
    scenario(|| {
        let mail = Setup::new().set("notify_classes", "bounce").set("2bounce_notice_recipient", "bob").start();
        mail.sendmail(&["-f", "<>", "nobody-at-all"], "Subject: x\n\nbody\n");
        mail.wait_log(&["/bounce[", "postmaster non-delivery notification"]);
        assert_eq!(mail.wait_mail("bob", 1).len(), 1);
    });
}
