//! What a carrier's facts mean for the mail: the texts and codes that operators know.

use delivery::ending::with_diagnostic;
use delivery::{Finding, WRITING};
use dsn::Status;
use ipc::carrier::{Done, WriteProblem};
use nix::errno::Errno;

/// A mailbox that was to be written.
pub struct Attempt<'a> {
    /// The name of the service.
    pub relay: &'a str,
    /// The recipient.
    pub address: &'a str,
    /// The mailbox.
    pub path: &'a str,
    /// Whose rights it had: user and group.
    pub ids: (u32, u32),
}

impl Attempt<'_> {
    /// The finding about a delivery that a carrier has tried.
    pub fn finding(&self, done: &Done) -> Finding {
        match done {
            Done::Delivered { .. } => {
                let kind = if self.is_maildir() { "maildir" } else { "mailbox" };
                Finding::sent(Status::new(2, 0, 0), format!("delivered to {kind}"), self.relay)
            }
            Done::NotWritten(problem) => self.not_written(problem),
            // Nobody has asked for one.
            Done::Command { .. } => Finding::deferred(Status::new(4, 3, 0), "temporary failure", self.relay),
        }
    }

    fn is_maildir(&self) -> bool {
        self.path.ends_with('/')
    }

    fn not_written(&self, problem: &WriteProblem) -> Finding {
        let path = self.path;
        let (why, status) = match problem {
            WriteProblem::NotOwned => {
                logging::warning!("specify \"strict_mailbox_ownership = no\" to ignore mailbox ownership mismatch");
                (format!("destination {path} is not owned by recipient"), Status::new(4, 2, 0))
            }
            WriteProblem::NotRegular => {
                logging::warning!("recipient {}: destination {path} is not a regular file", self.address);
                return Finding::bounced(Status::new(5, 3, 5), "mail system configuration error", self.relay);
            }
            WriteProblem::Executable => ("file is executable".to_owned(), Status::new(4, 2, 0)),
            WriteProblem::Link => ("file is a symbolic link".to_owned(), Status::new(4, 2, 0)),
            WriteProblem::HardLinks(count) => (format!("file has {count} hard links"), Status::new(4, 2, 0)),
            WriteProblem::System { what, code } => {
                let error = text::system_error(&std::io::Error::from_raw_os_error(*code));
                let what = text::printable(what.as_bytes());
                if self.is_maildir() && *code == Errno::EACCES as i32 {
                    let (uid, gid) = self.ids;
                    logging::warning!("maildir access problem for UID/GID={uid}/{gid}: {what}: {error}");
                    logging::warning!("perhaps you need to create the maildirs in advance");
                }
                (format!("{what}: {error}"), status(&what, *code))
            }
        };
        let failed = if self.is_maildir() {
            "maildir delivery failed".to_owned()
        } else {
            format!("delivery failed to mailbox {path}")
        };
        let finding = Finding::from_status(status, format!("{failed}: {why}"), self.relay);
        match problem {
            WriteProblem::System { what, .. } if what == WRITING => with_diagnostic(finding, "input/output error"),
            _ => finding,
        }
    }
}

/// A message that could not be written has failed, unless that may pass; what could not be opened waits for its
/// administrator.
fn status(what: &str, code: i32) -> Status {
    match Errno::from_raw(code) {
        _ if what != WRITING => Status::new(4, 2, 0),
        Errno::EFBIG | Errno::EDQUOT => Status::new(5, 2, 2),
        Errno::ENOSPC => Status::new(4, 3, 0),
        Errno::EAGAIN | Errno::ESTALE => Status::new(4, 2, 0),
        _ => Status::new(5, 3, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str, problem: WriteProblem) -> String {
        let attempt = Attempt { relay: "virtual", address: "a@v.test", path, ids: (5000, 5000) };
        let finding = attempt.finding(&Done::NotWritten(problem));
        format!("{} {}", finding.status, finding.reason)
    }

    fn system(what: &str, code: i32) -> WriteProblem {
        WriteProblem::System { what: what.to_owned(), code }
    }

    #[test]
    fn mailboxes_are_reported_as_postfix_does() {
        assert_eq!(
            said("/srv/v/big", system("error writing message", 27)),
            "5.2.2 delivery failed to mailbox /srv/v/big: error writing message: File too large"
        );
        assert_eq!(
            said("/srv/v", system("cannot open file", 21)),
            "4.2.0 delivery failed to mailbox /srv/v: cannot open file: Is a directory"
        );
        assert_eq!(
            said("/srv/v", WriteProblem::Link),
            "4.2.0 delivery failed to mailbox /srv/v: file is a symbolic link"
        );
        assert_eq!(said("/srv/v", WriteProblem::NotRegular), "5.3.5 mail system configuration error");
        assert_eq!(
            said("/srv/v/", system("create maildir file /srv/v/tmp/1", 13)),
            "4.2.0 maildir delivery failed: create maildir file /srv/v/tmp/1: Permission denied"
        );
        assert_eq!(
            said("/srv/v/", system("error writing message", 28)),
            "4.3.0 maildir delivery failed: error writing message: No space left on device"
        );
    }
}
