//! postlog - a line for the mail log
//!
//! # Synopsis
//! `postlog [-iv] [-c config_dir] [-p priority] [-t tag] [text...]`
//!
//! # Description
//! Logs the text of the command line, or each line of standard input, as a program of the mail system would: to syslog
//! or the postlog service as main.cf says, and to standard error. `-p` is info, warn, warning,
//! error, fatal or panic; whatever it is, the exit status is 0. `-t` sets the tag in place of `postfix/postlog`, `-i` is
//! accepted: lines always carry the process id; `-v` does nothing.
//!
//! # Diagnostics
//! Exit status 1: the command line or main.cf cannot be understood.

use std::ffi::OsStr;
use std::io::{BufRead, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use config::{Config, Terminal};
use logging::Severity;

/// Longest line of standard input that is taken as one.
const MAX_LINE: u64 = 8192;

fn main() -> ExitCode {
    logging::set_up_command("postlog", false);
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            logging::emit_text(Severity::Fatal, format_args!("{why}"));
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Options {
    directory: Option<PathBuf>,
    severity: Option<Severity>,
    tag: Option<String>,
    text: Vec<String>,
}

fn run() -> Result<(), String> {
    let options = options()?;
    let directory = options.directory.clone().unwrap_or_else(Config::default_directory);
    let config = Config::load(&directory, &[]).map_err(|error| error.to_string())?;
    set_up_log(&config, options.tag.as_deref());
    let severity = options.severity.unwrap_or(Severity::Info);
    if options.text.is_empty() {
        return lines(severity);
    }
    logging::emit_text(severity, format_args!("{}", options.text.join(" ")));
    Ok(())
}

fn options() -> Result<Options, String> {
    let mut found = Options::default();
    let mut options = text::Options::new("c:ip:t:v", std::env::args_os().skip(1));
    loop {
        match options.next_option() {
            Ok(Some((b'c', value))) => found.directory = Some(PathBuf::from(OsStr::from_bytes(&value))),
            Ok(Some((b'p', value))) => found.severity = Some(severity(&String::from_utf8_lossy(&value))?),
            Ok(Some((b't', value))) => found.tag = Some(String::from_utf8_lossy(&value).into_owned()),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                eprintln!("postlog: {error}");
                return Err("usage: postlog [-c config_dir] [-i] [-p priority] [-t tag] [-v] [text]".to_owned());
            }
        }
    }
    found.text = options.operands().into_iter().map(|word| word.to_string_lossy().into_owned()).collect();
    Ok(found)
}

fn severity(name: &str) -> Result<Severity, String> {
    Ok(match name {
        "info" => Severity::Info,
        "warn" | "warning" => Severity::Warning,
        "error" => Severity::Error,
        "fatal" => Severity::Fatal,
        "panic" => Severity::Panic,
        other => return Err(format!("bad severity: \"{other}\"")),
    })
}

fn lines(severity: Severity) -> Result<(), String> {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        match read.map_err(|error| format!("read standard input: {error}"))? {
            0 => return Ok(()),
            _ => logging::emit_text(severity, format_args!("{}", String::from_utf8_lossy(line.trim_ascii_end()))),
        }
    }
}

fn set_up_log(config: &Config, tag: Option<&str>) {
    let mut setup = config.log_setup("postlog", Terminal::Also);
    if let Some((name, program)) = tag.map(|tag| tag.rsplit_once('/').unwrap_or(("", tag))) {
        (setup.syslog_name, setup.program) = (name.to_owned(), program.to_owned());
    }
    logging::set_up(setup);
}
