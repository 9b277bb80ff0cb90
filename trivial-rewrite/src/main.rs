//! trivial-rewrite - addresses in standard form, and the way of each recipient
//!
//! # Synopsis
//! `trivial-rewrite [generic daemon options]`, from master.cf under the service name `rewrite`
//!
//! # Description
//! Two questions: what is the standard form of this address (with a domain, without source routes), and by which
//! transport and nexthop does mail for it go. Cleanup asks the first, smtpd and qmgr the second. The answers follow
//! from main.cf and its tables alone; nothing is looked up in the DNS and nothing is remembered.
//!
//! # Privilege
//! `$mail_owner`. Opens its tables before it gives up its rights, and ends when one of them has changed.
//!
//! # Peers
//! Nobody but its clients: cleanup, smtpd, qmgr and local.
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
    skeleton: Skeleton::Shared,
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
