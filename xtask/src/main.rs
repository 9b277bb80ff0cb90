//! Development commands: `cargo xtask COMMAND`. One file a command; `cargo xtask help` lists them.
//!
//! Nothing here ships. A command may build, install test accounts (as root) and write below `target/`;
//! it must never change a file that the system's own mail programs use.

mod failure;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development commands of this workspace")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the rules of the source that the compiler does not know
    Tidy,
}

impl Command {
    fn run(self) -> failure::Outcome {
        match self {
            Command::Tidy => tidy::run(),
        }
    }
}
