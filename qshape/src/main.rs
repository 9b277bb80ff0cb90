//! qshape - show how old the mail of the queue is, by domain
//!
//! # Synopsis
//! `qshape [-s] [-p] [-m min_subdomains] [-b bucket_count] [-t bucket_time] [-l] [-w terminal_width]
//! [-N batch_msg_count] [-n batch_top_domains] [-c config_dir] [queue_name ...]`
//!
//! # Description
//! Counts the recipients that still wait in the incoming and active queues, or in those that are named, by domain and
//! by how long their message has been here: a column has those younger than the minutes above it and no younger than
//! those to its left, the last column all others. A queue is named as its directory in the queue directory, or by an
//! absolute path. A destination that is in trouble shows as a row whose right end is heavy.
//!
//! * `-s`: messages by the domain of their sender; those without one count for MAILER-DAEMON.
//! * `-p`: also rows of parent domains, with a leading dot, below top-level domains, that have at least `-m` names (5)
//!   right below them.
//! * `-b`: columns (10). `-t`: minutes of the first one (5); the next ones are twice as wide each, with `-l` as wide.
//! * `-w`: columns of the screen, 80 and more. A name that does not fit keeps its end.
//! * On a terminal the counts so far are shown after every `-N` messages (1000), and only the first `-n` domains (20).
//!
//! # Privilege
//! The caller's, who can read the queue: root or `$mail_owner`.
//!
//! # Peers
//! None.
//!
//! # Diagnostics
//! Exit status 1: the command line or main.cf cannot be understood, or something in a queue cannot be read, which is
//! said in a warning.

mod counts;
mod layout;
mod request;
mod run;
mod survey;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run("qshape", run::run)
}
