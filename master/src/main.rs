//! master - the supervisor of the mail system
//!
//! # Synopsis
//! `master [-Ddistvw] [-c config_dir] [-e exit_time]`
//!
//! # Description
//! Opens the sockets of every service in master.cf, starts a worker when a client waits and none is free, starts it
//! again when it dies, wakes services up, reloads on SIGHUP, and ends everything on SIGTERM.
//!
//! Master must never read a byte that a network or a local user wrote, parse a table, look up DNS, or wait for anything
//! but its own event loop: it is the one process that stays root, and everything else depends on it. It keeps no state
//! that a restart would miss, and stays small, because fork costs what the parent weighs.
//!
//! `-c DIR` configuration directory; `-d` stay in the foreground with the terminal; `-D` accepted; `-e SECONDS` end
//! after that time; `-i` run as process 1 of a container; `-s` keep standard output; `-t` test the lock: status 0 when
//! no master runs; `-v` more log; `-w` wait until the child that goes to the background is ready.
//!
//! # Privilege
//! Root, or any user who owns the queue directory: then everything runs as that user, on ports that the user may bind.
//!
//! # Diagnostics
//! Everything goes to the log; why master could not start, to standard error too. Exit status 1: not started.

mod accepted;
mod arguments;
mod background;
mod child;
mod ending;
mod late;
mod listener;
mod lockfile;
mod plan;
mod reaping;
mod reload;
mod retire;
mod service;
mod start;
mod supervisor;
mod timer;
mod wakeup;

use std::process::ExitCode;

fn main() -> ExitCode {
    start::run()
}
