//! The command that may write into the maildrop queue: it is given records, and says what has become of them.

use std::fmt;
use std::io::{BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use config::{Config, MAIL_CONFIG, param};
use wire::cause::Cause;

/// The running postdrop. Dropped before the end of the message, it leaves nothing behind.
pub struct Postdrop {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What it calls the message.
    id: String,
    /// postdrop does not read any more; it says why at the end.
    broken: bool,
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of reason.
    pub cause: Cause,
    /// What postdrop says; may be empty.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.reason.is_empty() { self.cause.sentence() } else { &self.reason })
    }
}

impl Postdrop {
    /// Starts it, as the caller.
    ///
    /// # Errors
    /// A sentence: it cannot be started, or refuses the caller.
    pub fn start(config: &Config) -> Result<Self, String> {
        let directory = config.get(param::COMMAND_DIRECTORY).map_err(|error| error.to_string())?;
        let program = directory.join("postdrop");
        let mut command = Command::new(&program);
        command.arg("-r").env(MAIL_CONFIG, config.directory()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command::spawn(&mut command, config)?
            .map_err(|error| format!("unable to execute {}: {}", program.display(), text::system_error(&error)))?;
        let output = child.stdout.take().ok_or("no pipe to postdrop")?;
        let mut postdrop = Self { child, output: BufReader::new(output), id: String::new(), broken: false };
        match wire::postdrop::read_greeting(&mut postdrop.output) {
            Ok(id) => postdrop.id = text::printable(&id),
            Err(_) => return Err("unable to submit mail: postdrop refused it".into()),
        }
        Ok(postdrop)
    }

    /// The name of the message in the maildrop queue.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Hands records over.
    pub fn write(&mut self, records: &[u8]) {
        if let Some(input) = &mut self.child.stdin
            && !self.broken
        {
            self.broken = input.write_all(records).is_err();
        }
    }

    /// The message is complete: it is on stable storage then.
    ///
    /// # Errors
    /// It is not.
    pub fn finish(mut self) -> Result<(), Refusal> {
        drop(self.child.stdin.take());
        match wire::postdrop::read_result(&mut self.output) {
            Ok((0, _)) => Ok(()),
            Ok((bits, reason)) => {
                let (cause, reason) = (Cause::of_bits(bits), text::printable(&reason));
                let reason = if cause.is_none() && reason.is_empty() { "unknown error".to_owned() } else { reason };
                Err(Refusal { cause: cause.unwrap_or(Cause::Write), reason })
            }
            Err(_) => Err(Refusal { cause: Cause::Write, reason: String::new() }),
        }
    }
}

impl Drop for Postdrop {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
