//! What the end of a command means for the mail: the texts and codes that operators know.

use dsn::Status;
use ipc::carrier::Ending;
use logging::Severity;

use crate::{Finding, Verdict};

/// A command that has been run, as log lines and reports name it.
pub struct Ran<'a> {
    /// The program that had it run.
    pub program: &'a str,
    /// `relay=`.
    pub relay: &'a str,
    /// The command, or its first word.
    pub command: &'a str,
    /// What stands before the error of a command that is not there, in Postfix's words.
    pub starter: &'a str,
    /// Where it was to run.
    pub directory: &'a str,
    /// Whose rights it had: user and group.
    pub ids: (u32, u32),
}

impl Ran<'_> {
    /// What it means that the command did not end with status 0.
    pub fn finding(&self, ending: Ending, output: &[u8]) -> Finding {
        let (output, command) = (one_line(output), self.command);
        let bounced = |text: String| Finding::bounced(Status::new(5, 3, 0), text, self.relay);
        let deferred = |text: String| Finding::deferred(Status::new(4, 3, 0), text, self.relay);
        let finding = match ending {
            Ending::TimedOut => bounced(with_output(&format!("Command time limit exceeded: \"{command}\""), &output)),
            Ending::Signal(signal) => {
                deferred(with_output(&format!("Command died with signal {signal}: \"{command}\""), &output))
            }
            Ending::NotStarted => {
                let why = format!("{}{output}", self.starter);
                logging::emit_text(Severity::Fatal, format_args!("{why}"));
                let said = format!("{}: fatal: {why} ", self.program);
                return with_diagnostic(deferred(with_output("temporary failure", &said)), &said);
            }
            Ending::NoDirectory(code) => {
                let error = text::system_error(&std::io::Error::from_raw_os_error(code));
                let (directory, (uid, gid)) = (self.directory, self.ids);
                let what = format_args!("cannot change directory to \"{directory}\" for uid={uid} gid={gid}: {error}");
                logging::emit_text(Severity::Fatal, what);
                return with_diagnostic(deferred("temporary failure".to_owned()), "temporary failure");
            }
            Ending::Status(status) => return self.status_finding(status, &output),
        };
        // As EX_SOFTWARE has it.
        with_diagnostic(finding, if output.is_empty() { "internal software error" } else { &output })
    }

    /// An enhanced status code at the start of the output counts more than the exit status.
    fn status_finding(&self, status: i32, output: &str) -> Finding {
        if let Some((code, length)) = Status::prefix(output.as_bytes()) {
            let text = output[length..].trim_start_matches(' ');
            let code = match code.class() {
                2 => {
                    logging::warning!("bounce_append: ignoring dsn code \"{code}\"");
                    Status::new(5, 0, 0)
                }
                _ => code,
            };
            return with_diagnostic(Finding::from_status(code, text, self.relay), text);
        }
        let known = SYSEXITS.iter().find(|(number, ..)| *number == status);
        let (code, text, unexplained) = match known {
            Some((_, code, text)) => (*code, (*text).to_owned(), (*text).to_owned()),
            None => (
                Status::new(5, 3, 0),
                format!("Command died with status {status}: \"{}\"", self.command),
                format!("unknown mail system error {status}"),
            ),
        };
        let said = if output.is_empty() { &unexplained } else { output };
        with_diagnostic(Finding::from_status(code, with_output(&text, output), self.relay), said)
    }
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

/// A command's output on one line: newlines and tabs are blanks, what cannot be printed is `_`, and so is what is no
/// text.
pub fn one_line(output: &[u8]) -> String {
    let mut one_line = String::with_capacity(output.len());
    for chunk in output.utf8_chunks() {
        one_line.extend(chunk.valid().chars().map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() => '_',
            c => c,
        }));
        one_line.extend(chunk.invalid().iter().map(|_| '_'));
    }
    one_line
}

/// The finding with the words that a report gives for a failure.
pub fn with_diagnostic(finding: Finding, text: &str) -> Finding {
    if finding.verdict == Verdict::Sent { finding } else { finding.with_diagnostic("x-unix", text.trim()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAN: Ran<'_> =
        Ran { program: "pipe", relay: "cat", command: "exit 3", starter: "exec: ", directory: "/x", ids: (1, 2) };

    fn said(ending: Ending, output: &str) -> String {
        let finding = RAN.finding(ending, output.as_bytes());
        format!("{:?} {} {}", finding.verdict, finding.status, finding.reason)
    }

    #[test]
    fn commands_are_reported_as_postfix_does() {
        assert_eq!(said(Ending::Status(3), ""), "Bounced 5.3.0 Command died with status 3: \"exit 3\"");
        let words = "Deferred 4.3.0 temporary failure. Command output: some output ";
        assert_eq!(said(Ending::Status(75), "some output\n"), words);
        assert_eq!(said(Ending::Status(67), ""), "Bounced 5.1.1 user unknown");
        assert_eq!(said(Ending::Signal(9), ""), "Deferred 4.3.0 Command died with signal 9: \"exit 3\"");
        assert_eq!(said(Ending::TimedOut, ""), "Bounced 5.3.0 Command time limit exceeded: \"exit 3\"");
    }

    #[test]
    fn a_code_in_the_output_counts_more_than_the_exit_status_unless_it_is_one_of_success() {
        assert_eq!(said(Ending::Status(67), "5.7.7 xx\nsecond\n"), "Bounced 5.7.7 xx second ");
        assert_eq!(said(Ending::Status(1), "4.7.1 try later"), "Deferred 4.7.1 try later");
        assert_eq!(said(Ending::Status(9), "4.7.1\n"), "Deferred 4.7.1 ");
        assert_eq!(said(Ending::Status(9), "5.7.1 a\tb\r\n"), "Bounced 5.7.1 a b_ ");
        assert_eq!(said(Ending::Status(1), "2.0.0 fine"), "Bounced 5.0.0 fine");
        let none = "Bounced 5.3.0 Command died with status 1: \"exit 3\". Command output: 5.1.1extra ";
        assert_eq!(said(Ending::Status(1), "5.1.1extra\n"), none);
    }

    #[test]
    fn a_command_that_does_not_start_says_why_in_its_output() {
        let why = "Deferred 4.3.0 temporary failure. Command output: pipe: fatal: exec: execvp /x: No ";
        assert_eq!(said(Ending::NotStarted, "execvp /x: No"), why);
        assert_eq!(said(Ending::NoDirectory(2), ""), "Deferred 4.3.0 temporary failure");
    }

    #[test]
    fn a_report_has_what_the_command_said_or_what_its_end_is_called() {
        let diagnostic = |ending, output: &[u8]| RAN.finding(ending, output).diagnostic.unwrap().text;
        assert_eq!(diagnostic(Ending::Status(3), b""), "unknown mail system error 3");
        assert_eq!(diagnostic(Ending::Status(67), b""), "user unknown");
        assert_eq!(diagnostic(Ending::Status(67), b"\n\nno\xc3\xa4 \xe2\x82\x01 one\n"), "no\u{e4} ___ one");
        for ending in [Ending::Signal(9), Ending::TimedOut] {
            assert_eq!(diagnostic(ending, b""), "internal software error");
            assert_eq!(diagnostic(ending, b"x\n"), "x");
        }
        assert_eq!(diagnostic(Ending::NotStarted, b"execvp /x: No"), "pipe: fatal: exec: execvp /x: No");
    }
}
