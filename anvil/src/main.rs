//! anvil - connection counts and request rates of clients
//!
//! # Synopsis
//! `anvil [generic daemon options]`, from master.cf under the service name `anvil`
//!
//! # Description
//! Servers tell it of each client's connections, messages and recipients, and are told how many there are: connections
//! at this moment, other events within anvil_rate_time_unit. It limits nothing itself. A client is known by a text that
//! the server makes (`service:address`); connections are released when their server says so, and when its own
//! connection ends.
//!
//! At most 100,000 clients are known at a time. Beyond that the client whose time unit began first, and that has no
//! connection, makes room; when all have one, a new client is not counted. A client without connections is forgotten
//! when its time unit is over.
//!
//! # Privilege
//! `$mail_owner`; opens nothing.
//!
//! # Peers
//! Nobody but its clients: smtpd.
//!
//! # Diagnostics
//! Every anvil_status_update_time, and at the end, the highest count and rates since the last time, with whose they
//! were and when.

mod service;
mod statistics;
mod table;

use std::process::ExitCode;

use daemon::{Lifetime, Network, Privilege, Service, Skeleton};

static SERVICE: Service = Service {
    name: "anvil",
    skeleton: Skeleton::Solitary,
    lifetime: Lifetime::Remembers(config::param::ANVIL_RATE_TIME_UNIT),
    privilege: Privilege::MailOwner,
    why: "",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<service::Anvil>(&SERVICE)
}
