//! From the command line to the exit status: the mailbox is locked, the command runs, and its end is ours.

use std::process::{Command, ExitCode};

use command::Failure;
use config::Config;

use crate::lock::Mailbox;
use crate::request::Request;

/// EX_TEMPFAIL of sysexits(3): what scripts take for "try again".
const TRY_AGAIN: i32 = 75;

/// Runs the command while the mailbox is locked.
///
/// # Errors
/// A sentence, with the exit status.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let (request, config) = prepare().map_err(try_again)?;
    let mailbox = Mailbox::lock(&request.file, &config).map_err(try_again)?;
    let mut command = Command::new(&request.command);
    command.args(&request.arguments);
    let mut child = match command::spawn(&mut command, &config).map_err(try_again)? {
        Ok(child) => child,
        Err(error) => {
            // Before the sentence: whoever reads it may use the mailbox.
            drop(mailbox);
            let reason = text::system_error(&error);
            return Err(match error.kind() {
                std::io::ErrorKind::WouldBlock => try_again(format!("fork: {reason}")),
                _ => Failure::from(format!("execvp {}: {reason}", request.command.display())),
            });
        }
    };
    let ended = child.wait().map_err(|error| try_again(format!("wait: {}", text::system_error(&error))))?;
    drop(mailbox);
    // A status is eight bits; none: a signal ended it.
    Ok(ended.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn prepare() -> Result<(Request, Config), String> {
    let request = Request::parse(std::env::args_os().skip(1))?;
    let config = command::configure("postlock", request.directory.as_deref())?;
    let config = match request.style.as_deref() {
        Some(style) if !style.is_empty() => config.with("mailbox_delivery_lock", style),
        _ => config,
    };
    Ok((request, config))
}

fn try_again(sentence: String) -> Failure {
    Failure { status: TRY_AGAIN, sentence }
}
