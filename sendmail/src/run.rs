//! From the command line to the exit status: mail is handed in here, all else is done by other commands.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use command::{Caller, Failure};
use config::MAIL_CONFIG;
use config::{Config, param};
use logging::warning;

use crate::options::{Mode, Request};
use crate::{stand_alone, submit};

/// EX_TEMPFAIL of sysexits.h: the caller keeps the message.
const TRY_AGAIN: i32 = 75;

/// Does what the command line asks for, under the name by which it was called.
///
/// # Errors
/// It is not done, and the caller may try again.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let try_again = |sentence| Failure { status: TRY_AGAIN, sentence };
    let name = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let request = Request::parse(&name, std::env::args_os().skip(1)).map_err(|mistake| {
        // The log has it as well: who calls sendmail from a program seldom sees what it says. Without a configuration
        // there is no log, and what is wrong is told all the same.
        let _ = command::configure("sendmail", None);
        if let Some(detail) = mistake.detail {
            eprintln!("sendmail: {detail}");
        }
        try_again(mistake.sentence)
    })?;
    let directory = request.directory.as_deref().map(directory);
    let config = command::configure("sendmail", directory.as_deref()).map_err(try_again)?;
    for text in &request.warnings {
        warning!("{text}");
    }
    act(&config, &request).map_err(try_again)?;
    Ok(ExitCode::SUCCESS)
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
        Mode::StandAlone => stand_alone::serve(config),
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
