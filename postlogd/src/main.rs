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
//! A line that cannot be written goes to standard error, with the reason.

mod file;
mod relay;

use std::process::ExitCode;

use config::param;
use daemon::{Context, Network, Privilege, Service, Skeleton, StartError, Worker};

use crate::file::LogFile;

/// What this daemon is and may do.
pub static SERVICE: Service = Service {
    name: "postlogd",
    skeleton: Skeleton::Datagram,
    privilege: Privilege::MailOwner,
    why: "writes the log file",
    peers: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<Postlogd>(&SERVICE)
}

/// Most bytes of one line that are used.
const MAX_LINE: usize = 4096;

enum Postlogd {
    File(LogFile),
    Syslog,
}

impl Worker for Postlogd {
    fn start(context: &Context) -> Result<Self, StartError> {
        // maillog_file
        let path = context.config.get(param::MAILLOG_FILE)?;
        Ok(match path.as_str() {
            "" => Self::Syslog,
            path => Self::File(LogFile::open(path, &context.config)?),
        })
    }

    fn datagram(&self, bytes: &[u8]) {
        let line = text::printable(&bytes[..bytes.len().min(MAX_LINE)]);
        match self {
            Self::File(file) => file.append(&line),
            Self::Syslog => logging::pass_on(relay::in_syslog_form(&line)),
        }
    }
}
