//! lmtp - delivery agent that gives mail to a mail store by LMTP
//!
//! # Synopsis
//! `lmtp [generic daemon options]`, from master.cf
//!
//! # Description
//! The same program as smtp with the differences of RFC 2033: LHLO, one reply a recipient after the content, nexthops
//! `unix:PATH` and `inet:HOST:PORT`, no mail exchangers, and `lmtp_` in the names of its parameters.
//!
//! # Privilege
//! That of smtp. Servers on Unix sockets are reached through its porter, a process of its own that is started with it.
//!
//! # Peers
//! `public/cleanup` (notices to the postmaster); qmgr; name servers and mail stores.
//!
//! # Diagnostics
//! Those of smtp.

mod appeal;
mod cache;
mod candidates;
mod configure;
mod connect;
mod deliver;
mod destination;
mod envelope;
mod failure;
mod find;
mod forward;
mod home;
mod lookups;
mod nexthop;
mod notices;
mod order;
mod protection;
mod race;
mod server;
mod service;
mod session;
mod settings;
mod stream;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;

use std::process::ExitCode;

use daemon::{Lifetime, Network, Outside, Privilege, Service, Sibling, Skeleton};
use settings::Protocol;

static SERVICE: Service = Service {
    name: "lmtp",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "reads a message through the descriptor that comes with the request",
    siblings: &[Sibling::Cleanup],
    files: &[],
    outside: &[Outside::UnixSockets],
    network: Network::Internet,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run_as_porter(SERVICE.name).unwrap_or_else(|| daemon::run::<service::Worker<Lmtp>>(&SERVICE))
}

/// This program speaks LMTP.
struct Lmtp;

impl service::Speaks for Lmtp {
    const PROTOCOL: Protocol = Protocol::Lmtp;
}
