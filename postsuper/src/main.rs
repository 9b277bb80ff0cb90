//! postsuper - repair the queue, and change messages in it
//!
//! # Synopsis
//! `postsuper [-psSv] [-c config_dir] [-d|-e|-f|-h|-H|-r queue_id|ALL|-] [queue...]`
//!
//! # Description
//! - `-s`: files whose name does not match their inode are renamed, files at the wrong place are
//!   moved, subdirectories that are not needed are removed. `-S`: the same, also for long names.
//! - `-p`: incomplete files older than a week are removed. Without options: `-s -p`.
//! - `-d`: delete a message. `-h`: put it on hold. `-H`: release it. `-r`: queue it anew.
//!   `-e`: its next attempt is its last. `-f`: the same, and release it.
//!   `ALL` means all messages, `-` identifiers from standard input. Incomplete files are never
//!   touched by these: someone is writing them.
//! - Operands: the queues to work on. `-c config_dir`: where main.cf is. `-v`: accepted.
//!
//! Structure comes first, then the other options in the order in which they are listed here.
//!
//! # Privilege
//! Started as root, it becomes `$mail_owner` before it looks at the queue: nothing here needs root. Otherwise the
//! caller must own the queue.
//!
//! # Diagnostics
//! One line for each message that was named and changed, and totals, on standard error and in the log.

mod messages;
mod place;
mod repair;
mod request;
mod run;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run("postsuper", run::run)
}
