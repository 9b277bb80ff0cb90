//! virtual - delivery to mailboxes of users who have no account
//!
//! # Synopsis
//! `virtual [generic daemon options]`, from master.cf
//!
//! # Description
//! Three tables say where mail for an address is written and as whom: `virtual_mailbox_maps` the path below
//! `virtual_mailbox_base`, `virtual_uid_maps` and `virtual_gid_maps` the numbers of user and group. A path that ends in
//! a slash is a maildir, any other a mailbox file, which is locked as `virtual_mailbox_lock` says. No aliases, no
//! `.forward`, no commands; nobody need be in the user database.
//!
//! # Privilege
//! Three processes of this one program, as in `local`:
//!
//! - the agent, which serves qmgr: `$mail_owner`, in the sandbox, without rights;
//! - the steward, root, which starts carriers with the numbers that it is told, and refuses those below
//!   `virtual_minimum_uid`, of `mail_owner`, and of the groups of root and of the mail system;
//! - a carrier for one delivery, which becomes the user, with that one group, before it reads anything, and can run
//!   nothing.
//!
//! Not started as root, all run as the caller.
//!
//! # Peers
//! Nobody but its client: qmgr.
//!
//! # Diagnostics
//! One delivery status line a recipient; warnings for table entries that make no sense.

mod mailbox;
mod service;
mod settings;
mod verdict;

use std::process::ExitCode;

use daemon::{Lifetime, Network, Privilege, Service, Skeleton};

static SERVICE: Service = Service {
    name: "virtual",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::Delivers,
    why: "writes mailboxes, through carriers that have become their owners",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    delivery::steward::run_as_helper(SERVICE.name).unwrap_or_else(|| daemon::run::<service::Virtual>(&SERVICE))
}
