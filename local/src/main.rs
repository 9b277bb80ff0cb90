//! # NAME
//! local - delivery to the users of this machine
//!
//! # SYNOPSIS
//! `local [generic daemon options]`, from master.cf
//!
//! # DESCRIPTION
//! For each recipient: `alias_maps`, the user's `.forward`, then the mailbox (`mailbox_transport`, `mailbox_command`,
//! `home_mailbox`, `mail_spool_directory`, in this order), and for a name that is nobody's `fallback_transport`,
//! `luser_relay`, or the sender hears `unknown user`. Aliases and `.forward` files name addresses, `/files`,
//! `|commands` and `:include:` lists. Addresses that are not delivered on the spot enter the queue as a new message, so
//! that each has its own record of delivery.
//!
//! # PRIVILEGE
//! Three processes of this one program:
//!
//! - the agent, which serves qmgr: `$mail_owner`, in the sandbox, without rights;
//! - the steward, root, started before the agent gives up its rights: it reads user names from the agent and starts
//!   carriers, and does nothing else;
//! - a carrier for one delivery, executed with the ids and groups of the user: it reads `.forward`, writes the mailbox,
//!   runs the command.
//!
//! No process delivers as root: mail for root is delivered with the rights of `default_privs`. Not started as root, all
//! three run as the caller.
//!
//! # DIAGNOSTICS
//! One delivery status line for each address that a recipient leads to; warnings for alias loops, missing :include:
//! files, and .forward files that others may write.

mod alias;
mod command;
mod content;
mod deposit;
mod destinations;
mod expansion;
mod mailbox;
mod place;
mod relay;
mod resubmit;
mod service;
mod settings;
mod verdict;

use std::process::ExitCode;

use daemon::{Network, Privilege, Service, Skeleton};

static SERVICE: Service = Service {
    name: "local",
    skeleton: Skeleton::Sessions,
    privilege: Privilege::Delivers,
    why: "writes the mailboxes of users, through carriers that have become the user",
    peers: &["cleanup", "rewrite", "any transport that mailbox_transport or fallback_transport names"],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    delivery::steward::run_as_helper(SERVICE.name).unwrap_or_else(|| daemon::run::<service::Local>(&SERVICE))
}
