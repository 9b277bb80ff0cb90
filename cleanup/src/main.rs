//! cleanup - makes a queue file of every message
//!
//! # Synopsis
//! `cleanup [generic daemon options]`, from master.cf under the service name `cleanup`
//!
//! # Description
//! smtpd, pickup and every daemon that sends mail hand a message to this daemon as a stream of queue file records. It
//! writes them into a new file in the incoming queue, and on the way puts addresses into standard form, maps them
//! (canonical, virtual alias and masquerade settings), adds missing headers, removes headers that must not travel, and
//! applies header_checks and body_checks. When the last record is there, the file is forced to stable storage together
//! with those of other clients; only then the client is told that the message is accepted, and qmgr that it has
//! arrived.
//!
//! A message that is complete is shown to mail filters (milters): those that smtpd has handed over with it, or, for
//! other mail, non_smtpd_milters. What they want changed is changed before the file is mail.
//!
//! Whatever ends a message earlier (the client goes away, an error, this process is killed) leaves an incomplete file
//! or none: never mail.
//!
//! # Privilege
//! `$mail_owner`; writes the incoming and hold queues.
//!
//! # Peers
//! `private/rewrite` (addresses in standard form), `private/bounce` (mail that it cannot refuse any more),
//! `private/trace` (what aliases expand to), `private/verify` (probes that end here), `public/qmgr` (what has arrived);
//! mail filters, over connections that smtpd has made, or through its porter.
//!
//! # Diagnostics
//! One line `Q: message-id=<...>` a message, one line for each action of a check. Problems with tables and addresses
//! are warnings, and the message is refused for now.

mod alias;
mod bounced;
mod canonical;
mod checks;
mod content;
mod envelope;
mod failure;
mod field;
mod generated;
mod handover;
mod header;
mod incoming;
mod inspection;
mod kept;
mod masquerade;
mod message;
mod milters;
mod recipients;
mod service;
mod settings;
mod site;
mod strict;
mod tables;
#[cfg(test)]
mod tests;
mod utf8;
mod verdict;
mod verified;
mod withheld;
mod writer;

use std::process::ExitCode;

use daemon::{Access, Lifetime, Network, Outside, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "cleanup",
    skeleton: Skeleton::Unlimited,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "creates queue files",
    siblings: &[Sibling::Rewrite, Sibling::Qmgr, Sibling::Bounce, Sibling::Trace, Sibling::Verify],
    files: &[Access::QueueWrite("incoming"), Access::QueueWrite("hold"), Access::QueueWrite("spare")],
    outside: &[Outside::UnixSockets, Outside::Servers],
    network: Network::None,
    threads: true,
};

fn main() -> ExitCode {
    daemon::run::<service::Cleanup>(&SERVICE)
}
