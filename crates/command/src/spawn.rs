//! Starting other programs.

use std::io;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use config::{Config, param};

/// Starts a process, and tries again where the system has none to give at present.
///
/// # Errors
/// A sentence about fork_attempts and fork_delay; within it, that of the last attempt.
pub fn spawn(command: &mut Command, config: &Config) -> Result<io::Result<Child>, String> {
    let failed = |error: config::ValueError| error.to_string();
    let attempts: i64 = config.get(param::FORK_ATTEMPTS).map_err(failed)?;
    let delay: Duration = config.get(param::FORK_DELAY).map_err(failed)?;
    for _ in 1..attempts {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(delay),
            other => return Ok(other),
        }
    }
    Ok(command.spawn())
}
