//! showq - list the mail queue
//!
//! # Synopsis
//! `showq [generic daemon options]`, from master.cf under the service name `showq`; `showq -u -S`
//!
//! # Description
//! Whoever connects gets a list of all messages in the queue with the recipients that still wait, and why, in the
//! encoding that mailq, postqueue and programs of others read. The queue goes on while it is listed: a message may
//! appear twice or not at all. What was read of a message is kept for the next list, at most 64 MiB of it, and is used
//! as long as neither its file nor its logs have changed: the files are the truth. Of messages that were deferred since
//! the last list, qmgr tells what it knows, which holds as long.
//!
//! With `-S` it serves the one client on standard input: how postqueue lists the queue when the mail system does not
//! run.
//!
//! # Privilege
//! `$mail_owner`; reads queue files and delivery logs. It changes nothing.
//!
//! # Peers
//! Its clients: postqueue, and programs of others. `public/qmgr`: what it knows of deferred mail.
//!
//! # Diagnostics
//! A file that cannot be understood is left out, with a warning.

mod cache;
mod identity;
mod listing;
mod logs;
mod message;
mod service;
mod source;
mod told;

use std::process::ExitCode;

use daemon::{Access, Lifetime, Network, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "showq",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "reads the queue",
    siblings: &[Sibling::Qmgr],
    files: &[
        Access::QueueRead("maildrop"),
        Access::QueueRead("active"),
        Access::QueueRead("incoming"),
        Access::QueueRead("deferred"),
        Access::QueueRead("hold"),
        Access::QueueRead("bounce"),
        Access::QueueRead("defer"),
    ],
    outside: &[],
    network: Network::None,
    threads: true,
};

fn main() -> ExitCode {
    daemon::run::<service::Showq>(&SERVICE)
}
