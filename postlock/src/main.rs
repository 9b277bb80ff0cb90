//! postlock - run a command while a mailbox is locked
//!
//! # Synopsis
//! `postlock [-v] [-c config_dir] [-l lock_style] file command...`
//!
//! # Description
//! Locks a mailbox as `local` does before it writes, runs the command without a shell, and unlocks the mailbox when the
//! command ends. The mailbox is made if it is not there. `-l` names the ways to lock, a list of fcntl, flock and
//! dotlock, in place of mailbox_delivery_lock; a lock that somebody else has is tried deliver_lock_attempts times, with
//! deliver_lock_delay in between, and a lock file older than stale_lock_time is taken for forgotten. `-v` is accepted.
//!
//! # Privilege
//! The caller's.
//!
//! # Diagnostics
//! The exit status is that of the command; 1 when a signal ended it, or when it could not be run. 75: the mailbox could
//! not be locked, or the command line or main.cf cannot be understood.

mod lock;
mod request;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run("postlock", run::run)
}
