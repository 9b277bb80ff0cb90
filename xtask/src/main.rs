//! Development commands: `cargo xtask COMMAND`. One file a command; `cargo xtask help` lists them.
//!
//! Nothing here ships. A command may build, install test accounts (as root) and write below `target/`; it must never
//! change a file that the system's own mail programs use.

mod accounts;
mod bench;
mod cli;
mod demo;
mod docs;
mod failure;
mod fuzz;
mod install;
mod oracle;
mod packages;
mod porting;
mod programs;
mod run;
mod send;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
