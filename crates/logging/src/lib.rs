//! The log: Postfix's lines, byte for byte where log readers look, and the same records as JSON.
//!
//! A line is a [`Record`] (a type with named facts, declared in [`records`]) or a text of a severity (the macros).
//! Where it goes is decided once a process ([`sink`]): syslog, the postlog service, or a terminal. Nothing unprintable
//! passes: the finished text goes through [`text::printable_into`], is cut at 2000 bytes, and is never a format string.
//!
//! Daemons gather the lines of one turn of their loop and send them together ([`batch`]).

mod catalogue;
pub mod delay;
mod file;
mod held;
pub mod library;
mod line;
mod record;
pub mod records;
mod repeat;
mod sink;
mod socket;
mod state;

use std::fmt::{Arguments, Display};

pub use catalogue::{Example, example};
pub use file::{LogFile, LogFileError};
pub use line::{Format, Severity, moment};
pub use record::{ALWAYS, Description, Fact, Field, Kind, Member, Record, Value};
pub use sink::{
    Destination, Setup, adopt, batch, end_batch, finish, flush, never_wait, on_lost, pass_on, set_program, set_up,
    set_up_command, tag, waiting,
};
pub use socket::dial;
pub use state::LONGEST_DATAGRAM;

/// Logs a record.
pub fn emit(record: &dyn Record) {
    sink::write(record.severity(), &record.to_string(), || catalogue::facts(record));
}

/// Logs a text; the macros end here.
pub fn emit_text(severity: Severity, text: Arguments<'_>) {
    match text.as_str() {
        Some(text) => sink::write(severity, text, Vec::new),
        None => sink::write(severity, &text.to_string(), Vec::new),
    }
}

/// Logs a text about one message, which stands in front of it: `ID: text`.
pub fn emit_of(severity: Severity, queue_id: &dyn Display, text: Arguments<'_>) {
    emit_about(severity, queue_id, format_args!("{queue_id}: {text}"));
}

/// Logs a text about one message that names it elsewhere, or not at all.
pub fn emit_about(severity: Severity, queue_id: &dyn Display, text: Arguments<'_>) {
    sink::write(severity, &text.to_string(), || about(queue_id.to_string()));
}

/// Logs a text that may come again and again: repetitions are counted, and told once a second.
pub fn emit_repeated(severity: Severity, text: Arguments<'_>) {
    sink::write_repeated(severity, None, &text.to_string());
}

/// The same about one message, which stands in front of it.
pub fn emit_repeated_of(severity: Severity, queue_id: &dyn Display, text: Arguments<'_>) {
    sink::write_repeated(severity, Some(&queue_id.to_string()), &format!("{queue_id}: {text}"));
}

/// The message as a fact; none where there is no message yet.
fn about(queue_id: String) -> Vec<Field> {
    if queue_id == records::NOQUEUE { Vec::new() } else { vec![("queue_id", Value::Text(queue_id))] }
}

/// Logs a text as fatal, and ends the process with the status that makes master try again later.
pub fn fail(text: Arguments<'_>, status: i32) -> ! {
    emit_text(Severity::Fatal, text);
    flush();
    std::process::exit(status)
}

/// Logs a line without a severity word.
///
/// Of a line about one message the queue id is a fact of its own: `info!(id: queue_id, "removed")` writes `ID:
/// removed`, and `warning!(about: queue_id, "...")` a text that names the message elsewhere.
#[macro_export]
macro_rules! info {
    (id: $id:expr, $($arg:tt)*) => { $crate::emit_of($crate::Severity::Info, &$id, format_args!($($arg)*)) };
    ($($arg:tt)*) => { $crate::emit_text($crate::Severity::Info, format_args!($($arg)*)) };
}
/// Logs a line that begins with `warning: `.
#[macro_export]
macro_rules! warning {
    (id: $id:expr, $($arg:tt)*) => { $crate::emit_of($crate::Severity::Warning, &$id, format_args!($($arg)*)) };
    (about: $id:expr, $($arg:tt)*) => { $crate::emit_about($crate::Severity::Warning, &$id, format_args!($($arg)*)) };
    ($($arg:tt)*) => { $crate::emit_text($crate::Severity::Warning, format_args!($($arg)*)) };
}
/// Logs a line that begins with `warning: `, from a loop that may have to say it at every turn.
#[macro_export]
macro_rules! repeated {
    (id: $id:expr, $($arg:tt)*) => {
        $crate::emit_repeated_of($crate::Severity::Warning, &$id, format_args!($($arg)*))
    };
    ($($arg:tt)*) => { $crate::emit_repeated($crate::Severity::Warning, format_args!($($arg)*)) };
}
/// Logs a line that begins with `error: `.
#[macro_export]
macro_rules! error { ($($arg:tt)*) => { $crate::emit_text($crate::Severity::Error, format_args!($($arg)*)) } }
/// Logs a line that begins with `fatal: ` and ends the process with status 1. For programs, not for libraries.
#[macro_export]
macro_rules! fatal { ($($arg:tt)*) => { $crate::fail(format_args!($($arg)*), 1) } }
