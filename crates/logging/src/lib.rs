//! The log: Postfix's lines, byte for byte where log readers look, and the same records as JSON.
//!
//! A line is a [`Record`] (a type with named facts, declared in [`records`]) or a text of a severity (the macros). Where it goes is decided
//! once a process ([`sink`]): syslog, the postlog service, or a terminal. Nothing unprintable passes: the finished text
//! goes through [`text::printable_into`], is cut at 2000 bytes, and is never a format string.
//!
//! Daemons gather the lines of one turn of their loop and send them together ([`batch`]).

mod catalogue;
pub mod delay;
mod file;
mod held;
mod line;
mod record;
pub mod records;
mod repeat;
mod sink;
mod socket;
mod state;

pub use catalogue::{Example, example};
pub use file::{LogFile, LogFileError};
pub use line::{Format, Severity, moment};
pub use record::{ALWAYS, Description, Fact, Field, Kind, Member, Record, Value};
pub use sink::{
    Destination, Setup, adopt, batch, end_batch, finish, flush, never_wait, on_lost, pass_on, set_program, set_up,
    set_up_command, tag, waiting,
};
pub use socket::dial;

/// Logs a record.
pub fn emit(record: &dyn Record) {
    sink::write(record.severity(), &record.to_string(), || catalogue::facts(record));
}

/// Logs a text; the macros end here.
pub fn emit_text(severity: Severity, text: std::fmt::Arguments<'_>) {
    match text.as_str() {
        Some(text) => sink::write(severity, text, Vec::new),
        None => sink::write(severity, &text.to_string(), Vec::new),
    }
}

/// Logs a text that may come again and again: repetitions are counted, and told once a second.
pub fn emit_repeated(severity: Severity, text: std::fmt::Arguments<'_>) {
    sink::write_repeated(severity, &text.to_string());
}

/// Logs a text as fatal, and ends the process with the status that makes master try again later.
pub fn fail(text: std::fmt::Arguments<'_>, status: i32) -> ! {
    emit_text(Severity::Fatal, text);
    flush();
    std::process::exit(status)
}

/// Logs a line without a severity word.
#[macro_export]
macro_rules! info { ($($arg:tt)*) => { $crate::emit_text($crate::Severity::Info, format_args!($($arg)*)) } }
/// Logs a line that begins with `warning: `.
#[macro_export]
macro_rules! warning { ($($arg:tt)*) => { $crate::emit_text($crate::Severity::Warning, format_args!($($arg)*)) } }
/// Logs a line that begins with `warning: `, from a loop that may have to say it at every turn.
#[macro_export]
macro_rules! repeated { ($($arg:tt)*) => { $crate::emit_repeated($crate::Severity::Warning, format_args!($($arg)*)) } }
/// Logs a line that begins with `error: `.
#[macro_export]
macro_rules! error { ($($arg:tt)*) => { $crate::emit_text($crate::Severity::Error, format_args!($($arg)*)) } }
/// Logs a line that begins with `fatal: ` and ends the process with status 1. For programs, not for libraries.
#[macro_export]
macro_rules! fatal { ($($arg:tt)*) => { $crate::fail(format_args!($($arg)*), 1) } }
