//! One message from standard input into maildrop, record by record, and its result.

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::time::Duration;

use config::{Config, param};
use logging::warning;
use queue::{Stream, Type};
use wire::cause::Cause;
use wire::{postdrop, trigger};

use crate::filter::{Filter, Verdict};
use crate::maildrop::{Submission, WriteError};
use crate::sender::SenderRule;

/// Takes one message: why it is not taken, if it is not; or nothing when its input ended early. Whatever is not a
/// success removes the file before this returns.
///
/// # Errors
/// A sentence: no file can be made, or the input is no message.
pub(crate) fn submit(config: &Config, rule: &SenderRule, uid: u32) -> Result<Option<(Option<Cause>, String)>, String> {
    let mut submission = Submission::create(config).map_err(|error| error.to_string())?;
    say(&postdrop::greeting(submission.id()));
    // line_length_limit
    let limit = config.read(param::LINE_LENGTH_LIMIT).map_err(|error| error.to_string())?;
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
    // trigger_timeout
    let patience = config.get(param::TRIGGER_TIMEOUT).unwrap_or(Duration::from_secs(10));
    match trigger::post(&socket, &[trigger::WAKEUP], patience) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            warning!("unable to look up {}: No such file or directory", socket.display());
        }
        // The mail system is down: it looks when it starts.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) => warning!("connect to {}: {}", socket.display(), text::system_error(&error)),
        Ok(()) => {}
    }
}

/// Tells the client.
pub(crate) fn say(words: &[u8]) {
    let mut out = io::stdout().lock();
    // A client that does not listen any more still has its message delivered.
    let _ = out.write_all(words).and_then(|()| out.flush());
}
