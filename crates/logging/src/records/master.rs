//! What master says of the mail system as a whole, and of processes that end as they should not.

use std::fmt;

use crate::record::{ALWAYS, records};

records! {
    program "master";

    /// The mail system is up.
    Started: Info "started" {
        /// mail_version.
        version: String,
        /// The configuration directory.
        configuration: String,
    }
    members(line) {
        version: Text, ALWAYS, "The value of mail_version." = &line.version;
        configuration: Text, ALWAYS, "The configuration directory." = &line.configuration;
    }
    example { version: "3.11.6".to_owned(), configuration: "/etc/postfix".to_owned(), }

    /// The configuration is read again; a line of severity `error` follows if it cannot be used.
    Reload: Info "reload" {
        /// mail_version.
        version: String,
        /// The configuration directory.
        configuration: String,
    }
    members(line) {
        version: Text, ALWAYS, "The value of mail_version." = &line.version;
        configuration: Text, ALWAYS, "The configuration directory." = &line.configuration;
    }
    example { version: "3.11.6".to_owned(), configuration: "/etc/postfix".to_owned(), }

    /// The mail system stops.
    Terminating: Info "terminating" {
        /// The signal; none where its time was limited (`master -e`).
        signal: Option<u32>,
    }
    members(line) {
        signal: Integer, "if it was told to", "The number of the signal; 15 by `postfix stop`." = line.signal;
    }
    example { signal: Some(15), }

    /// A process of a service has ended by an error or a signal.
    ProcessEnded: Warning "process_ended" {
        /// The path of the program.
        program: String,
        /// Its number.
        process_id: u32,
        /// How it ended.
        end: End,
    }
    members(line) {
        program: Text, ALWAYS, "The path of the program." = &line.program;
        process_id: Integer, ALWAYS, "The number of the process." = line.process_id;
        exit_status: Integer, "if it ended by itself", "Its exit status." = line.end.status();
        signal: Integer, "if a signal ended it", "The number of the signal." = line.end.signal();
    }
    example {
        program: "/usr/lib/postfix/sbin/smtpd".to_owned(),
        process_id: 4720,
        end: End::Signal(11),
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// By itself, with this status.
    Status(u32),
    /// By this signal.
    Signal(u32),
}

impl End {
    fn status(self) -> Option<u32> {
        if let Self::Status(status) = self { Some(status) } else { None }
    }

    fn signal(self) -> Option<u32> {
        if let Self::Signal(signal) = self { Some(signal) } else { None }
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "daemon started -- version {}, configuration {}", self.version, self.configuration)
    }
}

impl fmt::Display for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reload -- version {}, configuration {}", self.version, self.configuration)
    }
}

impl fmt::Display for Terminating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.signal {
            Some(signal) => write!(f, "terminating on signal {signal}"),
            None => f.write_str("master exit time has arrived"),
        }
    }
}

impl fmt::Display for ProcessEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} pid {} ", self.program, self.process_id)?;
        match self.end {
            End::Status(status) => write!(f, "exit status {status}"),
            End::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_is_its_status_or_a_signal() {
        let ended = |end| ProcessEnded { program: "/x/smtpd".to_owned(), process_id: 7, end }.to_string();
        assert_eq!(ended(End::Status(1)), "process /x/smtpd pid 7 exit status 1");
        assert_eq!(ended(End::Signal(9)), "process /x/smtpd pid 7 killed by signal 9");
        let terminating = |signal| Terminating { signal }.to_string();
        assert_eq!(
            [terminating(Some(15)), terminating(None)],
            ["terminating on signal 15", "master exit time has arrived"]
        );
    }
}
