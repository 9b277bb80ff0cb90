//! inet_addr_local - show the addresses of this machine as the mail system finds them
//!
//! # Synopsis
//! `inet_addr_local [--method name] [protocols]`
//!
//! `inet_addr_local --list-methods`
//!
//! # Description
//! Writes a line `address/netmask` for every address of every interface that is up, IPv4 before IPv6, otherwise in the
//! system's order. That is what `inet_interfaces = all` listens on and what decides whether mail is for this machine;
//! on a new platform it is the first program to try. It reads no configuration: `protocols` is in the syntax of
//! `inet_protocols`, and `all` when it is missing. Further arguments are ignored.
//!
//! `--method` asks the system in that way instead of the platform's own; `--list-methods` writes the names of the
//! methods that this platform has, the default first.
//!
//! # Privilege
//! The caller's.
//!
//! # Diagnostics
//! Standard error has the words of `protocols`, what the kernel lacks, what was left out and how many addresses were
//! found, under the name that the program was called by. Exit status 1: no address was found, the system refused to
//! list them, or the command line cannot be understood.

mod options;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    let called = run::called();
    logging::set_up_command(&called, false);
    run::run(&called).unwrap_or_else(|why| logging::fatal!("{why}"))
}
