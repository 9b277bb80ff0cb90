//! The way of a command to its configuration, without trusting its caller more than it must.
//!
//! A command that has the rights of a group that its caller does not have must not read a main.cf of the caller's
//! making: it would open that group's files wherever the caller says.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use config::{Accounts, Config, DEFAULT_DIRECTORY, Terminal, param};
use sys::identity::is_root;

/// First act of a command: descriptors of the caller are closed, a file that may not grow is an error like any other,
/// messages go to standard error and, until main.cf names a log, to the system's.
pub(crate) fn begin(program: &'static str) {
    sys::process::close_from(3);
    sys::process::ignore(sys::process::Ignored::FileSize);
    logging::set_up_command(program, true);
}

/// The directory of main.cf: the option `-c`, else the environment, else the default one.
fn directory(option: Option<&[u8]>) -> PathBuf {
    option.map_or_else(Config::default_directory, |path| PathBuf::from(OsString::from_vec(path.to_vec())))
}

/// Reads main.cf and sends messages where it says, and to standard error as well; of a main.cf that cannot be used,
/// what can be read of it says where the reason goes.
///
/// # Errors
/// A sentence: the directory may not be used, main.cf cannot, or its accounts are not fit.
pub fn configure(program: &'static str, option: Option<&[u8]>) -> Result<Config, String> {
    let directory = permitted_directory(option)?;
    let config = Config::load_with_log(&directory, program, Terminal::Also).map_err(|error| error.to_string())?;
    let is_told = std::env::var_os(config::TOLD).is_some();
    for warning in config.warnings().iter().filter(|_| !is_told) {
        logging::warning!("{warning}");
    }
    // A private mail system, which runs as its user alone, has no accounts.
    if is_root() || has_borrowed_rights() {
        Accounts::read(&config).map_err(|error| error.to_string())?;
    }
    config.check_names().map_err(|error| error.to_string())?;
    Ok(config)
}

/// Sends messages to the log alone, under another program's name: what is said there is that program's.
///
/// # Errors
/// A sentence: there is no such log.
pub fn log_as(config: &Config, program: &str) -> Result<(), String> {
    config.set_up_log(program, Terminal::Nothing).map_err(|error| error.to_string())
}

/// Reads main.cf, and decides nothing about messages.
///
/// # Errors
/// As [`configure`].
pub fn load(option: Option<&[u8]>) -> Result<Config, String> {
    Config::load(&permitted_directory(option)?, &[]).map_err(|error| error.to_string())
}

/// Makes the queue directory the working directory, in which names of queue files and sockets begin.
///
/// # Errors
/// A sentence: there is no such directory, or the caller may not enter it.
pub fn enter_queue(config: &Config) -> Result<(), String> {
    let directory = config.get(param::QUEUE_DIRECTORY).map_err(|error| error.to_string())?;
    std::env::set_current_dir(&directory)
        .map_err(|error| format!("chdir {}: {}", directory.display(), text::system_error(&error)))
}

/// The directory of main.cf, if the caller may use it.
fn permitted_directory(option: Option<&[u8]>) -> Result<PathBuf, String> {
    let directory = directory(option);
    if has_borrowed_rights() && directory != Path::new(DEFAULT_DIRECTORY) {
        check_directory(&directory)?;
    }
    Ok(directory)
}

/// True when the process has rights that its caller does not have and the caller is not root.
fn has_borrowed_rights() -> bool {
    let borrowed = nix::unistd::getuid() != nix::unistd::geteuid() || nix::unistd::getgid() != nix::unistd::getegid();
    borrowed && !nix::unistd::getuid().is_root()
}

fn check_directory(directory: &Path) -> Result<(), String> {
    let config = Config::load(Path::new(DEFAULT_DIRECTORY), &[]).map_err(|error| error.to_string())?;
    // alternate_config_directories, multi_instance_directories
    for list in [param::ALTERNATE_CONFIG_DIRECTORIES, param::MULTI_INSTANCE_DIRECTORIES] {
        let allowed = config.get(list).map_err(|error| error.to_string())?;
        if allowed.iter().any(|allowed| allowed.as_bytes() == directory.as_os_str().as_bytes()) {
            return Ok(());
        }
    }
    Err(format!("unauthorized configuration directory name: {}", directory.display()))
}
