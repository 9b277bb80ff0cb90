//! postlog - a line for the mail log
//!
//! # Synopsis
//! `postlog [-iv] [-c config_dir] [-p priority] [-t tag] [text...]`
//!
//! # Description
//! Logs the text of the command line, or each line of standard input, as a program of the mail system would: to syslog
//! or the postlog service as main.cf says, and to standard error. `-p` is info, warn, warning, error, fatal or panic in
//! upper or lower case; whatever it is, the exit status is 0, after a pause of a second for the last two. `-t` sets the
//! tag in place of `postfix/postlog`, `-i` is accepted: lines always carry the process id.
//!
//! # Privilege
//! The caller's, and the group `$setgid_group`, to which the socket of the log belongs.
//!
//! # Diagnostics
//! Exit status 1: the command line or main.cf cannot be understood.

mod request;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run("postlog", run::run)
}
