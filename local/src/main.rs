//! local - delivery to the users of this machine
//!
//! # Synopsis
//! `local [generic daemon options]`, from master.cf
//!
//! # Description
//! For each recipient: `alias_maps`, the user's `.forward`, then the mailbox (`mailbox_transport`, `mailbox_command`,
//! `home_mailbox`, `mail_spool_directory`, in this order), and for a name that is nobody's `fallback_transport`,
//! `luser_relay`, or the sender hears `unknown user`. Aliases and `.forward` files name addresses, `/files`,
//! `|commands` and `:include:` lists. What has to travel on is handed to cleanup as new mail: the queue file at hand
//! has one mark, that of the recipient, and none for the addresses that it turned into.
//!
//! # Privilege
//! Three processes of this one program:
//!
//! - the agent, which serves qmgr: `$mail_owner`, in the sandbox, without rights;
//! - the steward, root, started before the agent gives up its rights: it reads user names from the agent, starts
//!   carriers and ends them;
//! - a carrier for one delivery, which becomes the user before it reads anything: for files, without the right to run a
//!   program; for one mailbox; or for a command.
//!
//! No process delivers as root or as `mail_owner`: lists, files and commands of these users have the rights of
//! `default_privs`, and their mailboxes in the mail spool directory are opened for a process with those. A user whose
//! group is root's or the mail system's gets the group of `default_privs`. Not started as root, all three run as the
//! caller.
//!
//! # Peers
//! `public/cleanup` (mail for other addresses), `private/rewrite` (where they go), the transports that deliver in its
//! place. The comsat service of this machine hears of mail in mailbox files (`biff`), by a socket that is opened before
//! the sandbox is entered. Its client is qmgr.
//!
//! # Diagnostics
//! One delivery status line for each address that a recipient leads to; warnings for alias loops, missing :include:
//! files, and .forward files that are not the user's alone.

mod alias;
mod biff;
mod command;
mod destinations;
mod expansion;
mod mailbox;
mod place;
mod resubmit;
mod service;
mod settings;
mod verdict;

use std::process::ExitCode;

use daemon::{Lifetime, Network, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "local",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::Delivers,
    why: "writes the mailboxes of users, through carriers that have become the user",
    siblings: &[Sibling::Cleanup, Sibling::Rewrite, Sibling::Transports],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    delivery::steward::run_as_helper(SERVICE.name).unwrap_or_else(|| daemon::run::<service::Local>(&SERVICE))
}
