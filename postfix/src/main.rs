//! postfix - control of the mail system
//!
//! # Synopsis
//! `postfix [-Dv] [-c config_dir] command`
//!
//! # Description
//! `start`, `start-fg`, `stop`, `quick-stop`, `drain`, `abort`, `reload`, `flush`, `check`, `status`, `logrotate`.
//! The command itself starts nothing but `master` and the queue tools, and holds no state: what it knows of a running
//! system is its lock file. What it says goes to the log, and to standard error when that is a terminal: scripts see the
//! exit status alone.
//!
//! # Privilege
//! Root, or the user who owns the queue directory of a private instance.
//!
//! # Diagnostics
//! Exit status 0: done (`check`: also with warnings; `status`: running). 1: not done, or not running.

mod check;
mod instance;
mod layout;
mod process;
mod rotate;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use instance::Instance;

fn main() -> ExitCode {
    logging::set_up_command("postfix", std::io::stderr().is_terminal());
    match run() {
        Ok(code) => code,
        Err(why) => {
            logging::emit_text(logging::Severity::Fatal, format_args!("{why}"));
            logging::flush();
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let (directory, command) = arguments()?;
    let instance = Instance::open(directory, &command)?;
    match command.as_str() {
        "start" => process::start(&instance, false),
        "start-fg" => process::start(&instance, true),
        "stop" => process::stop(&instance),
        "quick-stop" => process::quick_stop(&instance),
        "drain" => process::drain(&instance),
        "abort" => process::abort(&instance),
        "reload" => process::reload(&instance),
        "flush" => process::flush(&instance),
        "status" => process::status(&instance),
        "check" => {
            check::fatal(&instance)?;
            check::warn(&instance);
            Ok(ExitCode::SUCCESS)
        }
        "logrotate" => rotate::rotate(&instance),
        other => Err(format!(
            "unknown command: '{other}'. Usage: postfix start (or stop, reload, abort, flush, check, status, \
             set-permissions, upgrade-configuration, logrotate, tls, non-bdb)"
        )),
    }
}

fn arguments() -> Result<(PathBuf, String), String> {
    const USAGE: &str = "usage: postfix [-c config_dir] [-Dv] command";
    let mut directory = std::env::var_os("MAIL_CONFIG").map(PathBuf::from);
    let mut command: Option<String> = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().map_err(|_| USAGE)? {
        match argument {
            lexopt::Arg::Short('c') => directory = Some(parser.value().map_err(|_| USAGE)?.into()),
            // A debugger for master and more words for its log: master has options of its own for both.
            lexopt::Arg::Short('D' | 'v') => {}
            lexopt::Arg::Value(word) if command.is_none() => command = Some(word.to_string_lossy().into_owned()),
            lexopt::Arg::Value(_) | lexopt::Arg::Short(_) | lexopt::Arg::Long(_) => return Err(USAGE.to_owned()),
        }
    }
    let directory = directory.unwrap_or_else(|| PathBuf::from("/etc/postfix"));
    if directory.is_relative() {
        return Err(format!("-c requires absolute pathname, not \"{}\"", directory.display()));
    }
    Ok((directory, command.ok_or(USAGE)?))
}
