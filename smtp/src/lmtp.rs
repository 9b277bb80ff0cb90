//! lmtp - delivery agent that gives mail to a mail store by LMTP
//!
//! # Synopsis
//! `lmtp [generic daemon options] [flags=DORX]`, from master.cf
//!
//! # Description
//! The same program as smtp with the differences of RFC 2033: LHLO, one reply a recipient after the content, nexthops
//! `unix:PATH` and `inet:HOST:PORT`, no mail exchangers, and `lmtp_` in the names of its parameters.
//!
//! # Privilege
//! That of smtp. Servers on Unix sockets are reached through its porter, a process of its own that is started with it.
//!
//! # Peers
//! `public/cleanup` (notices to the postmaster); `private/rewrite` (addresses of lmtp_generic_maps
//! without a domain); qmgr; name servers and mail stores.
//!
//! # Diagnostics
//! Those of smtp.

use std::process::ExitCode;

use daemon::{Lifetime, Network, Outside, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "lmtp",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "reads a message through the descriptor that comes with the request",
    siblings: &[Sibling::Cleanup, Sibling::Rewrite, Sibling::Tlsmgr],
    files: &[],
    outside: &[Outside::UnixSockets],
    network: Network::Internet,
    threads: true,
};

fn main() -> ExitCode {
    smtp::run(&SERVICE)
}
