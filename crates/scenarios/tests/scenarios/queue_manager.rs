//! Settings of the queue manager, each seen to have its effect: how much it reads, how much runs at once, when it gives
//! a destination up, and when a message; and how many clients a server takes.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;

use scenarios::scenario;
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup, Sink};

const MESSAGE: &str = "Subject: x\n\nbody\n";

fn from_bob(mail: &Instance, to: &str) {
    mail.sendmail(&["-f", "bob@mail.test", to], MESSAGE);
}

/// One message to so many recipients of one domain.
fn to_many(mail: &Instance, count: usize) {
    let recipients: Vec<String> = (0..count).map(|number| format!("r{number}@other.test")).collect();
    let arguments = ["-f", "bob@mail.test"].into_iter().chain(recipients.iter().map(String::as_str));
    mail.sendmail(&arguments.collect::<Vec<_>>(), MESSAGE);
}

fn lines(mail: &Instance, parts: &[&str]) -> usize {
    mail.log().lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}

/// How many of ten recipients, two to a delivery, were tried until their destination, which is dead, was given up.
fn tried(settings: &[(&str, &str)]) -> usize {
    let port = testing::port::Port::reserve();
    let base = [("default_destination_recipient_limit", "2"), ("initial_destination_concurrency", "1")];
    let setup = Setup::new().set("relayhost", format!("[127.0.0.1]:{}", port.number()));
    let mail = base.iter().chain(settings).fold(setup, |setup, (name, value)| setup.set(name, *value)).start();
    to_many(&mail, 10);
    for recipient in 0..10 {
        mail.wait_log(&[&format!("to=<r{recipient}@other.test>, relay=none"), "dsn=4.4.1, status=deferred"]);
    }
    lines(&mail, &["status=deferred (connect to 127.0.0.1[127.0.0.1]:"])
}

#[test]
fn a_destination_is_given_up_after_as_many_failures_as_are_set() {
    scenario(|| {
        const COHORTS: &str = "default_destination_concurrency_failed_cohort_limit";
        for (cohorts, tries) in [("1", 2), ("2", 4), ("3", 6), ("0", 10)] {
            assert_eq!(tried(&[(COHORTS, cohorts)]), tries, "{cohorts}");
        }
        // That of the transport alone counts.
        assert_eq!(tried(&[(COHORTS, "3"), ("smtp_destination_concurrency_failed_cohort_limit", "2")]), 4);
        // Both that began at once fail, and each is half of the window.
        assert_eq!(tried(&[("initial_destination_concurrency", "2")]), 4);
        // With a window that stays open each failure counts for half of it.
        const NEGATIVE: &str = "default_destination_concurrency_negative_feedback";
        let two = [("initial_destination_concurrency", "2"), (COHORTS, "2")];
        assert_eq!(tried(&[two[0], two[1], (NEGATIVE, "1")]), 6);
        assert!(tried(&[two[0], two[1], (NEGATIVE, "0")]) >= 8);
    });
}

#[test]
fn the_log_tells_of_feedback_where_that_is_wanted() {
    scenario(|| {
        let free = testing::port::Port::reserve();
        let mail = Setup::new()
            .set("relayhost", format!("[127.0.0.1]:{}", free.number()))
            .set("initial_destination_concurrency", "4")
            .set("smtp_destination_concurrency_limit", "9")
            .set("smtp_destination_concurrency_negative_feedback", "1/concurrency")
            .set("destination_concurrency_feedback_debug", "yes")
            .start();
        mail.sendmail(&["-f", "carol@mail.test", "x@elsewhere.test"], "Subject: x\n\nbody\n");
        mail.wait_log(&["smtp: default_destination_concurrency_positive_feedback feedback type 0 value at 4: 1"]);
        mail.wait_log(&["smtp: smtp_destination_concurrency_negative_feedback feedback type 1 value at 4: 0.25"]);
        mail.wait_log(&["qmgr_queue_throttle: feedback 0.25"]);
        let queue = format!("queue [127.0.0.1]:{}", free.number());
        mail.wait_log(&[
            "qmgr_queue_throttle: ",
            &queue,
            ": limit 9 window 3 success 0 failure 0.75 fail_cohorts 0.25",
        ]);
    });
}

