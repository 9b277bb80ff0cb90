//! postfix - control of the mail system
//!
//! # Synopsis
//! `postfix [-Dv] [-c config_dir] command`
//!
//! # Description
//! `start`, `start-fg`, `stop`, `quick-stop`, `drain`, `abort`, `reload`, `flush`, `check`, `status`, `logrotate`.
//! The command itself starts nothing but `master` and the queue tools, and holds no state: what it knows of a running
//! system is its lock file. What it says goes to the log and to standard error. `-v` and `-D` are accepted and do nothing.
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

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use config::Config;

use instance::Instance;

fn main() -> ExitCode {
    logging::set_up_command("postfix", true);
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
    let instance = Instance::open(&directory, &command)?;
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
    let mut directory = Config::default_directory();
    let mut options = text::Options::new("c:Dv", std::env::args_os().skip(1));
    let usage = || "usage: postfix [-c config_dir] [-Dv] command".to_owned();
    loop {
        match options.next_option() {
            Ok(Some((b'c', value))) => directory = PathBuf::from(OsStr::from_bytes(&value)),
            // A debugger for master and more words for its log: master has options of its own for both.
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => {
                eprintln!("postfix: {error}");
                return Err(usage());
            }
        }
    }
    if directory.is_relative() {
        return Err("-c requires absolute pathname".to_owned());
    }
    let mut words = options.operands().into_iter();
    let command = words.next().unwrap_or_default().to_string_lossy().into_owned();
    match words.next() {
        None => Ok((directory, command)),
        Some(_) if command == "logrotate" => Err("usage postfix logrotate (no arguments)".to_owned()),
        Some(_) => Err(usage()),
    }
}
