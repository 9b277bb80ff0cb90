//! spawn - commands that serve the clients of a socket
//!
//! # Synopsis
//! `spawn [generic daemon options] user=NAME[:GROUP] argv=COMMAND ARGUMENT...`, from master.cf
//!
//! # Description
//! For each client that connects the command is run, with the connection as its standard input, output and error: a
//! policy server, a filter that speaks SMTP, anything that serves one client. The words of the command are what
//! master.cf says, and nothing a client says changes them. A command that takes longer than `NAME_time_limit` (else
//! `command_time_limit`) is ended with all that it has started.
//!
//! # Privilege
//! Three processes of this one program, as in `local`:
//!
//! - the agent, which accepts clients and reads no byte of them: `$mail_owner`, in the sandbox, without rights;
//! - the steward, root, which starts carriers, of this one user alone;
//! - a carrier for one client, which becomes the user, with that one group, and runs the command.
//!
//! Root, `mail_owner` and the groups of root and of the mail system are refused as user and group. Not started as root,
//! all run as the caller.
//!
//! # Peers
//! Whoever connects to the socket.
//!
//! # Diagnostics
//! A warning for each command that did not end with status 0, or took too long. An attribute that is missing or makes
//! no sense ends the program.

mod service;

use std::process::ExitCode;

use daemon::{Lifetime, Network, Privilege, Service, Skeleton};

static SERVICE: Service = Service {
    name: "spawn",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::Delivers,
    why: "runs commands for clients, through carriers that have become the user of the service",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    delivery::steward::run_as_helper(SERVICE.name).unwrap_or_else(|| daemon::run::<service::Spawn>(&SERVICE))
}
