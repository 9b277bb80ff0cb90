//! From the command line to the exit status: which command is done by what.

use std::process::ExitCode;

use config::Config;

use crate::arguments::{self, Line};
use crate::instance::Instance;
use crate::{check, non_bdb, permissions, process, rotate, settings, several, tls, upgrade};

/// Carries out the command.
///
/// # Errors
/// A sentence: it is not done.
pub(crate) fn run() -> Result<ExitCode, String> {
    let Line { directory, command, words } = arguments::parse(std::env::args_os().skip(1))?;
    let is_one = directory.is_some() || std::env::var_os(config::MAIL_CONFIG).is_some();
    if !is_one {
        several::hand_over(&command, &words)?;
    }
    let directory = directory.unwrap_or_else(Config::default_directory);
    let settings =
        if matches!(command.as_str(), "tls" | "non-bdb") { Vec::new() } else { settings::parse(&command, &words)? };
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
        "tls" => tls::run(&instance, &words),
        "non-bdb" => non_bdb::run(&instance, &words),
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
