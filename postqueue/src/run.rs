//! From the command line to the exit status: who may do what with the queue.

use std::process::ExitCode;

use command::Caller;
use config::{Config, Param, param};

use crate::failure::Failure;
use crate::request::Request;
use crate::{flush, list};

/// Does what the command line asks for.
///
/// # Errors
/// It is not done.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let (request, directory) = Request::parse(std::env::args_os().skip(1))?;
    let config = command::configure("postqueue", directory.as_deref()).map_err(Failure::new)?;
    act(&config, &request)?;
    Ok(ExitCode::SUCCESS)
}

fn act(config: &Config, request: &Request) -> Result<(), Failure> {
    let caller = Caller::current();
    match request {
        Request::List(_) => authorize(config, &caller, param::AUTHORIZED_MAILQ_USERS, "view")?,
        _ => authorize(config, &caller, param::AUTHORIZED_FLUSH_USERS, "flush")?,
    }
    command::enter_queue(config).map_err(Failure::new)?;
    match request {
        Request::List(form) => list::list(config, *form),
        Request::FlushAll => flush::all(config),
        Request::FlushMessage(id) => flush::message(config, id),
        Request::FlushSite(site) => flush::site(config, site),
    }
}

/// authorized_mailq_users, authorized_flush_users
fn authorize(config: &Config, caller: &Caller, list: Param<Vec<String>>, what: &str) -> Result<(), Failure> {
    let allowed = caller.is_root() || caller.is_in(config, list).map_err(Failure::new)?;
    if allowed {
        return Ok(());
    }
    let sentence = format!("User {}({}) is not allowed to {what} the mail queue", caller.label(), caller.uid);
    Err(Failure::new(sentence))
}
