//! From the command line to the exit status: main.cf says where lines go, then each is logged.

use std::io::{BufRead, Read};
use std::process::ExitCode;

use config::{Config, Terminal};
use logging::{Setup, Severity};

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
    logging::set_up(setup(&config, request.tag));
    config.log_file().map_err(|error| error.to_string())?;
    let severity = request.severity.unwrap_or(Severity::Info);
    match request.text {
        Some(text) => log(severity, &text),
        None => lines(std::io::stdin().lock(), |line| log(severity, line))?,
    }
    if matches!(severity, Severity::Fatal | Severity::Panic) {
        // A script that does this in a loop is as slow as a program that ends so.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    Ok(ExitCode::SUCCESS)
}

/// Standard error has the name of the instance in front, whatever the tag in the log is.
fn setup(config: &Config, tag: Option<String>) -> Setup {
    let setup = config.log_setup("postlog", Terminal::Also);
    let shown = format!("{}/postlog", setup.syslog_name);
    Setup { tag: tag.or_else(|| Some(shown.clone())), program: shown, ..setup }
}

/// Passes on each line of the input, a long one in pieces.
fn lines(mut input: impl BufRead, mut each: impl FnMut(&[u8])) -> Result<(), String> {
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        match read.map_err(|error| format!("read standard input: {}", text::system_error(&error)))? {
            0 => return Ok(()),
            _ => each(line.strip_suffix(b"\n").unwrap_or(&line)),
        }
    }
}

fn log(severity: Severity, line: &[u8]) {
    logging::emit_text(severity, format_args!("{}", text::printable(line)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(input: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        lines(input, |line| found.push(line.to_vec())).unwrap();
        found
    }

    #[test]
    fn a_tag_is_one_of_the_log_and_the_name_of_the_instance_stays_in_front_on_standard_error() {
        let config = Config::parse(b"syslog_name = out\n", std::path::Path::new("/etc/postfix"), &[]).unwrap();
        for (tag, logged) in [(Some("other"), "other"), (None, "out/postlog")] {
            let Setup { tag, program, .. } = setup(&config, tag.map(str::to_owned));
            assert_eq!((tag.as_deref(), program.as_str()), (Some(logged), "out/postlog"));
        }
    }

    #[test]
    fn each_line_is_logged_and_the_last_one_needs_no_end() {
        assert_eq!(logged(b"one\n\ntwo"), [&b"one"[..], b"", b"two"]);
        assert!(logged(b"").is_empty());
    }

    #[test]
    fn nothing_of_a_long_line_is_lost() {
        let line = [b"a".repeat(MAX_LINE as usize), b"b".repeat(10)].concat();
        let pieces = logged(&[&line[..], b"\nnext\n"].concat());
        assert_eq!(pieces[..2].concat(), line);
        assert_eq!(pieces[2], b"next");
    }
}
