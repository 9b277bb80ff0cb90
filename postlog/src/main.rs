//! postlog - a line for the mail log
//!
//! # Synopsis
//! `postlog [-iv] [-c config_dir] [-p priority] [-t tag] [text...]`
//!
//! # Description
//! Logs the text of the command line, or each line of standard input, as a program of the mail system would: to syslog
//! or the postlog service as main.cf says, and to standard error. `-p` is info, warn, warning,
//! error, fatal or panic in upper or lower case; whatever it is, the exit status is 0, after a pause of a
//! second for the last two. `-t` sets the tag in place of
//! `postfix/postlog`, `-i` is accepted: lines always carry the process id.
//!
//! # Privilege
//! The caller's, and the group `$setgid_group`, to which the socket of the log belongs.
//!
//! # Diagnostics
//! Exit status 1: the command line or main.cf cannot be understood.

use std::io::{BufRead, Read};
use std::process::ExitCode;

use config::Terminal;
use logging::Severity;
use text::Options;

/// Longest piece of a line of standard input in bytes; what follows is a line of its own.
/// told: nobody; the next line has the rest.
const MAX_LINE: u64 = 2048;

fn main() -> ExitCode {
    command::begin("postlog");
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            logging::emit_text(Severity::Fatal, format_args!("{why}"));
            ExitCode::FAILURE
        }
    }
}

/// The command line.
#[derive(Default)]
struct Request {
    directory: Option<Vec<u8>>,
    severity: Option<Severity>,
    tag: Option<String>,
    /// The words of the text, joined; none: standard input is read.
    text: Option<Vec<u8>>,
}

fn run() -> Result<(), String> {
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
    Ok(())
}

impl Request {
    fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, String> {
        const USAGE: &str = "usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]";
        let mut options = Options::new("c:ip:t:v", arguments);
        let mut request = Self::default();
        loop {
            let (letter, value) = match options.next_option() {
                Ok(Some(option)) => option,
                Ok(None) => break,
                Err(error) => {
                    eprintln!("postlog: {error}");
                    return Err(USAGE.to_owned());
                }
            };
            match letter {
                b'c' => request.directory = Some(value),
                b'p' => request.severity = Some(severity(&value)?),
                b't' => request.tag = Some(text::printable(&value)),
                _ => {}
            }
        }
        let words: Vec<_> = options.operands().into_iter().map(|word| word.into_encoded_bytes()).collect();
        request.text = (!words.is_empty()).then(|| words.join(&b' '));
        Ok(request)
    }
}

fn severity(name: &[u8]) -> Result<Severity, String> {
    Ok(match name.to_ascii_lowercase().as_slice() {
        b"info" => Severity::Info,
        b"warn" | b"warning" => Severity::Warning,
        b"error" => Severity::Error,
        b"fatal" => Severity::Fatal,
        b"panic" => Severity::Panic,
        _ => return Err(format!("bad severity: \"{}\"", text::printable(name))),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Request, String> {
        Request::parse(line.iter().map(std::ffi::OsString::from))
    }

    #[test]
    fn what_follows_the_first_word_is_text() {
        let request = parse(&["-p", "Warn", "x", "-p", "error"]).unwrap();
        assert_eq!(request.text.as_deref(), Some(&b"x -p error"[..]));
        assert!(matches!(request.severity, Some(Severity::Warning)));
        assert_eq!(parse(&["-t", "a/b"]).unwrap().tag.as_deref(), Some("a/b"));
        assert!(parse(&["-i"]).unwrap().text.is_none());
    }

    #[test]
    fn a_severity_that_is_none_is_named() {
        assert_eq!(parse(&["-p", "bogus", "x"]).err().as_deref(), Some("bad severity: \"bogus\""));
    }
}
