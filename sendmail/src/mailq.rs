//! mailq - list the mail queue
//!
//! # Description
//! `sendmail` under the name `mailq`: what it does depends on the name it is called by.

use std::process::ExitCode;

fn main() -> ExitCode {
    command::become_neighbour("mailq", "sendmail")
}
