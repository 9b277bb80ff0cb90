//! postqueue - list and flush the queue
//!
//! # Synopsis
//! `postqueue [-v] [-c config_dir] -f|-p|-j|-i queue_id|-s site`
//!
//! # Description
//! What users may do with the queue; postsuper is for root.
//!
//! - `-p`: the traditional list. `-j`: the list as JSON, one object a line.
//! - `-f`: try to deliver everything now. `-i queue_id`: this message. `-s site`: all that waits for a
//!   site, by the flush service.
//! - `-c config_dir`: as with postdrop. `-v`: accepted.
//!
//! # Privilege
//! Set-group-id to `$setgid_group`, which may connect to `public/`. `authorized_mailq_users` and
//! `authorized_flush_users` say who may.
//!
//! # Peers
//! `public/showq`, `public/qmgr`, `public/pickup`, `public/flush`. When the mail system is down and the caller is root,
//! it runs showq itself.
//!
//! # Diagnostics
//! Exit status 69: it is not done, whatever the reason, which is on standard error and in the log.

mod failure;
mod flush;
mod json;
mod list;
mod request;
mod run;
mod traditional;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run("postqueue", run::run)
}
