//! newaliases - rebuild the alias database
//!
//! # Description
//! `sendmail` under the name `newaliases`: what it does depends on the name it is called by.

use std::process::ExitCode;

fn main() -> ExitCode {
    command::become_neighbour("newaliases", "sendmail")
}
