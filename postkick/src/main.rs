//! postkick - send a request to a service of the mail system
//!
//! # Synopsis
//! `postkick [-v] [-c config_dir] class service request`
//!
//! # Description
//! Sends the letters of a request to the socket of a service below the queue directory, for use in scripts: `postkick
//! public qmgr IDFA`. The class is public or private. What the letters mean is the service's business: `W` wakes any of
//! them, and the queue manager knows I and D for its queues, F and A for an attempt at all of them. A service that does
//! not take the request is waited for, application_event_drain_time at most. `-v` is accepted.
//!
//! # Privilege
//! The caller's: what the permissions of the queue directory let him reach.
//!
//! # Peers
//! Any service with a socket below the queue directory that knows triggers.
//!
//! # Diagnostics
//! Exit status 1: the service cannot be reached or does not take the request, or the command line or main.cf cannot be
//! understood.

mod request;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run("postkick", run::run)
}
