//! postfix - control of the mail system
//!
//! # Synopsis
//! `postfix [-Dv] [-c config_dir] command`
//!
//! # Description
//! `start`, `start-fg`, `stop`, `quick-stop`, `drain`, `abort`, `reload`, `flush`, `check`, `status`, `logrotate`;
//! `set-permissions [name=value...]`: owners and modes of all files as they are installed; `upgrade-configuration
//! [name=value...]`: what a configuration of another version lacks.
//! The command itself starts nothing but `master` and the queue tools, and holds no state: what it knows of a running
//! system is its lock file. What it says goes to the log and to standard error. `-v` and `-D` are accepted and do nothing.
//!
//! # Privilege
//! Root, or the user who owns the queue directory of a private instance.
//!
//! # Diagnostics
//! Exit status 0: done (`check`: also with warnings; `status`: running). 1: not done, or not running.

mod check;
mod files;
mod instance;
mod layout;
mod permissions;
mod process;
mod rotate;
mod settings;
mod upgrade;

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
    let (directory, command, words) = arguments()?;
    let settings = settings::parse(&command, &words)?;
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
            check::addresses(&instance)?;
            check::warn(&instance);
            Ok(ExitCode::SUCCESS)
        }
        "logrotate" => rotate::rotate(&instance),
        "set-permissions" => {
            settings::store(&instance.config, &settings)?;
            permissions::set(&instance.with(&settings)).map(|()| ExitCode::SUCCESS)
        }
        "upgrade-configuration" => upgrade::run(&instance, &settings).map(|()| ExitCode::SUCCESS),
        other => Err(format!(
            "unknown command: '{other}'. Usage: postfix start (or stop, reload, abort, flush, check, status, \
             set-permissions, upgrade-configuration, logrotate, tls, non-bdb)"
        )),
    }
}

/// The configuration directory, the command, and what stands behind it.
fn arguments() -> Result<(PathBuf, String, Vec<String>), String> {
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
    let mut words = options.operands().into_iter().map(|word| word.to_string_lossy().into_owned());
    let command = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    match command.as_str() {
        _ if words.is_empty() => {}
        "set-permissions" | "upgrade-configuration" => {}
        "logrotate" => return Err("usage postfix logrotate (no arguments)".to_owned()),
        _ => return Err(usage()),
    }
    Ok((directory, command, words))
}
