//! From the command line to the table.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::counts::Counts;
use crate::layout::table;
use crate::request::Request;
use crate::survey::Survey;

/// Clears a terminal.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Counts, and prints the table.
///
/// # Errors
/// A sentence: the command line or main.cf cannot be understood, there are too many domains, or nobody reads the table.
pub(crate) fn run() -> Result<ExitCode, String> {
    let request = Request::parse(std::env::args_os().skip(1))?;
    let config = command::configure("qshape", request.directory.as_deref())?;
    command::enter_queue(&config)?;
    let is_terminal = io::stdout().is_terminal();
    let mut survey = Survey::new(Counts::new(request.buckets.clone()), request.senders);
    let mut messages = 0;
    let mut shown = Ok(());
    for queue in &request.queues {
        survey.queue(queue, |counts| {
            messages += 1;
            if is_terminal && messages % request.batch == 0 && shown.is_ok() {
                shown = print(&format!("{CLEAR}{}", table(counts, &request, request.top)));
            }
        })?;
    }
    let clear = if is_terminal && messages >= request.batch { CLEAR } else { "" };
    let most = if is_terminal { request.top } else { usize::MAX };
    shown.and_then(|()| print(&format!("{clear}{}", table(&survey.counts, &request, most))))?;
    Ok(if survey.incomplete { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| format!("write: {error}"))
}
