//! The mail system as process 1: `postfix start-fg` in a process namespace of its own, controlled from beside it.

use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use scenarios::scenario;
use testing::accounts::is_root;
use testing::programs::ENVIRONMENT;
use testing::wait::{PATIENCE, until, until_true};
use testing::{Client, Instance, Setup};

/// A container whose process 1 is `postfix start-fg`, and then master.
struct Container {
    outer: Child,
    /// Process 1, as it is called outside.
    init: i32,
}

impl Container {
    fn start(mail: &Instance) -> Container {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(mail.programs().command("postfix"));
        command.arg("-c").arg(mail.etc()).arg("start-fg").env_clear().envs(ENVIRONMENT);
        let outer = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("unshare");
        let child = || states().into_iter().find(|state| state.parent == outer.id() as i32).map(|state| state.pid);
        let init = until(PATIENCE, child).expect("process 1");
        let container = Container { outer, init };
        mail.wait_log(&["postfix/master[1]", "daemon started"]);
        container
    }

    /// The exit status of a command beside process 1.
    fn beside(&self, command: &[&str]) -> Option<i32> {
        self.command(command).status().expect("nsenter").code()
    }

    fn command(&self, command: &[&str]) -> Command {
        let mut entered = Command::new("nsenter");
        entered.args(["--target", &self.init.to_string(), "--pid", "--mount"]).args(command);
        entered.env_clear().envs(ENVIRONMENT).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        entered
    }

    fn postfix(&self, mail: &Instance, command: &str) -> Option<i32> {
        let program = mail.programs().command("postfix");
        self.beside(&[&program.display().to_string(), "-c", &mail.etc().display().to_string(), command])
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.outer.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // With process 1 ends everything in the container. That it ends with unshare is forgotten when it changes its
        // ids.
        if !self.has_ended() {
            let _ = kill(Pid::from_raw(self.init), Signal::SIGKILL);
        }
        let _ = self.outer.kill();
        let _ = self.outer.wait();
    }
}

/// A process that is there, or that waits to be reaped.
struct State {
    pid: i32,
    name: String,
    parent: i32,
}

fn states() -> Vec<State> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, rest) = stat.rsplit_once(')')?;
        let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
        Some(State { pid, name: head.split_once('(')?.1.to_owned(), parent })
    })
    .collect()
}

/// A container needs root, and the namespace tools.
fn is_possible() -> bool {
    let possible = is_root() && std::fs::metadata("/proc/self/ns/pid").is_ok_and(|data| data.ino() > 0);
    if !possible {
        eprintln!("left out: namespaces need root");
    }
    possible
}

#[test]
fn a_master_that_is_process_1_is_controlled_from_beside_it() {
    scenario(|| {
        if !is_possible() {
            return;
        }
        let mail = Setup::new().build();
        let mut container = Container::start(&mail);
        assert_eq!(std::fs::read_to_string(mail.queue().join("pid/master.pid")).expect("pid file").trim(), "1");
        assert_eq!(container.postfix(&mail, "status"), Some(0), "{}", mail.log());
        assert_eq!(container.postfix(&mail, "start"), Some(1), "already running");
        assert_eq!(container.postfix(&mail, "reload"), Some(0), "{}", mail.log());
        mail.wait_log(&["postfix/master[1]", "reload -- version"]);
        assert_eq!(container.postfix(&mail, "flush"), Some(0), "{}", mail.log());
        Client::greet(mail.v4()).expect("connected");
        // With process 1 ends everything, the command that asks for it too.
        assert_ne!(container.postfix(&mail, "stop"), Some(1), "{}", mail.log());
        assert!(until_true(PATIENCE, || container.has_ended()), "{}", mail.log());
    });
}

#[test]
fn process_1_reaps_what_others_leave_behind_and_loses_no_worker_over_it() {
    scenario(|| {
        if !is_possible() {
            return;
        }
        let mail = Setup::new().set("max_use", "1").set("process_session_limit", "1").build();
        let container = Container::start(&mail);
        let orphans = || -> Vec<i32> {
            let left = states().into_iter().filter(|it| it.parent == container.init && it.name == "sleep");
            left.map(|it| it.pid).collect()
        };
        for _ in 0..5 {
            assert_eq!(container.beside(&["sh", "-c", "for i in 1 2 3 4; do sleep 1000 & done"]), Some(0));
            assert!(until_true(PATIENCE, || orphans().len() == 4), "process 1 inherits nothing");
            for orphan in orphans() {
                kill(Pid::from_raw(orphan), Signal::SIGKILL).expect("killed");
                // Workers end among them, one a client.
                Client::greet(mail.v4()).expect("connected");
            }
            assert!(until_true(PATIENCE, || orphans().is_empty()), "not reaped");
        }
        let servers = || states().iter().filter(|it| it.parent == container.init && it.name == "smtpd").count();
        assert!(until_true(PATIENCE, || servers() <= 1), "{} servers are left", servers());
        Client::greet(mail.v4()).expect("connected");
    });
}

#[test]
fn who_lives_beside_process_1_gets_no_signal_of_its_end() {
    scenario(|| {
        if !is_possible() {
            return;
        }
        let mail = Setup::new().build();
        let mut container = Container::start(&mail);
        let (ready, told) = (mail.folder().join("ready"), mail.folder().join("told"));
        let script =
            format!("trap 'touch {}' TERM; touch {}; while :; do sleep 0.05; done", told.display(), ready.display());
        let mut beside = container.command(&["sh", "-c", &script]).spawn().expect("nsenter");
        assert!(until_true(PATIENCE, || ready.exists()));
        // It ends with the container, and the command that asks for that may as well.
        container.postfix(&mail, "stop");
        assert!(until_true(PATIENCE, || container.has_ended()), "{}", mail.log());
        let _ = beside.wait();
        assert!(!told.exists(), "a stranger was told to end");
    });
}
