//! `cargo xtask bench`: what a message costs here and in Debian's Postfix, measured in turn on this machine.

mod relay;

use crate::failure::Outcome;

#[derive(clap::Subcommand)]
pub enum Bench {
    /// 2,000 messages of 1 KiB over 20 reused sessions, relayed to one sink
    Relay(relay::Options),
}

pub fn run(bench: &Bench) -> Outcome {
    match bench {
        Bench::Relay(options) => relay::run(options),
    }
}
