//! postlogd - the log file of the mail system
//!
//! # Synopsis
//! `postlogd [generic daemon options]`, from master.cf under the service name `postlog`, of type `unix-dgram`
//!
//! # Description
//! Receives one log line a datagram on `public/postlog` and appends it to maillog_file. Without maillog_file it passes
//! the lines on to syslog, so that a program that was told to use this service never loses one. A line comes from a
//! program of any local user: it is cut at 4096 bytes and made printable again before it is written.
//!
//! # Privilege
//! `$mail_owner`; opens the file as root before that.
//!
//! # Peers
//! Every program that logs; the log of the system.
//!
//! # Diagnostics
//! Lines that cannot be written to the file go to syslog, and the reason with the first of them.

mod file;
mod relay;
mod service;

use std::process::ExitCode;

use daemon::{Lifetime, Network, Privilege, Service, Skeleton};

static SERVICE: Service = Service {
    name: "postlogd",
    skeleton: Skeleton::Datagram,
    lifetime: Lifetime::Endless,
    privilege: Privilege::MailOwner,
    why: "writes the log file",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<service::Postlogd>(&SERVICE)
}
