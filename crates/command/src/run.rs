//! From `main` to the exit status, in one way for all commands that read main.cf.

use std::process::ExitCode;

use crate::start::begin;

/// Why a command ends without having done its work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The exit status.
    pub status: i32,
    /// What standard error and the log say.
    pub sentence: String,
}

impl From<String> for Failure {
    /// A failure with exit status 1.
    fn from(sentence: String) -> Self {
        Self { status: 1, sentence }
    }
}

/// The whole of a command: `main` returns what this returns. A failure of `body` is the last line, on standard error
/// and in the log, and decides the exit status.
pub fn run<F: Into<Failure>>(program: &'static str, body: impl FnOnce() -> Result<ExitCode, F>) -> ExitCode {
    begin(program);
    body().unwrap_or_else(|failure| {
        let Failure { status, sentence } = failure.into();
        logging::fail(format_args!("{sentence}"), status)
    })
}
