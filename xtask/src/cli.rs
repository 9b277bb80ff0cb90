//! The command line: which commands there are, and what each is done by.

use clap::{Parser, Subcommand};

use crate::{bench, docs, failure, fuzz, install, oracle, porting, run, send, test, tidy};

/// The command line.
#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development commands of this workspace")]
pub struct Cli {
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands; the comment of each is its help.
#[derive(Subcommand)]
pub enum Command {
    /// Build (release) and run a private mail system as an ordinary user, until Ctrl-C
    Run(run::Options),
    /// Send one message over SMTP
    Send(send::Options),
    /// Unit tests, then every scenario on these programs and (as root) on C Postfix 3.11 and 3.7
    Test {
        /// Only tests whose names contain this
        filter: Option<String>,
    },
    /// Every scenario on C Postfix, unpacked below target/
    Oracle(oracle::Options),
    /// Write the outcomes in crates/scenarios/answers again, as Postfix 3.11 has them
    Record,
    /// The laws of every parser of outside bytes, under libFuzzer
    Fuzz(fuzz::Options),
    /// Check the rules of the source that the compiler does not know
    Tidy,
    /// Write the generated files again: parameter constants, parameter reference, table of programs, porting
    Docs,
    /// What this machine can know about other platforms: their kernel answers, our methods, their types
    Porting {
        /// Check the types for this target alone (can be repeated)
        #[arg(long = "target")]
        targets: Vec<String>,
    },
    /// Run a program as if the kernel had no IPv6
    WithoutIpv6 {
        /// The program and its arguments
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Install by conf/manifest
    Install(install::Options),
    /// Measure these programs and Debian's Postfix in turn
    Bench(bench::Options),
    /// The program that `bench floor` measures
    #[command(hide = true)]
    Floor(bench::FloorOptions),
}

impl Command {
    /// Runs it.
    pub fn run(self) -> failure::Outcome {
        match self {
            Command::Run(options) => run::run(&options),
            Command::Send(options) => send::run(&options),
            Command::Test { filter } => test::all(filter.as_deref()),
            Command::Oracle(options) => oracle::run(&options),
            Command::Record => oracle::record(),
            Command::Fuzz(options) => fuzz::run(&options),
            Command::Tidy => tidy::run(),
            Command::Docs => docs::run(),
            Command::Porting { targets } => porting::run(&targets),
            Command::WithoutIpv6 { command } => porting::without_ipv6(&command),
            Command::Install(options) => install::run(&options),
            Command::Bench(options) => bench::run(&options),
            Command::Floor(options) => bench::run_floor(&options),
        }
    }
}