#[test]
fn no_more_recipients_are_read_at_once_than_are_set() {
    scenario(|| {
        let all = ["qmgr_message_recipient_limit", "qmgr_message_active_limit", "default_recipient_limit"];
        for (settings, is_one) in [(&all[..0], true), (&all[..], false)] {
            let sink = Sink::v4();
            let setup = Setup::new().set("relayhost", sink.next_hop());
            let mail = settings.iter().fold(setup, |setup, name| setup.set(name, "10")).start();
            to_many(&mail, 40);
            mail.wait_log(&[": removed"]);
            assert_eq!((sink.count() == 1, sink.recipients()), (is_one, 40), "{settings:?}: {}", sink.count());
        }
    });
}

#[test]
fn no_more_messages_are_active_than_are_set() {
    scenario(|| {
        let mut mail = Setup::new().set("qmgr_message_active_limit", "1").build();
        let (aliases, gate) = (mail.etc().join("more-aliases"), mail.folder().join("gate"));
        std::fs::create_dir(&gate).expect("a folder");
        let command = format!("slow \"|until test -e {}/open; do sleep 0.1; done\"\n", gate.display());
        testing::setup::write_old(&aliases, &command);
        let users = mail.etc().join("aliases");
        mail.set("alias_maps", &format!("texthash:{}, texthash:{}", users.display(), aliases.display()));
        mail.start();
        let send = |to: &str| {
            let mut client = Client::greet(mail.v4()).expect("connected");
            client.send("bob@mail.test", &[to], MESSAGE).expect("sent").queue_id().expect("queue id")
        };
        let first = send("slow@mail.test");
        mail.wait_log(&[&first, "(queue active)"]);
        let second = send("carol@mail.test");
        mail.wait_queue("incoming", &second);
        std::fs::write(gate.join("open"), "").expect("opened");
        mail.wait_log(&[&second, ": removed"]);
        let log = mail.log();
        let place = |id: &str, text: &str| {
            log.lines().position(|line| line.contains(id) && line.contains(text)).expect("a line")
        };
        assert!(place(&first, ": removed") < place(&second, "(queue active)"), "{log}");
    });
}

#[test]
fn a_deferred_message_is_tried_again_when_its_time_has_come_and_the_queue_is_looked_through() {
    scenario(|| {
        let setup = Setup::new().set("queue_run_delay", "1s").set("minimal_backoff_time", "1s");
        let mail = setup.set("maximal_backoff_time", "1s").set("default_transport", "retry:4.0.0 later").start();
        from_bob(&mail, "x@other.test");
        assert!(until_true(PATIENCE, || lines(&mail, &["to=<x@other.test>", "status=deferred (later)"]) > 2));
    });
}

#[test]
fn a_report_that_cannot_be_delivered_has_a_lifetime_of_its_own() {
    scenario(|| {
        let setup = Setup::new().set("bounce_queue_lifetime", "0").set("default_transport", "retry:4.0.0 later");
        let mail = setup.start();
        from_bob(&mail, "x@other.test");
        mail.wait_log(&["to=<x@other.test>", "status=deferred (later)"]);
        mail.sendmail(&["-f", "", "y@other.test"], MESSAGE);
        mail.wait_log(&["from=<>, status=expired, returned to sender"]);
        mail.wait_idle();
        assert!(mail.find_log(&["from=<bob@mail.test>, status=expired"]).is_none(), "{}", mail.log());
    });
}

#[test]
fn a_report_is_kept_no_longer_than_other_mail() {
    scenario(|| {
        let setup = Setup::new().set("maximal_queue_lifetime", "0").set("bounce_queue_lifetime", "5d");
        let mail = setup.set("default_transport", "retry:4.0.0 later").start();
        mail.wait_log(&["qmgr", "bounce_queue_lifetime is larger than maximal_queue_lifetime - adjusting"]);
        mail.sendmail(&["-f", "", "y@other.test"], MESSAGE);
        mail.wait_log(&["from=<>, status=expired, returned to sender"]);
        mail.wait_idle();
    });
}

