//! sendmail, mailq, newaliases - hand in mail, list the queue, rebuild the alias database
//!
//! # Synopsis
//! `sendmail [options] [recipient...]`, `mailq`, `newaliases`
//!
//! # Description
//! The command by which every program on a Unix system sends mail. It reads a message from standard input and hands it
//! to `postdrop`, which has the rights for it; this program has none.
//!
//! - `-t`: recipients from the header. `-i`, `-oi`: a line with a single dot is text.
//! - `-f`, `-r sender`; `-F full_name`; `-G`: mail that is passed on, not written here.
//! - `-N success,failure,delay|never`, `-R full|hdrs`, `-V envid`: delivery status notifications.
//! - `-B 7BIT|8BITMIME`; `-XV[xy]`: a return path a recipient. `-v`: mail a report of the delivery;
//!   `-bv`: of what would be delivered, without doing it.
//! - `-bp` (mailq): list the queue. `-bi`, `-I` (newaliases): rebuild `$alias_database`, or `-oA`.
//! - `-q`, `-qIid`, `-qRsite`: deliver now, by `postqueue`. `-bd`: start the mail system, by `postfix`.
//! - `-bs`: SMTP on standard input and output, as the SMTP server speaks it, but without its restrictions, TLS and
//!   logins: what is taken is the caller's mail, and goes to `postdrop`. The log has the session under the name of
//!   smtpd.
//! - `-C config_dir`. All other letters of sendmail are accepted and ignored.
//!
//! # Privilege
//! That of the caller. Must never be installed with more.
//!
//! # Diagnostics
//! Problems go to standard error and the log. Exit status 0: the message is on disk, whether or not the mail system
//! runs. 75: it was not taken, try again.

mod content;
mod options;
mod postdrop;
mod recipients;
mod run;
mod stand_alone;
mod submit;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run("sendmail", run::run)
}
