//! # NAME
//! postdrop - put a message into the maildrop queue
//!
//! # SYNOPSIS
//! `postdrop [-rv] [-c config_dir]`
//!
//! # DESCRIPTION
//! Reads a message as queue file records from standard input, writes it to a file in `maildrop`,
//! and reports on standard output: first the name of the message, last the status. `sendmail` runs
//! it; with pickup down, mail waits in maildrop.
//!
//! - `-r`: the protocol above, the only one there is; accepted for compatibility.
//! - `-c config_dir`: where main.cf is. Callers who gain rights through this program may name only
//!   directories that `alternate_config_directories` of the default main.cf lists.
//! - `-v`: accepted.
//!
//! # PRIVILEGE
//! Set-group-id to `$setgid_group`, which may write to maildrop and connect to `public/pickup`. It
//! reads a local user's bytes with that group's rights and therefore does nothing else: no tables
//! but those of who may submit (`authorized_submit_users`) and as whom (`local_login_sender_maps`), no
//! network, no event loop.
//!
//! # PEERS
//! `public/pickup` (a trigger).
//!
//! # DIAGNOSTICS
//! Problems go to standard error and to the log. A message whose input ends early is removed without
//! a word. The exit status is the status reported: bits as cleanup has them, 1 for a message without
//! sender or recipient, 4 for one that is too large.

mod filter;
mod maildrop;
mod sender;

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

use command::Caller;
use config::{Config, param};
use logging::{fatal, warning};
use queue::{Stream, Type};
use text::Options;
use wire::cause::Cause;
use wire::{postdrop, trigger};

use crate::filter::{Filter, Verdict};
use crate::maildrop::{Submission, WriteError};
use crate::sender::SenderRule;

fn main() -> ExitCode {
    command::begin("postdrop");
    let directory = parse(std::env::args_os().skip(1));
    let config = command::configure("postdrop", directory.as_deref()).unwrap_or_else(|error| fatal!("{error}"));
    let caller = Caller::current();
    check_caller(&config, &caller);
    let queue_directory = config.get(param::QUEUE_DIRECTORY).unwrap_or_else(|error| fatal!("{error}"));
    if let Err(error) = std::env::set_current_dir(&queue_directory) {
        fatal!("chdir {}: {}", queue_directory.display(), text::system_error(&error));
    }
    maildrop::remove_on_signal();
    let rule = SenderRule::of(&config, &caller).unwrap_or_else(|error| fatal!("{error}"));
    match submit(&config, &rule, caller.uid) {
        Ok(Some((cause, reason))) => {
            let status = cause.map_or(0, Cause::bit);
            say(&postdrop::result(status, &reason));
            ExitCode::from(u8::try_from(status).unwrap_or(1))
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => fatal!("uid={}: {error}", caller.uid),
    }
}

fn parse(arguments: impl Iterator<Item = std::ffi::OsString>) -> Option<Vec<u8>> {
    let mut options = Options::new("c:rv", arguments);
    let mut directory = None;
    loop {
        match options.next_option() {
            Ok(Some((b'c', value))) => directory = Some(value),
            Ok(Some(_)) => {}
            Ok(None) => return directory,
            Err(error) => {
                eprintln!("postdrop: {error}");
                fatal!("usage: postdrop [-c config_dir] [-v]")
            }
        }
    }
}

fn check_caller(config: &Config, caller: &Caller) {
    // authorized_submit_users
    let allowed = caller.is_root()
        || caller.is_in(config, param::AUTHORIZED_SUBMIT_USERS).unwrap_or_else(|error| fatal!("{error}"));
    if !allowed {
        fatal!("User {}({}) is not allowed to submit mail", caller.label(), caller.uid);
    }
}

/// Takes one message: why it is not taken, if it is not; or nothing when its input ended early. Whatever is not a success
/// removes the file before this returns.
fn submit(config: &Config, rule: &SenderRule, uid: u32) -> Result<Option<(Option<Cause>, String)>, String> {
    let mut submission = Submission::create(config).map_err(|error| error.to_string())?;
    say(&postdrop::greeting(submission.id()));
    // line_length_limit
    let limit = config.get(param::LINE_LENGTH_LIMIT).map_err(|error| error.to_string())?;
    let limit = usize::try_from(limit).unwrap_or(2048);
    let mut input = Stream::new(BufReader::with_capacity(32 * 1024, io::stdin().lock()), limit);
    let result = match copy(&mut input, &mut submission, rule, uid)? {
        Copied::EndOfInput => return Ok(None),
        Copied::Incomplete => return Ok(Some((Some(Cause::Protocol), String::new()))),
        Copied::NotAllowed(sender) => {
            drain(&mut input);
            let reason = format!("not authorized to use sender='{sender}'");
            return Ok(Some((Some(Cause::NoPermission), reason)));
        }
        Copied::Failed(error) => {
            drain(&mut input);
            Err(error)
        }
        Copied::All => submission.finish(),
    };
    match result {
        Ok(()) => {
            wake_pickup(config);
            Ok(Some((None, String::new())))
        }
        Err(WriteError::TooLarge) => {
            warning!("uid={uid}: File too large");
            Ok(Some((Some(Cause::Size), String::new())))
        }
        Err(WriteError::Io(error)) => {
            warning!("uid={uid}: {}", text::system_error(&error));
            Ok(Some((Some(Cause::Write), String::new())))
        }
    }
}

/// The client is still writing; it reads the status when it is done.
fn drain(input: &mut Stream<impl BufRead>) {
    while let Ok(Some(_)) = input.next_record() {}
}

enum Copied {
    All,
    EndOfInput,
    /// Sender or recipient is missing.
    Incomplete,
    /// The caller may not name this sender.
    NotAllowed(String),
    Failed(WriteError),
}

fn copy(
    input: &mut Stream<impl BufRead>,
    submission: &mut Submission,
    rule: &SenderRule,
    uid: u32,
) -> Result<Copied, String> {
    let mut filter = Filter::new();
    loop {
        let (kind, payload) = match input.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(Copied::EndOfInput),
            Err(error) => {
                warning!("stdin: {error}");
                return Err("malformed input".into());
            }
        };
        let verdict = filter.judge(kind, payload).map_err(|error| error.to_string())?;
        if let Verdict::Ignore(what) = verdict {
            warning!("uid={uid}: ignoring {what}");
            continue;
        }
        if kind == Type::SENDER && !rule.allows(payload) {
            return Ok(Copied::NotAllowed(text::printable(payload)));
        }
        if let Err(error) = submission.push(kind, payload) {
            return Ok(Copied::Failed(error));
        }
        if verdict == Verdict::Last {
            return Ok(if filter.is_complete() { Copied::All } else { Copied::Incomplete });
        }
    }
}

/// Tells pickup. The message is safe whether that succeeds or not: pickup looks by itself, too.
fn wake_pickup(config: &Config) {
    let service = config.get(param::PICKUP_SERVICE_NAME).unwrap_or_else(|_| "pickup".into());
    let socket = Path::new("public").join(service);
    match trigger::post(&socket, &[trigger::WAKEUP]) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            warning!("unable to look up {}: No such file or directory", socket.display());
        }
        // The mail system is down: it looks when it starts.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) => warning!("connect to {}: {}", socket.display(), text::system_error(&error)),
        Ok(()) => {}
    }
}

fn say(words: &[u8]) {
    let mut out = io::stdout().lock();
    // A client that does not listen any more still has its message delivered.
    let _ = out.write_all(words).and_then(|()| out.flush());
}
