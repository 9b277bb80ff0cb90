//! # NAME
//! postqueue - list and flush the queue
//!
//! # SYNOPSIS
//! `postqueue [-v] [-c config_dir] -f|-p|-j|-i queue_id|-s site`
//!
//! # DESCRIPTION
//! What users may do with the queue; postsuper is for root.
//!
//! - `-p`: the traditional list. `-j`: the list as JSON, one object a line.
//! - `-f`: try to deliver everything now. `-i queue_id`: this message. `-s site`: all that waits for a
//!   site, by the flush service.
//! - `-c config_dir`: as with postdrop. `-v`: accepted.
//!
//! # PRIVILEGE
//! Set-group-id to `$setgid_group`, which may connect to `public/`. `authorized_mailq_users` and
//! `authorized_flush_users` say who may.
//!
//! # PEERS
//! `public/showq`, `public/qmgr`, `public/pickup`, `public/flush`. When the mail system is down and
//! the caller is root, it runs showq itself.
//!
//! # DIAGNOSTICS
//! Exit status 69: the mail system is down, or the request makes no sense or cannot be met; 64: the
//! flush service does not understand it; 77: not allowed.

mod flush;
mod json;
mod list;
mod traditional;

use std::process::ExitCode;

use command::Caller;
use config::{Config, Param, param};
use text::Options;

/// EX_USAGE of sysexits.h.
const USAGE: i32 = 64;
/// EX_UNAVAILABLE of sysexits.h.
const UNAVAILABLE: i32 = 69;
/// EX_NOPERM of sysexits.h.
const NO_PERMISSION: i32 = 77;

/// A sentence and the exit status that goes with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    status: i32,
    sentence: String,
}

impl Failure {
    fn usage(sentence: impl Into<String>) -> Self {
        Self { status: USAGE, sentence: sentence.into() }
    }

    fn unavailable(sentence: impl Into<String>) -> Self {
        Self { status: UNAVAILABLE, sentence: sentence.into() }
    }
}

impl From<config::ValueError> for Failure {
    fn from(error: config::ValueError) -> Self {
        Self::unavailable(error.to_string())
    }
}

enum Request {
    List(list::Form),
    FlushAll,
    FlushMessage(Vec<u8>),
    FlushSite(Vec<u8>),
}

fn main() -> ExitCode {
    command::begin("postqueue");
    let (request, directory) = parse();
    let config = match command::configure("postqueue", directory.as_deref()) {
        Ok(config) => config,
        Err(error) => logging::fail(format_args!("{error}"), UNAVAILABLE),
    };
    match act(&config, &request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => logging::fail(format_args!("{}", failure.sentence), failure.status),
    }
}

fn parse() -> (Request, Option<Vec<u8>>) {
    let mut options = Options::new("c:fi:jps:v", std::env::args_os().skip(1));
    let (mut request, mut directory) = (None, None);
    loop {
        let wanted = match options.next_option() {
            Ok(Some((b'c', value))) => {
                directory = Some(value);
                continue;
            }
            Ok(Some((b'f', _))) => Request::FlushAll,
            Ok(Some((b'i', id))) => Request::FlushMessage(id),
            Ok(Some((b'j', _))) => Request::List(list::Form::Json),
            Ok(Some((b'p', _))) => Request::List(list::Form::Traditional),
            Ok(Some((b's', site))) => Request::FlushSite(site),
            Ok(Some(_)) => continue,
            Ok(None) => break,
            Err(error) => {
                eprintln!("postqueue: {error}");
                usage()
            }
        };
        if request.replace(wanted).is_some() {
            usage();
        }
    }
    match request {
        Some(request) if options.operands().is_empty() => (request, directory),
        _ => usage(),
    }
}

fn usage() -> ! {
    let sentence = "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site";
    logging::fail(format_args!("{sentence}"), UNAVAILABLE)
}

fn act(config: &Config, request: &Request) -> Result<(), Failure> {
    let caller = Caller::current();
    match request {
        Request::List(_) => authorize(config, &caller, param::AUTHORIZED_MAILQ_USERS, "view")?,
        _ => authorize(config, &caller, param::AUTHORIZED_FLUSH_USERS, "flush")?,
    }
    let queue_directory = config.get(param::QUEUE_DIRECTORY)?;
    if let Err(error) = std::env::set_current_dir(&queue_directory) {
        return Err(Failure::unavailable(format!(
            "chdir {}: {}",
            queue_directory.display(),
            text::system_error(&error)
        )));
    }
    match request {
        Request::List(form) => list::list(config, *form),
        Request::FlushAll => flush::all(config),
        Request::FlushMessage(id) => flush::message(config, id),
        Request::FlushSite(site) => flush::site(config, site),
    }
}

/// authorized_mailq_users, authorized_flush_users
fn authorize(config: &Config, caller: &Caller, list: Param<Vec<String>>, what: &str) -> Result<(), Failure> {
    let allowed = caller.is_root() || caller.is_in(config, list).map_err(Failure::unavailable)?;
    if allowed {
        return Ok(());
    }
    let sentence = format!("User {}({}) is not allowed to {what} the mail queue", caller.label(), caller.uid);
    Err(Failure { status: NO_PERMISSION, sentence })
}
