//! The swap: what one mail system has in its queue, the other delivers.

use scenarios::scenario;
use testing::milter::{Filter, Script, header, say};
use testing::programs::{Implementation, Programs};
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Setup, Sink};

/// The system under test, and the other one; `None` without C Postfix.
fn systems() -> Option<(Programs, Programs)> {
    let here = Programs::under_test();
    let there = match here.implementation {
        Implementation::Ours => Programs::oracle(),
        Implementation::Oracle => Some(Programs::ours()),
    };
    if there.is_none() {
        eprintln!("left out: no C Postfix (`cargo xtask oracle` unpacks it)");
    }
    there.map(|there| (here, there))
}

#[test]
fn mail_deferred_by_one_system_is_delivered_by_the_other() {
    scenario(|| {
        let Some((here, there)) = systems() else { return };
        let sink = Sink::v6();
        sink.refuse(Some("450 4.2.1 mailbox is busy"));
        let mut mail = Setup::of(here).set("relayhost", sink.next_hop()).start();
        let mut ids = Vec::new();
        for server in [mail.v4(), mail.v6()] {
            let mut client = Client::greet(server).expect("connected");
            let reply = client.send("a@client.test", &["x@other.test", "y@other.test"], "Subject: swap\n\nbody\n");
            ids.push(reply.expect("sent").queue_id().expect("queue id"));
        }
        for id in &ids {
            mail.wait_queue("deferred", id);
        }
        mail.stop();
        mail.sendmail(&["-f", "root@mail.test", "alice@mail.test"], "Subject: dropped\n\nbody\n");
        sink.refuse(None);

        mail.switch(there);
        mail.start();
        mail.output("postqueue", &["-f"]);
        for id in &ids {
            for recipient in ["x", "y"] {
                mail.wait_log(&[id, &format!("to=<{recipient}@other.test>"), "status=sent"]);
            }
            mail.wait_log(&[id, ": removed"]);
        }
        mail.wait_mail("alice", 1);
        let recipients: usize = sink.received().iter().map(|r| r.recipients.len()).sum();
        assert_eq!(recipients, 4, "each recipient once");
        assert_eq!(mail.find_log(&["spare"]), None, "a folder of ours is nobody's business");
    });
}

#[test]
fn a_message_that_a_filter_has_changed_is_delivered_by_the_other_system_as_the_filter_wants_it() {
    scenario(|| {
        let Some((here, there)) = systems() else { return };
        let sink = Sink::v6();
        let part = [b"b".to_vec(), b"new line of the body\r\n".repeat(3000)].concat();
        let edits = [
            header('m', Some(1), "X-Changed", "new"),
            header('m', Some(1), "X-Gone", ""),
            header('h', None, "X-Added", "at the end"),
            header('i', Some(0), "X-First", "in front"),
            say(b"e<new@client.test>\0"),
            say(b"+<y@other.test>\0"),
            say(b"-<x@other.test>\0"),
            say(&part),
            say(&part),
            say(b"c"),
        ];
        let filter = Filter::start(Script::new().at('E', edits));
        let mut mail = Setup::of(here)
            .set("relayhost", sink.next_hop())
            .set("mynetworks", "127.0.0.0/8")
            .set("defer_transports", "smtp")
            .set("smtpd_milters", filter.endpoint())
            .start();
        let text = "From: a@client.test\nX-Gone: 1\nX-Changed: old\nMessage-Id: <1@x>\nDate: x\n\nold body\n";
        let mut client = Client::greet(mail.v4()).expect("connected");
        let reply = client.send("a@client.test", &["x@other.test"], text).expect("sent");
        let id = reply.queue_id().unwrap_or_else(|| panic!("{reply:?}"));
        mail.wait_queue("deferred", &id);
        mail.stop();
        mail.switch(there);
        mail.set("defer_transports", "");
        mail.start();
        mail.output("postqueue", &["-f"]);
        mail.wait_log(&[&id, "to=<y@other.test>", "status=sent"]);
        assert!(until_true(PATIENCE, || sink.count() == 1));
        let received = sink.received().remove(0);
        assert!(received.sender.starts_with("<new@client.test>"), "{}", received.sender);
        let (head, body) = received.text.split_once("\n\n").expect("a body");
        assert!(head.starts_with("X-First: in front\nReceived: "), "{head}");
        let rest = "From: a@client.test\nX-Changed: new\nMessage-Id: <1@x>\nDate: x\nX-Added: at the end";
        assert!(head.ends_with(rest), "{head}");
        assert_eq!(body, "new line of the body\n".repeat(6000));
    });
}
