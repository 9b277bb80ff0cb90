//! SIGKILL at any moment: master restarts the process, and no acknowledged message is lost.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use scenarios::scenario;
use testing::maildir::Mail;
use testing::programs::{Implementation, Programs};
use testing::wait::{PATIENCE, until_true};
use testing::{Client, Instance, Setup};

#[test]
fn no_acknowledged_message_is_lost_when_each_daemon_is_killed_under_load() {
    scenario(|| {
        let mut programs = vec!["smtpd", "cleanup", "trivial-rewrite", "qmgr", "local", "pickup", "bounce"];
        let setup = match Programs::under_test().implementation {
            Implementation::Ours => {
                programs.push("postlogd");
                Setup::new()
            }
            // C Postfix takes a process that was killed in its first session for a broken program, and waits; and
            // without its log service all of it stands still now and then.
            Implementation::Oracle => Setup::new().set("service_throttle_time", "1s"),
        };
        let mail = setup.start();
        let acknowledged = under_load(&mail, |load| {
            for program in programs {
                load.wait_for_more(20);
                for process in mail.processes_of(program) {
                    process.signal(Signal::SIGKILL);
                }
            }
            load.wait_for_more(40);
        });
        assert_all_arrived(&mail, &acknowledged);
    });
}

#[test]
fn a_killed_queue_manager_is_there_again_before_new_mail_asks_for_it() {
    scenario(|| {
        let mail = Setup::new().start();
        mail.sendmail(&["alice@mail.test"], "Subject: before\n\n");
        mail.wait_mail("alice", 1);
        let killed = mail.processes_of("qmgr");
        killed.iter().for_each(|process| process.signal(Signal::SIGKILL));
        mail.wait_log(&["qmgr", "killed by signal 9"]);
        let is_new = |pid: i32| killed.iter().all(|old| old.pid != pid);
        assert!(until_true(PATIENCE, || mail.processes_of("qmgr").iter().any(|process| is_new(process.pid))));
    });
}

#[test]
fn no_acknowledged_message_is_lost_when_the_whole_system_is_killed() {
    scenario(|| {
        let mut mail = Setup::new().start();
        let acknowledged = under_load(&mail, |load| {
            load.wait_for_more(60);
            for process in mail.processes() {
                process.signal(Signal::SIGKILL);
            }
            load.stop();
        });
        mail.crash();
        mail.start();
        assert_all_arrived(&mail, &acknowledged);
    });
}

/// Clients that send one message after another, and reconnect when they lose the server.
struct Load {
    stop: AtomicBool,
    sent: AtomicUsize,
}

impl Load {
    fn wait_for_more(&self, count: usize) {
        let goal = self.sent.load(Ordering::Acquire) + count;
        assert!(until_true(PATIENCE, || self.sent.load(Ordering::Acquire) >= goal), "the flow of mail has stopped");
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Runs `body` while four clients send; the Message-Ids that were acknowledged.
fn under_load(mail: &Instance, body: impl FnOnce(&Load)) -> HashSet<String> {
    let load = Load { stop: AtomicBool::new(false), sent: AtomicUsize::new(0) };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let server = if client % 2 == 0 { mail.v4() } else { mail.v6() };
                let load = &load;
                scope.spawn(move || send_until_stopped(server, client, load))
            })
            .collect();
        // The clients end, whatever becomes of the body.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(&load)));
        load.stop();
        let acknowledged = clients.into_iter().flat_map(|c| c.join().expect("client")).collect();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        acknowledged
    })
}

fn send_until_stopped(server: std::net::SocketAddr, client: usize, load: &Load) -> Vec<String> {
    let (mut acknowledged, mut number, mut session) = (Vec::new(), 0, None);
    while !load.stop.load(Ordering::Acquire) {
        if session.is_none() {
            session = Client::greet(server).ok();
        }
        let Some(open) = session.as_mut() else { continue };
        number += 1;
        let id = format!("<{number}.{client}@load.test>");
        let user = testing::setup::USERS[number % 3];
        let text = format!("Message-Id: {id}\nSubject: load\n\nbody\n");
        match open.send("a@client.test", &[&format!("{user}@mail.test")], &text) {
            Ok(reply) if reply.code == 250 => {
                acknowledged.push(id);
                load.sent.fetch_add(1, Ordering::AcqRel);
            }
            Ok(_) | Err(_) => session = None,
        }
    }
    acknowledged
}

/// Every acknowledged message is in a Maildir; one may be there twice, none may be missing. What waits in the queue,
/// because an agent was killed when it should have taken it, is flushed until it is there.
fn assert_all_arrived(mail: &Instance, acknowledged: &HashSet<String>) {
    assert!(!acknowledged.is_empty());
    let mut missing = acknowledged.clone();
    let mut look = || {
        let delivered = testing::setup::USERS.iter().flat_map(|user| Mail::in_maildir(&mail.maildir(user)));
        for id in delivered.filter_map(|m| m.header("Message-Id")) {
            missing.remove(&id);
        }
        missing.is_empty()
    };
    let all_there = (0..30).any(|_| {
        mail.output("postqueue", &["-f"]);
        until_true(Duration::from_secs(2), &mut look)
    });
    assert!(all_there, "{} of {} acknowledged messages are lost: {missing:?}", missing.len(), acknowledged.len());
}
