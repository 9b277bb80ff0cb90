//! `cargo xtask bench`: what a message costs here and in C Postfix, measured in turn on this machine.

mod racing;
mod relay;

use std::path::PathBuf;

use testing::Programs;

use crate::failure::{Failure, Outcome};
use crate::oracle;
use crate::programs::{self, Profile};

#[derive(clap::Subcommand)]
pub enum Bench {
    /// 2,000 messages of 1 KiB over 20 reused sessions, relayed to one sink
    Relay(relay::Options),
    /// One message to a server whose IPv6 addresses swallow everything, and whose IPv4 address works
    Racing(racing::Options),
}

pub fn run(bench: &Bench) -> Outcome {
    match bench {
        Bench::Relay(options) => relay::run(options),
        Bench::Racing(options) => racing::run(options),
    }
}

/// The mail systems that are measured.
#[derive(clap::Args)]
struct Systems {
    /// A folder with our programs, built before
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Only one of the two
    #[arg(long)]
    only: Option<System>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum System {
    Ours,
    Oracle,
}

impl Systems {
    /// Their names and programs, ours first.
    fn prepare(&self) -> Outcome<Vec<(&'static str, Programs)>> {
        let mut systems = Vec::new();
        if self.only != Some(System::Oracle) {
            let built = self.programs.as_ref().map(std::path::absolute);
            let folder = built.map_or_else(|| programs::build(Profile::Release), |given| Ok(given?))?;
            systems.push(("postfix-rs", Programs::of_folder(&folder)));
        }
        if self.only != Some(System::Ours) {
            let root = oracle::prepare(oracle::Version::Reference)?.root;
            systems.push(("Postfix", Programs::of_oracle(&root).ok_or_else(|| Failure("no C Postfix".to_owned()))?));
        }
        Ok(systems)
    }
}
