//! What operators do with the queue: mailq, postqueue, postsuper, postcat.

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup, Sink};

/// An instance with one message that its next hop does not take now.
fn with_deferred_message() -> (Instance, Sink, String) {
    let sink = Sink::v6();
    sink.refuse(Some("450 4.2.1 mailbox is busy"));
    let mail = Setup::new().set("relayhost", sink.next_hop()).start();
    let mut client = Client::greet(mail.v4()).expect("connected");
    let text = "Subject: wait\nMessage-Id: <4@client.test>\n\nbody\n";
    let id = client.send("a@client.test", &["x@other.test"], text).expect("sent").queue_id().expect("queue id");
    mail.wait_queue("deferred", &id);
    mail.wait_log(&[&id, "status=deferred"]);
    (mail, sink, id)
}

#[test]
fn mailq_lists_a_deferred_message_with_reason_and_recipient() {
    scenario(|| {
        let (mail, _sink, id) = with_deferred_message();
        let listed = mail.output("postqueue", &["-p"]);
        assert!(listed.starts_with("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"), "{listed}");
        assert!(listed.contains(&format!("\n{id} ")), "{listed}");
        for part in [" a@client.test\n", "mailbox is busy", "x@other.test\n", "Kbytes in 1 Request."] {
            assert!(listed.contains(part), "no {part:?} in\n{listed}");
        }
    });
}

#[test]
fn mailq_of_an_empty_queue_says_so() {
    scenario(|| {
        let mail = Setup::new().start();
        assert_eq!(mail.output("postqueue", &["-p"]), "Mail queue is empty\n");
    });
}

#[test]
fn postqueue_j_prints_one_json_object_a_message() {
    scenario(|| {
        let (mail, _sink, id) = with_deferred_message();
        let listed = mail.output("postqueue", &["-j"]);
        for part in [format!("\"queue_id\": \"{id}\""), "\"queue_name\": \"deferred\"".to_owned()] {
            assert!(listed.contains(&part), "no {part} in {listed}");
        }
    });
}

#[test]
fn postsuper_d_deletes_one_message() {
    scenario(|| {
        let (mail, _sink, id) = with_deferred_message();
        let output = mail.run("postsuper", &["-d", &id]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("postsuper: Deleted: 1 message"), "{said}");
        assert_eq!(mail.output("postqueue", &["-p"]), "Mail queue is empty\n");
    });
}

#[test]
fn a_held_message_waits_until_it_is_released() {
    scenario(|| {
        let (mail, sink, id) = with_deferred_message();
        mail.output("postsuper", &["-h", &id]);
        assert!(mail.queue_file("hold", &id).is_some());
        assert!(mail.output("postqueue", &["-p"]).contains(&format!("\n{id}! ")));
        sink.refuse(None);
        mail.output("postsuper", &["-H", &id]);
        mail.output("postqueue", &["-f"]);
        mail.wait_log(&[&id, "status=sent"]);
        assert_eq!(sink.count(), 1);
    });
}

#[test]
fn a_requeued_message_gets_a_new_name_and_is_delivered() {
    scenario(|| {
        let (mail, sink, id) = with_deferred_message();
        sink.refuse(None);
        mail.output("postsuper", &["-r", &id]);
        // Wakes pickup, which would look by itself within a minute.
        mail.output("postqueue", &["-f"]);
        assert!(testing::wait::until_true(testing::wait::PATIENCE, || sink.count() == 1), "{}", mail.log());
        assert!(sink.received()[0].text.contains("Message-Id: <4@client.test>"));
        mail.wait_idle();
    });
}

#[test]
fn postcat_shows_envelope_and_message_of_a_queue_file() {
    scenario(|| {
        let (mail, _sink, id) = with_deferred_message();
        let shown = mail.output("postcat", &["-q", &id]);
        let parts =
            ["*** ENVELOPE RECORDS", "sender: a@client.test", "recipient: x@other.test", "Subject: wait", "HEADER"];
        for part in parts {
            assert!(shown.contains(part), "no {part:?} in\n{shown}");
        }
    });
}

/// What a command says on standard error.
fn said(mail: &Instance, program: &str, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&mail.run(program, arguments).stderr).into_owned()
}

#[test]
fn postsuper_deletes_what_waits_in_maildrop_and_what_it_has_put_there() {
    scenario(|| {
        let (mut mail, _sink, _) = with_deferred_message();
        mail.stop();
        mail.sendmail(&["-f", "a@client.test", "x@other.test"], "Subject: early\n\nbody\n");
        mail.sendmail(&["-f", "a@client.test", "x@other.test"], "Subject: late\n\nbody\n");
        let waiting = mail.queue_ids("maildrop");
        assert_eq!(waiting.len(), 2);
        let told = said(&mail, "postsuper", &["-d", &waiting[0]]);
        assert!(told.contains(&format!("postsuper: {}: removed\npostsuper: Deleted: 1 message", waiting[0])), "{told}");
        let told = said(&mail, "postsuper", &["-r", "ALL"]);
        assert!(told.contains("postsuper: Requeued: 1 message"), "{told}");
        assert_eq!(mail.queue_ids("maildrop").len(), 2);
        let told = said(&mail, "postsuper", &["-d", "ALL"]);
        assert!(told.contains("postsuper: Deleted: 2 messages"), "{told}");
        for queue in ["maildrop", "deferred", "defer"] {
            assert_eq!(mail.queue_ids(queue), Vec::<String>::new(), "{queue}");
        }
    });
}

