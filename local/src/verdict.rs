//! What a carrier's facts mean for the mail: the texts and codes that operators know.

use delivery::ending::{Ran, with_diagnostic};
use delivery::{Finding, WRITING};
use dsn::Status;
use ipc::carrier::{Done, WriteProblem};
use nix::errno::Errno;

/// `relay=` of every line of this agent.
pub const RELAY: &str = "local";

/// Whether an error of the system says something about now, and nothing about the recipient.
pub fn may_pass(code: i32) -> bool {
    use Errno::*;
    const PASSING: [Errno; 18] = [
        EINTR, EIO, EAGAIN, ENOMEM, EBUSY, EEXIST, ENODEV, ENFILE, EMFILE, ETXTBSY, ENOSPC, EROFS, ENOLCK, EDEADLK,
        ESTALE, ETIMEDOUT, EHOSTDOWN, ENOBUFS,
    ];
    PASSING.contains(&Errno::from_raw(code))
}

/// What was attempted.
pub enum Attempt<'a> {
    /// A user's mailbox file.
    Mailbox {
        /// The file.
        path: &'a str,
        /// The user.
        user: &'a str,
    },
    /// A maildir.
    Maildir {
        /// Whose rights the carrier has: user and group.
        ids: (u32, u32),
    },
    /// A file that an alias or .forward names.
    File {
        /// The file.
        path: &'a str,
    },
    /// A command.
    Command {
        /// As written.
        line: &'a str,
        /// Where it was to run.
        directory: &'a str,
        /// Whose rights it had: user and group.
        ids: (u32, u32),
    },
}

/// Delivered.
pub fn sent(reason: impl Into<String>) -> Finding {
    Finding::sent(Status::new(2, 0, 0), reason, RELAY)
}

/// Neither alias nor user.
pub fn unknown(name: &[u8]) -> Finding {
    bounced(1, 1, format!("unknown user: \"{}\"", text::printable(name)))
}

/// To be tried again; the class of the code is 4.
pub fn deferred(subject: u16, detail: u16, reason: impl Into<String>) -> Finding {
    Finding::deferred(Status::new(4, subject, detail), reason, RELAY)
}

/// Failed; the class of the code is 5.
pub fn bounced(subject: u16, detail: u16, reason: impl Into<String>) -> Finding {
    Finding::bounced(Status::new(5, subject, detail), reason, RELAY)
}

/// The finding about a delivery that a carrier has tried.
pub fn of(attempt: &Attempt<'_>, done: &Done) -> Finding {
    match (done, attempt) {
        (Done::Delivered { .. }, Attempt::Mailbox { .. }) => sent("delivered to mailbox"),
        (Done::Delivered { .. }, Attempt::Maildir { .. }) => sent("delivered to maildir"),
        (Done::Delivered { .. }, Attempt::File { path }) => sent(format!("delivered to file: {path}")),
        (Done::Delivered { .. }, Attempt::Command { line, .. }) => sent(format!("delivered to command: {line}")),
        (Done::NotWritten(problem), attempt) => not_written(attempt, problem),
        (Done::Command { ending, output }, attempt) => {
            let (command, directory, ids) = match *attempt {
                Attempt::Command { line, directory, ids } => (line, directory, ids),
                _ => ("", "", (0, 0)),
            };
            let starter = "";
            Ran { program: crate::SERVICE.name, relay: RELAY, command, starter, directory, ids }
                .finding(*ending, output)
        }
    }
}

fn not_written(attempt: &Attempt<'_>, problem: &WriteProblem) -> Finding {
    advise(attempt, problem);
    let (start, path) = match attempt {
        Attempt::Mailbox { path, user } => (format!("cannot update mailbox {path} for user {user}. "), *path),
        Attempt::Maildir { .. } => ("maildir delivery failed: ".to_owned(), ""),
        Attempt::File { path } => (format!("cannot append message to file {path}: "), *path),
        Attempt::Command { .. } => (String::new(), ""),
    };
    let finding = match problem {
        WriteProblem::NotOwned => deferred(2, 0, format!("{start}destination {path} is not owned by recipient")),
        WriteProblem::NotRegular => bounced(2, 0, format!("{start}destination {path} is not a regular file")),
        WriteProblem::Executable => bounced(7, 1, format!("{start}file is executable")),
        WriteProblem::Link => bounced(2, 0, format!("{start}file is a symbolic link")),
        WriteProblem::HardLinks(count) => bounced(2, 0, format!("{start}file has {count} hard links")),
        WriteProblem::System { what, code } => {
            let error = text::system_error(&std::io::Error::from_raw_os_error(*code));
            let reason = format!("{start}{}: {error}", text::printable(what.as_bytes()));
            match Errno::from_raw(*code) {
                Errno::ENOSPC | Errno::EIO => deferred(3, 0, reason),
                Errno::EFBIG | Errno::EDQUOT => bounced(2, 2, reason),
                _ if may_pass(*code) => deferred(2, 0, reason),
                _ => bounced(2, 0, reason),
            }
        }
    };
    match problem {
        WriteProblem::System { what, .. } if what == WRITING => with_diagnostic(finding, "input/output error"),
        _ => finding,
    }
}

/// What an administrator can do about it.
fn advise(attempt: &Attempt<'_>, problem: &WriteProblem) {
    match (attempt, problem) {
        (Attempt::Maildir { ids: (uid, gid) }, WriteProblem::System { what, code })
            if *code == Errno::EACCES as i32 =>
        {
            let (what, error) = (text::printable(what.as_bytes()), std::io::Error::from_raw_os_error(*code));
            let error = text::system_error(&error);
            logging::warning!("maildir access problem for UID/GID={uid}/{gid}: {what}: {error}");
            logging::warning!("perhaps you need to create the maildirs in advance");
        }
        (Attempt::Mailbox { .. }, WriteProblem::NotOwned) => {
            logging::warning!("specify \"strict_mailbox_ownership = no\" to ignore mailbox ownership mismatch");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use delivery::Verdict;

    use super::*;

    fn said(attempt: &Attempt<'_>, done: &Done) -> String {
        let finding = of(attempt, done);
        format!("{} {}", finding.status, finding.reason)
    }

    #[test]
    fn files_are_reported_as_postfix_does() {
        let full = Done::NotWritten(WriteProblem::System { what: "error writing message".into(), code: 27 });
        assert_eq!(
            said(&Attempt::Mailbox { path: "/var/mail/b", user: "b" }, &full),
            "5.2.2 cannot update mailbox /var/mail/b for user b. error writing message: File too large"
        );
        let denied = Done::NotWritten(WriteProblem::System { what: "cannot open file".into(), code: 13 });
        assert_eq!(
            said(&Attempt::File { path: "/secret/x" }, &denied),
            "5.2.0 cannot append message to file /secret/x: cannot open file: Permission denied"
        );
        let executable = Done::NotWritten(WriteProblem::Executable);
        assert_eq!(
            said(&Attempt::File { path: "/x" }, &executable),
            "5.7.1 cannot append message to file /x: file is executable"
        );
    }

    #[test]
    fn a_lock_that_others_hold_defers() {
        let what = "unable to create lock file /var/mail/b.lock".to_owned();
        let locked = Done::NotWritten(WriteProblem::System { what, code: 17 });
        let finding = of(&Attempt::Mailbox { path: "/var/mail/b", user: "b" }, &locked);
        assert_eq!((finding.verdict, finding.status.to_string()), (Verdict::Deferred, "4.2.0".into()));
    }
}
