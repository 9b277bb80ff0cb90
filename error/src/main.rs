//! error - delivery agent that delivers nothing and says why
//!
//! # Synopsis
//! `error [generic daemon options]`, from master.cf under the service names `error` and `retry`
//!
//! # Description
//! The nexthop of a request is the reason, with an optional enhanced status code in front. Under the service name
//! `retry` every recipient is deferred (default code 4.0.0), under any other name every recipient fails (5.0.0).
//! transport_maps entries such as `error:5.1.1 no such user` and qmgr's suspended destinations end here.
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
    name: "error",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "marks nothing, opens nothing",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<service::Agent>(&SERVICE)
}
