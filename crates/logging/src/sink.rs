//! Where lines go: decided once a process, replaceable when its configuration is known.
//!
//! Before main.cf is read, lines go to syslog under `postfix/PROGRAM` (or $MAIL_LOGTAG). A destination that cannot be
//! reached is tried again with the next line; lines that find no destination go to standard error.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::line::{self, Format, Origin, Severity};
use crate::record::Field;
use crate::repeat::Repeats;

/// A destination of lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The system's log socket, with a facility number (2 is mail).
    Syslog(u8),
    /// The datagram socket of postlogd, with the form of its lines.
    Postlog(PathBuf, Format),
    /// Standard error, as `PROGRAM: severity: text`.
    Terminal,
    /// A file, appended to line by line (postlogd itself, and programs that run before it does).
    File(PathBuf, Format),
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
    /// A file for lines that no destination takes: the log file itself, while postlogd does not run.
    pub fallback: Option<PathBuf>,
}

struct State {
    setup: Setup,
    tag: String,
    sockets: Vec<Option<Socket>>,
    pending: Vec<Pending>,
    repeats: Repeats,
    wake: Option<Box<dyn Fn() + Send>>,
}

struct Pending {
    unix: i64,
    severity: Severity,
    queue_id: Option<String>,
    text: String,
    fields: Vec<Field>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

/// Lines that may wait for a flush.
const MAX_PENDING: usize = 256;
/// How long a full log socket may hold a process up.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// Decides where lines go; later calls replace earlier ones. The tag is $MAIL_LOGTAG or the given name, `/`, program.
pub fn set_up(setup: Setup) {
    with_state(|state| {
        state.tag = compose_tag(&setup);
        state.sockets = setup.destinations.iter().map(connect).collect();
        state.setup = setup;
    });
}

/// For commands: lines go to the terminal, and to syslog if wanted.
pub fn set_up_command(program: &str, syslog: bool) {
    let mut destinations = vec![Destination::Terminal];
    if syslog {
        destinations.push(Destination::Syslog(2));
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

/// Sends the lines that wait.
pub fn flush() {
    with_state(|state| {
        for (severity, text) in state.repeats.due(Instant::now()) {
            state.push(severity, None, &text, Vec::new);
        }
        state.flush();
    });
}

pub(crate) fn write_repeated(severity: Severity, text: &str) {
    with_state(|state| {
        for (severity, text) in state.repeats.note(severity, text, Instant::now()) {
            state.push(severity, None, &text, Vec::new);
        }
    });
}

pub(crate) fn write(severity: Severity, queue_id: Option<&str>, text: &str, fields: impl FnOnce() -> Vec<Field>) {
    with_state(|state| state.push(severity, queue_id, text, fields));
}

impl State {
    fn new() -> Self {
        let program = std::env::args_os().next().map(PathBuf::from);
        let program = program.as_deref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
        let setup = Setup {
            program: program.unwrap_or_default().into_owned(),
            destinations: vec![Destination::Syslog(2)],
            ..Setup::default()
        };
        let sockets = setup.destinations.iter().map(connect).collect();
        Self { tag: compose_tag(&setup), setup, sockets, pending: Vec::new(), repeats: Repeats::default(), wake: None }
    }

    fn push(&mut self, severity: Severity, queue_id: Option<&str>, text: &str, fields: impl FnOnce() -> Vec<Field>) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        let fields = if self.wants_fields() { fields() } else { Vec::new() };
        let first = self.pending.is_empty();
        let queue_id = queue_id.map(str::to_owned);
        self.pending.push(Pending { unix, severity, queue_id, text: text.to_owned(), fields });
        match &self.wake {
            Some(wake) if self.pending.len() < MAX_PENDING => {
                if first {
                    wake();
                }
            }
            _ => self.flush(),
        }
    }

    fn wants_fields(&self) -> bool {
        self.setup.destinations.iter().any(|destination| {
            matches!(destination, Destination::Postlog(_, Format::Json) | Destination::File(_, Format::Json))
        })
    }

    fn flush(&mut self) {
        for line in std::mem::take(&mut self.pending) {
            let (mut seen, mut lost) = (false, false);
            for at in 0..self.setup.destinations.len() {
                match self.send(at, &line) {
                    Ok(()) => seen = true,
                    Err(_) => lost |= self.setup.destinations[at] != Destination::Terminal,
                }
            }
            // Whoever reads the terminal is not who reads the log.
            let seen = seen | ((lost || !seen) && self.to_file(&line));
            if !seen {
                // Nowhere else to say it; a closed standard error is nobody's fault.
                drop(self.to_terminal(&line));
            }
        }
    }

    fn origin(&self) -> Origin<'_> {
        Origin { tag: &self.tag, pid: std::process::id(), host: &self.setup.host }
    }

    fn in_form(&self, line: &Pending, form: Format) -> String {
        match form {
            Format::Postfix => line::postfix(&self.origin(), line.unix, line.severity, &line.text),
            Format::Json => {
                let queue_id = line.queue_id.as_deref();
                line::json(&self.origin(), line.unix, line.severity, queue_id, &line.text, &line.fields)
            }
        }
    }

    /// A destination did not take the line: the log file itself does, if it can be opened.
    fn to_file(&self, line: &Pending) -> bool {
        let fallback = self.setup.fallback.as_ref();
        fallback.is_some_and(|path| append(path, self.in_form(line, Format::Postfix)).is_ok())
    }

    fn send(&mut self, at: usize, line: &Pending) -> io::Result<()> {
        let (datagram, destination) = match &self.setup.destinations[at] {
            Destination::Terminal => return self.to_terminal(line),
            Destination::File(path, form) => return append(path, self.in_form(line, *form)),
            Destination::Syslog(facility) => {
                let text = line::syslog(&self.origin(), *facility, line.unix, line.severity, &line.text);
                (text, Destination::Syslog(*facility))
            }
            Destination::Postlog(path, form) => (self.in_form(line, *form), Destination::Postlog(path.clone(), *form)),
        };
        if let Some(Some(socket)) = self.sockets.get_mut(at) {
            match socket.send(datagram.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
        // The receiver was restarted, or was not there yet.
        let mut socket = connect(&destination).ok_or(io::ErrorKind::NotConnected)?;
        socket.send(datagram.as_bytes())?;
        if let Some(slot) = self.sockets.get_mut(at) {
            *slot = Some(socket);
        }
        Ok(())
    }

    fn to_terminal(&self, line: &Pending) -> io::Result<()> {
        let mut out = format!("{}: ", self.setup.program);
        line::clean(line.severity, &line.text, &mut out);
        out.push('\n');
        io::stderr().write_all(out.as_bytes())
    }
}

fn append(path: &std::path::Path, mut line: String) -> io::Result<()> {
    line.push('\n');
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?.write_all(line.as_bytes())
}

fn compose_tag(setup: &Setup) -> String {
    if let Some(tag) = &setup.tag {
        return tag.clone();
    }
    let name = match std::env::var("MAIL_LOGTAG") {
        Ok(name) if !name.is_empty() && setup.syslog_name.is_empty() => name,
        _ if setup.syslog_name.is_empty() => "postfix".to_owned(),
        _ => setup.syslog_name.clone(),
    };
    format!("{name}/{}", setup.program)
}

/// A connected datagram socket, and whether its receiver is worth waiting for.
struct Socket {
    socket: UnixDatagram,
    impatient: bool,
}

impl Socket {
    /// A receiver that is there and does not read is waited for once, and not again before it reads: master logs while
    /// postlogd, which master is to start, does not run yet.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let result = self.socket.send(datagram).map(drop);
        let stuck = result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if stuck != self.impatient && (stuck || result.is_ok()) {
            self.socket.set_nonblocking(stuck)?;
            self.impatient = stuck;
        }
        result
    }
}

fn connect(destination: &Destination) -> Option<Socket> {
    let path = match destination {
        Destination::Syslog(_) => PathBuf::from("/dev/log"),
        Destination::Postlog(path, _) => path.clone(),
        Destination::Terminal | Destination::File(..) => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect(path).ok()?;
    socket.set_write_timeout(Some(SEND_TIMEOUT)).ok()?;
    Some(Socket { socket, impatient: false })
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
    fn a_line_that_the_log_service_does_not_take_is_in_the_file_though_the_terminal_has_it() {
        let folder = std::env::temp_dir().join(format!("log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (nobody, file) = (folder.join("postlog"), folder.join("file"));
        let destinations = vec![Destination::Terminal, Destination::Postlog(nobody, Format::Postfix)];
        let setup =
            Setup { program: "postfix-script".into(), destinations, fallback: Some(file.clone()), ..Setup::default() };
        let mut state = State { setup, ..State::new() };
        state.sockets = vec![None, None];
        let text = "stopping".to_owned();
        state.pending.push(Pending { unix: 0, severity: Severity::Info, queue_id: None, text, fields: Vec::new() });
        state.flush();
        let written = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(written.ends_with(": stopping\n"), "{written}");
    }

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