#[test]
fn the_sender_hears_of_a_delay_and_of_its_end_as_far_as_both_are_wanted() {
    scenario(|| {
        for (confirm, reports) in [("yes", 2), ("no", 1)] {
            let sink = Sink::v4();
            sink.refuse(Some("450 4.2.0 not now"));
            let setup = Setup::new().set("relayhost", sink.next_hop()).set("delay_warning_time", "1s");
            let mail = setup.set("confirm_delay_cleared", confirm).start();
            from_bob(&mail, "x@other.test");
            mail.wait_log(&["to=<x@other.test>", "status=deferred"]);
            let is_told = || {
                mail.output("postqueue", &["-f"]);
                !mail.queue_ids("deferred").is_empty() && lines(&mail, &["sender delay notification: "]) > 0
            };
            assert!(until_true(PATIENCE, is_told), "{}", mail.log());
            let report = mail.wait_mail("bob", 1).remove(0);
            assert!(report.body().contains("Action: delayed"), "{}", report.0);
            sink.refuse(None);
            let is_gone = || {
                mail.output("postqueue", &["-f"]);
                mail.queue_ids("deferred").is_empty() && mail.find_log(&["to=<x@other.test>", "status=sent"]).is_some()
            };
            assert!(until_true(PATIENCE, is_gone), "{}", mail.log());
            mail.wait_idle();
            let all = mail.wait_mail("bob", reports);
            assert_eq!(all.len(), reports, "{confirm}: {}", mail.log());
            let cleared = all.iter().filter(|report| report.body().contains("Action: relayed")).count();
            assert_eq!(cleared, reports - 1, "{confirm}");
        }
    });
}

#[test]
fn a_transport_that_is_not_there_is_left_alone_for_the_time_that_is_set() {
    scenario(|| {
        let attempt = &["warning: connect to transport private/missing: "];
        let send = |mail: &Instance, name: &str| {
            from_bob(mail, &format!("{name}@other.test"));
            mail.wait_log(&[&format!("to=<{name}@other.test>"), "status=deferred (mail transport unavailable)"]);
        };
        let mail = Setup::new().set("default_transport", "missing").set("transport_retry_time", "3600s").start();
        send(&mail, "a");
        send(&mail, "b");
        assert_eq!(lines(&mail, attempt), 1, "{}", mail.log());
        let mail = Setup::new().set("default_transport", "missing").set("transport_retry_time", "1s").start();
        let mut sent = 0;
        let is_tried_again = || {
            sent += 1;
            send(&mail, &format!("m{sent}"));
            lines(&mail, attempt) > 1
        };
        assert!(until_true(PATIENCE, is_tried_again), "{}", mail.log());
    });
}

#[test]
fn a_domain_of_two_classes_is_told_as_long_as_warnings_are_wanted() {
    scenario(|| {
        let warning = &["warning: do not list domain both.test in BOTH mydestination and virtual_alias_domains"];
        for (wanted, count) in [("yes", 1), ("no", 0)] {
            let setup = Setup::new().set("mydestination", "mail.test, both.test");
            let mail = setup.set("virtual_alias_domains", "both.test").set("helpful_warnings", wanted).start();
            from_bob(&mail, "alice@both.test");
            mail.wait_mail("alice", 1);
            assert_eq!(lines(&mail, warning).min(1), count, "{wanted}: {}", mail.log());
        }
    });
}

#[test]
fn no_more_clients_are_served_at_once_than_there_may_be_processes() {
    scenario(|| {
        let mail = Setup::new().set("default_process_limit", "1").start();
        let first = Client::greet(mail.v4()).expect("connected");
        let mut second = BufReader::new(TcpStream::connect(mail.v4()).expect("connected"));
        drop(first);
        let mut greeting = String::new();
        second.read_line(&mut greeting).expect("a greeting");
        assert!(greeting.starts_with("220 "), "{greeting}");
        assert!(until_true(PATIENCE, || lines(&mail, &["]: connect from "]) == 2), "{}", mail.log());
        let log = mail.log();
        let places: Vec<_> = log.lines().filter(|line| line.contains("connect from ")).collect();
        assert!(places.len() > 2 && places[1].contains("]: disconnect from "), "{log}");
    });
}

#[test]
fn a_server_ends_after_as_many_clients_as_are_set_and_when_none_has_come_for_as_long_as_is_set() {
    scenario(|| {
        let mail = Setup::new().set("default_process_limit", "1").set("max_use", "1").set("max_idle", "1s").start();
        let mut processes = Vec::new();
        for count in 1..=3 {
            drop(Client::greet(mail.v4()).expect("connected"));
            assert!(until_true(PATIENCE, || lines(&mail, &["]: disconnect from "]) == count));
        }
        for line in mail.log().lines().filter(|line| line.contains("]: connect from ")) {
            processes.extend(line.split("smtpd[").nth(1).and_then(|rest| rest.split(']').next()).map(str::to_owned));
        }
        processes.dedup();
        assert_eq!(processes.len(), 3, "{}", mail.log());
        from_bob(&mail, "alice");
        mail.wait_mail("alice", 1);
        assert!(until_true(PATIENCE, || mail.processes_of("local").is_empty()), "{:?}", mail.processes());
    });
}
