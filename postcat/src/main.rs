//! postcat - show the contents of queue files
//!
//! # Synopsis
//! `postcat [-bdefhoqrv] [-c config_dir] [-s offset] [files...]`
//!
//! # Description
//! Prints the named queue files, or standard input, in readable form: envelope and content, or the parts that are asked
//! for.
//!
//! - `-b`: the body. `-h`: the header. `-e`: the envelope. Default: all of them.
//! - `-f`: the name of the file before each record. `-o`: the offset of each record before it. `-d`: the number of its
//!   type.
//! - `-q`: the operands are queue identifiers; the files are looked for in the queue.
//! - `-r`: records in file order; pointers are shown, not followed.
//! - `-s offset`: start at this offset.
//! - `-c config_dir`: where main.cf is. `-v`: accepted.
//!
//! # Privilege
//! That of the caller, who must be able to read the files: mail in the queue belongs to `$mail_owner`.
//!
//! # Diagnostics
//! Problems go to standard error. The exit status is 1 when a file cannot be opened or is damaged.

mod input;
mod request;
mod run;
mod view;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run("postcat", run::run)
}