#[test]
fn postsuper_finds_all_messages_where_another_hash_queue_depth_has_put_them() {
    scenario(|| {
        let (mut mail, _sink, id) = with_deferred_message();
        mail.stop();
        let file = mail.queue_file("deferred", &id).expect("queue file");
        let elsewhere = mail.queue().join("deferred").join("Z");
        std::fs::rename(file.parent().expect("a hashed queue"), elsewhere).expect("moved");
        let told = said(&mail, "postsuper", &["-h", "ALL"]);
        assert!(told.contains("postsuper: Placed on hold: 1 message"), "{told}");
        assert_eq!(mail.queue_ids("hold"), [id]);
    });
}

#[test]
fn what_waits_is_tried_again_after_a_reload_with_other_queue_directories() {
    scenario(|| {
        let mut mail = Setup::new().set("default_transport", "retry:4.0.0 later").set("hash_queue_depth", "2").start();
        mail.sendmail(&["-f", "bob@mail.test", "x@other.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["to=<x@other.test>", "status=deferred (later)"]);
        mail.wait_idle();
        let id = mail.queue_ids("deferred").remove(0);
        for (tries, levels) in [(2, 1), (3, 3)] {
            mail.set("hash_queue_depth", &levels.to_string());
            mail.reload();
            let right = mail.queue().components().count() + 1 + levels + 1;
            let is_moved = || mail.queue_file("deferred", &id).is_some_and(|path| path.components().count() == right);
            // A flush that comes while the queue manager still begins is lost, and too many in turn hold it up.
            let is_tried = |_| {
                mail.output("postqueue", &["-f"]);
                until_true(PATIENCE / 10, is_moved)
            };
            assert!((0..10).any(is_tried), "{levels}: {:?}", mail.queue_file("deferred", &id));
            let tried = || mail.log().matches("status=deferred (later)").count();
            assert!(until_true(PATIENCE, || tried() >= tries), "{levels}: {}", mail.log());
        }
    });
}

#[test]
fn postsuper_f_tells_how_many_messages_it_has_released() {
    scenario(|| {
        let (mut mail, _sink, id) = with_deferred_message();
        mail.stop();
        let told = said(&mail, "postsuper", &["-f", &id]);
        let totals = "postsuper: Force-expired: 1 message\npostsuper: Released from hold: 0 messages\n";
        assert!(told.ends_with(totals), "{told}");
        mail.output("postsuper", &["-h", &id]);
        let told = said(&mail, "postsuper", &["-f", &id]);
        assert!(told.contains("postsuper: Released from hold: 1 message\n"), "{told}");
    });
}

#[test]
fn qshape_counts_what_waits_by_domain_and_age() {
    scenario(|| {
        let mail = Setup::new().set("default_transport", "smtp").set("defer_transports", "smtp").start();
        let mut client = Client::greet(mail.v4()).expect("connected");
        for (sender, recipients) in [
            ("a@client.test", &["u@one.test", "v@One.Test", "alice@mail.test", "w@x.long.test"][..]),
            ("", &["u@y.long.test", "u@x.long.test"]),
        ] {
            let text = "Subject: wait\n\nbody\n";
            let id = client.send(sender, recipients, text).expect("sent").queue_id().expect("queue id");
            mail.wait_queue("deferred", &id);
        }
        mail.wait_mail("alice", 1);
        let titles = "                                         T  5 10 20 40 80 160 320 640 1280 1280+\n";
        let row =
            |name: &str, number: u32| format!("{name:>39}  {number}  {number}  0  0  0  0   0   0   0    0     0\n");
        let expected = [titles, &row("TOTAL", 5), &row("one.test", 2), &row("x.long.test", 2), &row("y.long.test", 1)];
        assert_eq!(mail.output("qshape", &["deferred"]), expected.concat());
        let parents = mail.output("qshape", &["-p", "-m", "2", "deferred"]);
        assert!(parents.contains(&row(".long.test", 3)), "{parents}");
        let senders = mail.output("qshape", &["-s", &mail.queue().join("deferred").display().to_string()]);
        for name in ["client.test", "MAILER-DAEMON"] {
            assert!(senders.contains(&row(name, 1)), "{senders}");
        }
        assert_eq!(mail.output("qshape", &[]), [titles, &row("TOTAL", 0)].concat());
        let narrow = mail.output("qshape", &["-b", "3", "-t", "1", "-w", "100", "hold"]);
        assert_eq!(narrow, format!("{:>88}  T  1  2 2+\n{:>88}  0  0  0  0\n", "", "TOTAL"));
        let missing = mail.run("qshape", &["nosuch"]);
        assert!(String::from_utf8_lossy(&missing.stderr).contains("nosuch: No such file or directory"), "{missing:?}");
    });
}
