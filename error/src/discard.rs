//! discard - delivery agent that drops mail
//!
//! # Synopsis
//! `discard [generic daemon options]`, from master.cf
//!
//! # Description
//! Every recipient counts as delivered; the nexthop of the request is logged as the reason, with an optional enhanced
//! status code in front.
//!
//! # Privilege
//! `$mail_owner`; opens no file.
//!
//! # Peers
//! Nobody but its client: qmgr.
//!
//! # Diagnostics
//! One delivery status line a recipient.

mod nexthop;
mod service;

use std::process::ExitCode;

use daemon::{Lifetime, Network, Privilege, Service, Skeleton};

static SERVICE: Service = Service {
    name: "discard",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "opens nothing",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<service::Agent>(&SERVICE)
}
