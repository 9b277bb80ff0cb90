//! The end: every worker is told, waited for, and at last killed.

use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgrp, getpid};

use crate::supervisor::Supervisor;

/// How long workers may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends all workers, the log service last, so that the others' last lines are written. Returns when none is left.
pub(crate) fn end_all(master: &mut Supervisor) {
    let log = |command: &str| command == "postlogd";
    end(master, |command| !log(command));
    // What delivery agents have started is in our process group and ends with it; the log service does not mind the
    // signal, it ends with its channel, after the last line. Process 1 takes everybody with it when it ends, and its
    // group as a number means every process: the command that has asked for the end among them.
    if getpgrp() == getpid() && getpid().as_raw() != 1 {
        // Our own copy of the signal is taken by the event loop, which has ended.
        let _ = killpg(getpgrp(), Signal::SIGTERM);
    }
    end(master, log);
}

fn end(master: &mut Supervisor, which: impl Fn(&str) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    send(master, Signal::SIGTERM, &which);
    while count(master, &which) > 0 && Instant::now() < deadline {
        if !master.reap() {
            sleep(Duration::from_millis(10));
        }
    }
    send(master, Signal::SIGKILL, &which);
    while count(master, &which) > 0 {
        if !master.reap() {
            sleep(Duration::from_millis(10));
        }
    }
}

fn send(master: &mut Supervisor, signal: Signal, which: &impl Fn(&str) -> bool) {
    for service in master.services.values_mut().filter(|service| which(&service.entry.command)) {
        for worker in service.workers.values_mut() {
            // A worker that dies of this has been told to.
            worker.status = None;
            if let Ok(pid) = i32::try_from(worker.process.id()) {
                let _ = nix::sys::signal::kill(Pid::from_raw(pid), signal);
            }
        }
    }
}

fn count(master: &Supervisor, which: &impl Fn(&str) -> bool) -> usize {
    master.services.values().filter(|service| which(&service.entry.command)).map(|service| service.workers.len()).sum()
}
