//! mailq - list the mail queue
//!
//! # Synopsis
//! `mailq [options of sendmail]`
//!
//! # Description
//! `sendmail` under the name `mailq`: what it does depends on the name it is called by.
//!
//! # Privilege
//! That of the caller.
//!
//! # Diagnostics
//! Those of sendmail, which has to lie beside it. Exit status 75: it cannot be started.

use std::process::ExitCode;

fn main() -> ExitCode {
    command::become_neighbour("mailq", "sendmail")
}
