//! postlogd - the log file of the mail system
//!
//! # Synopsis
//! `postlogd [daemon options]`, started by master for the entry `postlog unix-dgram n - n - 1 postlogd`
//!
//! # Description
//! Receives one log line a datagram on `public/postlog` and appends it to maillog_file. Without maillog_file it passes the
//! lines on to syslog, so that a program that was told to use this service never loses one.
//! A line comes from a program of any local user: it is cut at 4096 bytes and made printable again before it is written.
//!
//! # Privilege
//! Opens the file as root, then runs as $mail_owner.
//!
//! # Diagnostics
//! Lines that cannot be written to the file go to syslog, and the reason with the first of them.

mod file;
mod relay;

use std::cell::Cell;
use std::process::ExitCode;

use daemon::{Context, Lifetime, Network, Privilege, Service, Skeleton, StartError, Worker};

use crate::file::LogFile;
use crate::relay::Refuge;

/// What this daemon is and may do.
pub static SERVICE: Service = Service {
    name: "postlogd",
    skeleton: Skeleton::Datagram,
    lifetime: Lifetime::Endless,
    privilege: Privilege::MailOwner,
    why: "writes the log file",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<Postlogd>(&SERVICE)
}

/// Most bytes of one line that are used.
/// told: nobody; lines of ours are shorter, of what others send the start is kept.
const MAX_LINE: usize = 4096;

enum Postlogd {
    File {
        file: LogFile,
        refuge: Refuge,
        /// The last line could not be written.
        stuck: Cell<bool>,
    },
    Syslog,
}

impl Worker for Postlogd {
    fn start(context: &Context) -> Result<Self, StartError> {
        // maillog_file
        Ok(match context.config.log_file()? {
            None => Self::Syslog,
            Some(file) => {
                let file = LogFile::open(&file)?;
                Self::File { file, refuge: Refuge::new(), stuck: Cell::new(false) }
            }
        })
    }

    fn datagram(&self, bytes: &[u8]) {
        let line = text::printable(&bytes[..bytes.len().min(MAX_LINE)]);
        match self {
            Self::File { file, refuge, stuck } => write(file, refuge, stuck, &line),
            Self::Syslog => logging::pass_on(relay::in_syslog_form(&line)),
        }
    }
}

fn write(file: &LogFile, refuge: &Refuge, stuck: &Cell<bool>, line: &str) {
    let written = file.append(line);
    let was_stuck = stuck.replace(written.is_err());
    let Err(error) = written else { return };
    if !was_stuck {
        let why = text::system_error(&error);
        refuge.warn(&format!("write {}: {why} -- lines go to syslog until it is possible", file.path()));
    }
    refuge.take(line);
}
