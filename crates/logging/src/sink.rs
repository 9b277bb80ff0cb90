//! Where lines go: decided once a process, replaceable when its configuration is known.
//!
//! Before main.cf is read, lines go to syslog under `postfix/PROGRAM` (or $MAIL_LOGTAG). A destination that cannot be
//! reached is tried again with the next line. A line that the log service does not take goes to the log file itself,
//! one that the file does not take to syslog, and what finds no destination at all to standard error.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use crate::file::LogFile;
use crate::held::Held;
use crate::line::{Format, Severity};
use crate::record::Field;
use crate::repeat::Told;
use crate::state::{Pending, State, compose_tag};

/// A destination of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The system's log socket, with a facility number (2 is mail).
    Syslog(u8),
    /// The datagram socket of postlogd, with the form of its lines.
    Postlog(PathBuf, Format),
    /// Standard error, as `PROGRAM: severity: text`.
    Terminal,
    /// Standard output, in the same form: of a command whose lines are what it is called for.
    Output,
}

impl Destination {
    /// Whoever reads it is not who reads the log.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Destination::Terminal | Destination::Output)
    }
}

/// Everything that lines need besides their text.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Program name: the last part of the tag.
    pub program: String,
    /// syslog_name, or `postfix` as long as it is not known.
    pub syslog_name: String,
    /// The whole tag, in place of the one that is made of the two.
    pub tag: Option<String>,
    /// Host name up to its first dot.
    pub host: String,
    /// Where lines go.
    pub destinations: Vec<Destination>,
    /// Texts are ASCII: every other byte is `?`. Without smtputf8_enable.
    pub ascii: bool,
    /// A file for lines that no destination takes: the log file itself, while postlogd does not run.
    pub fallback: Option<LogFile>,
}

/// syslog(3): the facility of the mail system.
pub(crate) const MAIL: u8 = 2;

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// Decides where lines go; later calls replace earlier ones. The tag is $MAIL_LOGTAG or the given name, `/`, program.
pub fn set_up(setup: Setup) {
    with_state(|state| state.replace(setup));
}

/// For commands: lines go to the terminal, and to syslog if wanted.
pub fn set_up_command(program: &str, syslog: bool) {
    let mut destinations = vec![Destination::Terminal];
    if syslog {
        destinations.push(Destination::Syslog(MAIL));
    }
    set_up(Setup { program: program.to_owned(), destinations, ..Setup::default() });
}

/// Changes the program name in the tag.
pub fn set_program(program: &str) {
    with_state(|state| {
        state.setup.program = program.to_owned();
        state.tag = compose_tag(&state.setup);
    });
}

/// The tag of this process's lines, `postfix/smtpd`.
pub fn tag() -> String {
    with_state(|state| state.tag.clone())
}

/// From now on lines wait for [`flush`]; `wake` is called when the first one begins to wait.
pub fn batch(wake: impl Fn() + Send + 'static) {
    with_state(|state| state.wake = Some(Box::new(wake)));
}

/// Sends the lines that wait; later ones go out one by one.
pub fn end_batch() {
    with_state(|state| {
        state.wake = None;
        state.flush();
    });
}

/// From now on nobody waits for the log: lines that it does not take at once are kept, and go out with a later
/// [`flush`].
pub fn never_wait() {
    with_state(State::never_wait);
}

/// The end of the process: what was kept goes out now, or to standard error.
pub fn finish() {
    with_state(|state| {
        state.wake = None;
        state.wait_again();
        state.flush();
    });
}

/// How a process gets another connection to the system's log when the name of that leads nowhere for it: `ask` is
/// called, and [`adopt`] brings it.
pub fn on_lost(ask: impl Fn() + Send + 'static) {
    with_state(|state| state.ask = Some(Box::new(ask)));
}

/// Takes over a connection to the system's log, from [`dial`] in another process.
pub fn adopt(connection: UnixDatagram) {
    with_state(|state| {
        state.adopt(connection);
        state.flush();
    });
}

/// Sends the lines that wait; false when some have to wait longer.
pub fn flush() -> bool {
    with_state(|state| {
        let due = state.repeats.due(Instant::now());
        due.into_iter().for_each(|line| state.push_told(line));
        state.flush();
        state.held.as_ref().is_none_or(Held::is_empty)
    })
}

/// How many lines wait because the log does not take them.
pub fn waiting() -> usize {
    with_state(|state| state.held.as_ref().map_or(0, Held::count))
}

/// A line of another program for the system's log, in the form that it has there.
pub fn pass_on(datagram: String) {
    with_state(|state| state.enqueue(Pending::Ready(datagram)));
}

pub(crate) fn write_repeated(severity: Severity, queue_id: Option<&str>, text: &str) {
    with_state(|state| {
        let line = Told { severity, queue_id: queue_id.map(str::to_owned), text: text.to_owned() };
        let told = state.repeats.note(line, Instant::now());
        told.into_iter().for_each(|line| state.push_told(line));
    });
}

pub(crate) fn write(severity: Severity, text: &str, fields: impl FnOnce() -> Vec<Field>) {
    with_state(|state| state.push(severity, text, fields));
}

fn with_state<T>(work: impl FnOnce(&mut State) -> T) -> T {
    // A panic while logging leaves whole lines behind: the state stays usable.
    let mut state = STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    work(state.get_or_insert_with(State::new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_reach_the_postlog_socket_as_postfix_formats_them_and_survive_its_restart() {
        let path = std::env::temp_dir().join(format!("postlog-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        let first = UnixDatagram::bind(&path).unwrap();
        set_up(Setup {
            tag: None,
            program: "smtpd".into(),
            syslog_name: "postfix/submission".into(),
            host: "mx".into(),
            destinations: vec![Destination::Postlog(path.clone(), Format::Postfix)],
            ascii: false,
            fallback: None,
        });
        crate::info!("connect from {}", "x\n[1.2.3.4]");
        let mut buffer = [0; 4096];
        let count = first.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..count]);
        let expected = format!(" mx postfix/submission/smtpd[{}]: connect from x?[1.2.3.4]", std::process::id());
        assert!(text.ends_with(&expected), "{text}");

        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = UnixDatagram::bind(&path).unwrap();
        crate::warning!("again");
        let count = second.recv(&mut buffer).unwrap();
        assert!(String::from_utf8_lossy(&buffer[..count]).ends_with(": warning: again"));
        std::fs::remove_file(&path).unwrap();
    }
}
