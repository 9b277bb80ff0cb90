//! trivial-rewrite - addresses in standard form, and the way of each recipient
//!
//! # Synopsis
//! `trivial-rewrite [daemon options]`, started by master for the entry `rewrite unix - - n - - trivial-rewrite`
//!
//! # Description
//! Two questions: what is the standard form of this address (with a domain, without source routes), and by which
//! transport and nexthop does mail for it go. Cleanup asks the first, smtpd and qmgr the second. The answers follow from
//! main.cf and its tables alone; nothing is looked up in the DNS and nothing is remembered.
//!
//! # Privilege
//! None. Opens its tables before it gives up its rights, and ends when one of them has changed.
//!
//! # Diagnostics
//! A table that cannot be read makes the answer "failed", and the mail waits.

mod classes;
mod resolve;
mod routes;
mod service;
mod standard;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use daemon::{Lifetime, Network, Privilege, Service, Skeleton};

static SERVICE: Service = Service {
    name: "trivial-rewrite",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<service::TrivialRewrite>(&SERVICE)
}
