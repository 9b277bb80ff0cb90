//! postdrop - put a message into the maildrop queue
//!
//! # Synopsis
//! `postdrop [-rv] [-c config_dir]`
//!
//! # Description
//! Reads a message as queue file records from standard input, writes it to a file in `maildrop`, and reports on
//! standard output: first the name of the message, last the status. `sendmail` runs it; with pickup down, mail waits in
//! maildrop.
//!
//! - `-r`: the protocol above, the only one there is; accepted for compatibility.
//! - `-c config_dir`: where main.cf is. Callers who gain rights through this program may name only
//!   directories that `alternate_config_directories` of the default main.cf lists.
//! - `-v`: accepted.
//!
//! # Privilege
//! Set-group-id to `$setgid_group`, which may write to maildrop and connect to `public/pickup`. It reads a local user's
//! bytes with that group's rights and therefore does nothing else: no tables but those of who may submit
//! (`authorized_submit_users`) and as whom (`local_login_sender_maps`), no network, no event loop.
//!
//! # Peers
//! `public/pickup` (a trigger).
//!
//! # Diagnostics
//! Problems go to standard error and to the log. A message whose input ends early is removed without a word. The exit
//! status is the status reported: bits as cleanup has them, 1 for a message without sender or recipient, 4 for one that
//! is too large.

mod filter;
mod maildrop;
mod run;
mod sender;
mod submit;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run("postdrop", run::run)
}
