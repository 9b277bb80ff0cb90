//! Several mail systems on one machine: the command is handed over to whoever does it for each of them.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use config::{Config, DEFAULT_DIRECTORY, EXPORTED, param};

/// Becomes multi_instance_wrapper where the default main.cf names more instances; returns where it does not.
///
/// # Errors
/// There are several, and no wrapper that can be run.
pub(crate) fn hand_over(command: &str, words: &[String]) -> Result<(), String> {
    // What is wrong with it is told by whoever reads it as the main.cf of the only instance.
    let Ok(config) = Config::load(Path::new(DEFAULT_DIRECTORY), &[]) else { return Ok(()) };
    let text = |error: config::ValueError| error.to_string();
    if config.get(param::MULTI_INSTANCE_DIRECTORIES).map_err(text)?.is_empty() {
        return Ok(());
    }
    let wrapper: String = config.get(param::MULTI_INSTANCE_WRAPPER).map_err(text)?;
    let mut line = wrapper.split_ascii_whitespace();
    let Some(program) = line.next() else {
        return Err("multi-instance support is requested, but multi_instance_wrapper is empty".to_owned());
    };
    let mut manager = Command::new(program);
    manager.args(line).arg(command).args(words).env(config::MAIL_CONFIG, DEFAULT_DIRECTORY);
    for name in EXPORTED {
        manager.env(name, config.lookup(name).map_err(text)?.unwrap_or_default());
    }
    logging::flush();
    Err(format!("execute {program}: {}", net::reason(&manager.exec())))
}
