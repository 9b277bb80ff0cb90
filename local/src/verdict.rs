//! What a carrier's facts mean for the mail: the texts and codes that operators know.

use delivery::{Finding, Verdict};
use dsn::Status;
use ipc::carrier::{Done, Ending, WriteProblem};
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
    },
}

/// Delivered.
pub fn sent(reason: impl Into<String>) -> Finding {
    Finding::sent(Status::new(2, 0, 0), reason, RELAY)
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
        (Done::Delivered { .. }, Attempt::Command { line }) => sent(format!("delivered to command: {line}")),
        (Done::NotWritten(problem), attempt) => not_written(attempt, problem),
        (Done::Command { ending, output }, Attempt::Command { line }) => command(line, *ending, output),
        (Done::Command { ending, output }, _) => command("", *ending, output),
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
    with_diagnostic(finding, "input/output error")
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

/// A command that did not end with status 0.
fn command(line: &str, ending: Ending, output: &[u8]) -> Finding {
    let output = shown(output);
    let finding = match ending {
        Ending::TimedOut => bounced(3, 0, with_output(&format!("Command time limit exceeded: \"{line}\""), &output)),
        Ending::Signal(signal) => {
            deferred(3, 0, with_output(&format!("Command died with signal {signal}: \"{line}\""), &output))
        }
        Ending::NotStarted => deferred(3, 0, with_output("temporary failure", &output)),
        Ending::Status(status) => return status_finding(line, status, &output),
    };
    let said = if output.is_empty() { finding.reason.clone() } else { output };
    with_diagnostic(finding, &said)
}

/// An enhanced status code at the start of the output counts more than the exit status.
fn status_finding(line: &str, status: i32, output: &str) -> Finding {
    let none = Status::new(2, 0, 0);
    let (code, text) = Status::split_text(output, none);
    if code != none && !code.is_success() {
        return with_diagnostic(Finding::from_status(code, text, RELAY), text);
    }
    let known = SYSEXITS.iter().find(|(number, ..)| *number == status);
    let (code, text) = match known {
        Some((_, code, text)) => (*code, (*text).to_owned()),
        None => (Status::new(5, 3, 0), format!("Command died with status {status}: \"{line}\"")),
    };
    let said = if output.is_empty() { text.clone() } else { output.to_owned() };
    with_diagnostic(Finding::from_status(code, with_output(&text, output), RELAY), &said)
}

/// The exit codes of sysexits.h.
const SYSEXITS: [(i32, Status, &str); 15] = [
    (64, Status::new(5, 3, 0), "command line usage error"),
    (65, Status::new(5, 6, 0), "data format error"),
    (66, Status::new(5, 3, 0), "cannot open input"),
    (67, Status::new(5, 1, 1), "user unknown"),
    (68, Status::new(5, 1, 2), "host name unknown"),
    (69, Status::new(5, 3, 0), "service unavailable"),
    (70, Status::new(5, 3, 0), "internal software error"),
    (71, Status::new(4, 3, 0), "system resource problem"),
    (72, Status::new(5, 3, 0), "critical OS file missing"),
    (73, Status::new(5, 2, 0), "can't create user output file"),
    (74, Status::new(5, 3, 0), "input/output error"),
    (75, Status::new(4, 3, 0), "temporary failure"),
    (76, Status::new(5, 5, 0), "remote error in protocol"),
    (77, Status::new(5, 7, 0), "permission denied"),
    (78, Status::new(5, 3, 5), "local configuration error"),
];

fn with_output(text: &str, output: &str) -> String {
    if output.is_empty() { text.to_owned() } else { format!("{text}. Command output: {output}") }
}

/// A command's output on one line: line ends are blanks, what cannot be printed is `_`.
fn shown(output: &[u8]) -> String {
    let one_line: Vec<u8> = output
        .iter()
        .map(|&b| match b {
            b'\n' | b'\r' | b'\t' => b' ',
            b if b < b' ' || b == 0x7f => b'_',
            b => b,
        })
        .collect();
    text::printable(&one_line)
}

fn with_diagnostic(finding: Finding, text: &str) -> Finding {
    if finding.verdict == Verdict::Sent { finding } else { finding.with_diagnostic("x-unix", text.trim_end()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(attempt: &Attempt<'_>, done: &Done) -> String {
        let finding = of(attempt, done);
        format!("{} {}", finding.status, finding.reason)
    }

    fn ran(status: i32, output: &str) -> String {
        let done = Done::Command { ending: Ending::Status(status), output: output.into() };
        said(&Attempt::Command { line: "exit 3" }, &done)
    }

    #[test]
    fn commands_are_reported_as_postfix_does() {
        assert_eq!(ran(3, ""), "5.3.0 Command died with status 3: \"exit 3\"");
        assert_eq!(ran(75, "some output\n"), "4.3.0 temporary failure. Command output: some output ");
        assert_eq!(ran(67, "5.7.7 xx\nsecond\n"), "5.7.7 xx second ");
        assert_eq!(ran(67, ""), "5.1.1 user unknown");
        let killed = Done::Command { ending: Ending::Signal(9), output: vec![] };
        assert_eq!(said(&Attempt::Command { line: "x" }, &killed), "4.3.0 Command died with signal 9: \"x\"");
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
