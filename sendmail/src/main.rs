//! # NAME
//! sendmail, mailq, newaliases - hand in mail, list the queue, rebuild the alias database
//!
//! # SYNOPSIS
//! `sendmail [options] [recipient...]`, `mailq`, `newaliases`
//!
//! # DESCRIPTION
//! The command by which every program on a Unix system sends mail. It reads a message from standard
//! input and hands it to `postdrop`, which has the rights for it; this program has none.
//!
//! - `-t`: recipients from the header. `-i`, `-oi`: a line with a single dot is text.
//! - `-f`, `-r sender`; `-F full_name`; `-G`: mail that is passed on, not written here.
//! - `-N success,failure,delay|never`, `-R full|hdrs`, `-V envid`: delivery status notifications.
//! - `-B 7BIT|8BITMIME`; `-XV[xy]`: a return path a recipient. `-v`: mail a report of the delivery;
//!   `-bv`: of what would be delivered, without doing it.
//! - `-bp` (mailq): list the queue. `-bi`, `-I` (newaliases): rebuild `$alias_database`, or `-oA`.
//! - `-q`, `-qIid`, `-qRsite`: deliver now, by `postqueue`. `-bd`: start the mail system, by `postfix`.
//! - `-C config_dir`. All other letters of sendmail are accepted and ignored.
//!
//! # PRIVILEGE
//! That of the caller. Must never be installed with more.
//!
//! # DIAGNOSTICS
//! Problems go to standard error and the log. Exit status 0: the message is on disk, whether or not
//! the mail system runs. 75: it was not taken, try again.

mod content;
mod options;
mod recipients;
mod submit;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use command::Caller;
use config::MAIL_CONFIG;
use config::{Config, param};
use logging::warning;

use crate::options::{Mode, Request};

/// EX_TEMPFAIL of sysexits.h: the caller keeps the message.
const TRY_AGAIN: i32 = 75;

macro_rules! give_up {
    ($($arg:tt)*) => { logging::fail(format_args!($($arg)*), TRY_AGAIN) };
}

fn main() -> ExitCode {
    command::begin("sendmail");
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let request = match Request::parse(&name, std::env::args_os().skip(1)) {
        Ok(request) => request,
        Err(mistake) => {
            if let Some(detail) = mistake.detail {
                eprintln!("sendmail: {detail}");
            }
            give_up!("{}", mistake.sentence)
        }
    };
    let directory = request.directory.as_deref().map(directory);
    let config = command::configure("sendmail", directory.as_deref()).unwrap_or_else(|error| give_up!("{error}"));
    for text in &request.warnings {
        warning!("{text}");
    }
    match act(&config, &request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up!("{error}"),
    }
}

/// -C names main.cf or its directory. Programs that are started learn of it from the environment.
fn directory(option: &[u8]) -> Vec<u8> {
    match option.strip_suffix(b"/main.cf") {
        Some(directory) => directory.to_vec(),
        None => option.to_vec(),
    }
}

fn act(config: &Config, request: &Request) -> Result<(), String> {
    match &request.mode {
        Mode::Submit => {
            let caller = Caller::current();
            submit::submit(config, &caller, request)
        }
        Mode::Nothing => Ok(()),
        Mode::StandAlone => Err("-bs is not implemented yet".into()),
        Mode::Daemon => Err(become_program(config, "postfix", [OsString::from("start")])),
        Mode::ListQueue => Err(become_program(config, "postqueue", [OsString::from("-p")])),
        Mode::Flush => Err(become_program(config, "postqueue", [OsString::from("-f")])),
        Mode::FlushMessage(id) => Err(become_program(config, "postqueue", [OsString::from("-i"), argument(id)])),
        Mode::FlushSite(site) => Err(become_program(config, "postqueue", [OsString::from("-s"), argument(site)])),
        Mode::NewAliases => new_aliases(config, request),
    }
}

/// alias_database, or the one that -oA names.
fn new_aliases(config: &Config, request: &Request) -> Result<(), String> {
    let databases = match &request.alias_database {
        Some(path) => vec![argument(path)],
        None => {
            let databases = config.get(param::ALIAS_DATABASE).map_err(|error| error.to_string())?;
            databases.into_iter().map(OsString::from).collect()
        }
    };
    // alias_database may be empty: there is nothing to do then.
    if databases.is_empty() { Ok(()) } else { Err(become_program(config, "postalias", databases)) }
}

/// Replaces this process by another command; returns only the sentence why that failed.
fn become_program(config: &Config, name: &str, arguments: impl IntoIterator<Item = OsString>) -> String {
    let directory = config.get(param::COMMAND_DIRECTORY).unwrap_or_default();
    let program = directory.join(name);
    let error = Command::new(&program).args(arguments).env(MAIL_CONFIG, config.directory()).exec();
    format!("unable to execute {}: {}", program.display(), text::system_error(&error))
}

fn argument(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}
