//! What smtp and lmtp are made of: one agent, compiled once, which speaks the protocol that its program is named after.
//!
//! It offers what their `main` calls and nothing else. Every module is private, so that the compiler still sees code
//! that nobody uses.

mod appeal;
mod authenticate;
mod cache;
mod candidates;
mod checks;
mod configure;
mod connect;
mod deliver;
mod envelope;
mod failure;
mod find;
mod forward;
mod generic;
mod home;
mod nexthop;
mod notices;
mod outgoing;
mod pace;
mod quirks;
mod race;
mod refusals;
mod sasl;
mod service;
mod session;
mod settings;
mod stage;
#[cfg(test)]
mod tests;
mod tls;
mod transaction;
mod writer;

use std::process::ExitCode;

use daemon::Service;

/// Runs the agent from the first line of `main` to its end. The name in the constant, `smtp` or `lmtp`, decides which
/// protocol it speaks and which parameters it reads; an agent of any other name does not start.
pub fn run(service: &'static Service) -> ExitCode {
    daemon::run::<service::Worker>(service)
}
