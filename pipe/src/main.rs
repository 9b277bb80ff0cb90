//! pipe - delivery to commands
//!
//! # Synopsis
//! `pipe [generic daemon options] flags=... user=NAME[:GROUP] ... argv=COMMAND ARGUMENT...`, from master.cf
//!
//! # Description
//! A message is given to the standard input of the command that stands in master.cf, and the command's exit status is
//! the result for all recipients of the request. The words in front of `argv=` are attributes, in any order: `user`
//! (whose rights the command has; required), `flags`, `directory`, `chroot`, `eol`, `null_sender`, `size`. In the
//! arguments `${name}` stands for a fact about the request; one that contains a fact about a recipient is repeated for
//! each recipient. No shell ever sees them.
//!
//! What a command prints is shown in the log and in notifications; a status code at its beginning (`5.2.2 full`)
//! counts more than an exit status that is not 0. Exit statuses are those of sysexits.h. A command that takes longer
//! than `NAME_time_limit` (else `command_time_limit`) is ended with all that it has started.
//!
//! # Privilege
//! Three processes of this one program, as in `local`:
//!
//! - the agent, which serves qmgr: `$mail_owner`, in the sandbox, without rights;
//! - the steward, root, which starts carriers, of this one user alone;
//! - a carrier for one delivery, which becomes the user, with that one group, before it reads anything, and runs the
//!   command.
//!
//! Root, `mail_owner` and the groups of root and of the mail system are refused as user and group. Not started as root,
//! all run as the caller.
//!
//! # Peers
//! Nobody but its client: qmgr.
//!
//! # Diagnostics
//! One delivery status line a recipient. An attribute that is missing or makes no sense ends the program; mail waits.

mod arguments;
mod attributes;
mod service;

use std::process::ExitCode;

use daemon::{Lifetime, Network, Privilege, Service, Skeleton};

static SERVICE: Service = Service {
    name: "pipe",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::Delivers,
    why: "runs commands, through carriers that have become the user of the service",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    delivery::steward::run_as_helper(SERVICE.name).unwrap_or_else(|| daemon::run::<service::Pipe>(&SERVICE))
}
