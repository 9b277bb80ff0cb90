//! From the command line to the exit status: who calls, and whether he may submit mail as it is given.

use std::ffi::OsString;
use std::process::ExitCode;

use command::Caller;
use config::{Config, param};
use text::Options;
use wire::cause::Cause;
use wire::postdrop;

use crate::maildrop;
use crate::sender::SenderRule;
use crate::submit::{say, submit};

/// Takes one message from standard input, and reports.
///
/// # Errors
/// A sentence: the command line, the configuration or the caller is to blame, or no message can be taken at all.
pub(crate) fn run() -> Result<ExitCode, String> {
    let directory = parse(std::env::args_os().skip(1))?;
    let config = command::configure("postdrop", directory.as_deref())?;
    let caller = Caller::current();
    check_caller(&config, &caller)?;
    command::enter_queue(&config)?;
    maildrop::remove_on_signal();
    let rule = SenderRule::of(&config, &caller)?;
    let taken = submit(&config, &rule, caller.uid).map_err(|error| format!("uid={}: {error}", caller.uid))?;
    let Some((cause, reason)) = taken else { return Ok(ExitCode::SUCCESS) };
    let status = cause.map_or(0, Cause::bit);
    say(&postdrop::result(status, &reason));
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}

/// The directory of main.cf, if the command line names one.
fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Vec<u8>>, String> {
    let mut options = Options::new("c:rv", arguments);
    let mut directory = None;
    while let Some((letter, value)) = options.next_or_usage("postdrop", "usage: postdrop [-c config_dir] [-v]")? {
        if letter == b'c' {
            directory = Some(value);
        }
    }
    Ok(directory)
}

fn check_caller(config: &Config, caller: &Caller) -> Result<(), String> {
    // authorized_submit_users
    if caller.is_in(config, param::AUTHORIZED_SUBMIT_USERS)? {
        return Ok(());
    }
    Err(format!("User {}({}) is not allowed to submit mail", caller.label(), caller.uid))
}
