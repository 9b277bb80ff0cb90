//! Carriers that have been started: what becomes of each, and what it leaves.
//!
//! A carrier has a process group of its own, with its number; a command that it runs is in that group, and the carrier
//! has left it by then. As long as the carrier has not been waited for, nobody else can get the number.

use std::collections::HashMap;
use std::process::Child;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use sys::LockFile;

/// Carriers by the orders that started them.
#[derive(Default)]
pub(super) struct Running(HashMap<u32, Carrier>);

struct Carrier {
    child: Child,
    /// The lock on the mailbox that it writes.
    lock: Option<LockFile>,
}

impl Running {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, order: u32, child: Child, lock: Option<LockFile>) {
        self.0.insert(order, Carrier { child, lock });
    }

    /// Ends a carrier with all that it has started.
    pub(super) fn kill(&mut self, order: u32) {
        if let Some(carrier) = self.0.get(&order) {
            carrier.kill();
        }
    }

    /// Takes the lock away: the delivery is over.
    pub(super) fn release(&mut self, order: u32) {
        if let Some(carrier) = self.0.get_mut(&order) {
            carrier.lock = None;
        }
    }

    /// Forgets those that have ended, and ends those that somebody else has stopped or killed.
    pub(super) fn collect(&mut self) {
        self.0.retain(|_, carrier| carrier.is_alive());
    }
}

impl Carrier {
    /// Looked at before it is waited for: until then its number, and its group's, are its own.
    fn is_alive(&mut self) -> bool {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.id()), look) {
            Ok(WaitStatus::StillAlive) => return true,
            Ok(WaitStatus::Exited(_, 0)) => {}
            // Nobody but the user whose process it is stops it: a stopped carrier keeps no time and reports nothing.
            Ok(WaitStatus::Stopped(..)) => {
                self.kill();
                return true;
            }
            _ => self.kill(),
        }
        matches!(self.child.try_wait(), Ok(None))
    }

    fn kill(&self) {
        // Those that are gone need no signal.
        let _ = kill(self.id(), Signal::SIGKILL);
        let _ = killpg(self.id(), Signal::SIGKILL);
    }

    fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }
}
