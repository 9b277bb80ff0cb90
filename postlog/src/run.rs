//! From the command line to the exit status: main.cf says where lines go, then each is logged.

use std::io::{BufRead, Read};
use std::process::ExitCode;

use config::Terminal;
use logging::Severity;

use crate::request::Request;

/// Longest piece of a line of standard input in bytes; what follows is a line of its own.
/// told: nobody; the next line has the rest.
const MAX_LINE: u64 = 2048;

/// Logs what the command line or standard input says.
///
/// # Errors
/// A sentence: the command line or main.cf cannot be understood, or standard input cannot be read.
pub(crate) fn run() -> Result<ExitCode, String> {
    let request = Request::parse(std::env::args_os().skip(1))?;
    let config = command::load(request.directory.as_deref())?;
    logging::set_up(logging::Setup { tag: request.tag, ..config.log_setup("postlog", Terminal::Also) });
    config.log_file().map_err(|error| error.to_string())?;
    let severity = request.severity.unwrap_or(Severity::Info);
    match request.text {
        Some(text) => log(severity, &text),
        None => lines(severity)?,
    }
    if matches!(severity, Severity::Fatal | Severity::Panic) {
        // A script that does this in a loop is as slow as a program that ends so.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    Ok(ExitCode::SUCCESS)
}

/// Logs each line of standard input, a long one in pieces.
fn lines(severity: Severity) -> Result<(), String> {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        match read.map_err(|error| format!("read standard input: {}", text::system_error(&error)))? {
            0 => return Ok(()),
            _ => log(severity, line.strip_suffix(b"\n").unwrap_or(&line)),
        }
    }
}

fn log(severity: Severity, line: &[u8]) {
    logging::emit_text(severity, format_args!("{}", text::printable(line)));
}
