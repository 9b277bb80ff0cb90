//! Mail for a destination that is known to be dead: what is logged, what a list shows, and what becomes of it.

use std::fs;
use std::io::Write;

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup, Sink};

const REASON: &str = "delivery temporarily suspended: connect to 127.0.0.1[127.0.0.1]:";

fn setup(port: u16) -> Setup {
    Setup::new()
        .set("relayhost", format!("[127.0.0.1]:{port}"))
        .set("smtp_tls_security_level", "none")
        .set("minimal_backoff_time", "3600s")
        .set("queue_run_delay", "3600s")
        .set("initial_destination_concurrency", "1")
}

/// A first message, which finds that the destination is dead, and then so many others, to two recipients each.
fn suspended(mail: &Instance, count: usize) -> Vec<String> {
    let mut client = Client::greet(mail.v4()).expect("connected");
    let mut send = |recipients: &[&str], reason: &str| {
        let sent = client.send("a@client.test", recipients, "Subject: wait\n\nbody\n").expect("sent");
        let id = sent.queue_id().expect("queue id");
        for recipient in recipients {
            mail.wait_log(&[&id, &format!("to=<{recipient}>, relay=none"), "dsn=4.4.1, status=deferred", reason]);
        }
        mail.wait_queue("deferred", &id);
        id
    };
    let first = send(&["first@other.test"], "(connect to ");
    [first].into_iter().chain((0..count).map(|_| send(&["x@other.test", "\"y z\"@other.test"], REASON))).collect()
}

#[test]
fn mail_for_a_dead_destination_is_deferred_by_the_agent_behind_retry_and_goes_when_it_lives_again() {
    scenario(|| {
        let port = testing::port::Port::reserve();
        let mail = setup(port.number()).start();
        let ids = suspended(&mail, 3);
        for id in &ids[1..] {
            assert!(mail.find_log(&["postfix/error[", id, "status=deferred"]).is_some(), "{}", mail.log());
        }
        let sink = Sink::at(([127, 0, 0, 1], port.number()).into());
        mail.output("postqueue", &["-f"]);
        ids.iter().for_each(|id| drop(mail.wait_log(&[id, ": removed"])));
        assert_eq!((sink.count(), sink.recipients()), (4, 7));
        for queue in ["deferred", "defer"] {
            assert_eq!(mail.queue_ids(queue), Vec::<String>::new(), "{queue}");
        }
    });
}

#[test]
fn a_list_of_what_was_just_deferred_is_that_of_the_files_and_what_is_changed_by_hand_is_found() {
    scenario(|| {
        let port = testing::port::Port::reserve();
        let mut mail = setup(port.number()).start();
        let ids = suspended(&mail, 3);
        let known = mail.output("postqueue", &["-j"]);
        assert_eq!(known.matches(REASON).count(), 6, "{known}");
        mail.stop();
        mail.start();
        assert_eq!(sorted(&mail.output("postqueue", &["-j"])), sorted(&known));
        // The destination is dead again, and its mail as known as before.
        mail.output("postqueue", &["-f"]);
        let attempts = |id: &String| mail.log().matches(&format!("{id}: to=<x@other.test>")).count();
        assert!(until_true(PATIENCE, || ids[1..].iter().all(|id| attempts(id) == 2)), "{}", mail.log());
        mail.wait_idle();

        let log = mail.queue().join("defer").join(&ids[1][..1]).join(&ids[1]);
        let text = fs::read_to_string(&log).expect("a defer log").replace("refused", "by_hand");
        fs::File::options().write(true).open(&log).and_then(|mut log| log.write_all(text.as_bytes())).expect("written");
        fs::remove_file(mail.queue_file("deferred", &ids[2]).expect("a queue file")).expect("removed");
        mail.output("postsuper", &["-h", &ids[3]]);
        let listed = mail.output("postqueue", &["-p"]);
        // Two recipients one after the other with the same reason have it once.
        assert_eq!(listed.matches("Connection by_hand)").count(), 1, "{listed}");
        assert!(!listed.contains(&ids[2]) && listed.contains(&format!("{}!", ids[3])), "{listed}");
    });
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    lines
}
