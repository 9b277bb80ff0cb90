//! What a process knows of its log: the lines that wait, and the connections to those who read them.

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use sys::time::local;

use crate::held::Held;
use crate::line::{self, Format, Origin, Severity};
use crate::record::Field;
use crate::repeat::{Repeats, Told};
use crate::sink::{Destination, MAIL, Setup};
use crate::socket::{SYSTEM_LOG, Socket};

/// Lines that may wait for a flush.
/// told: nobody; the lines go out.
const MAX_PENDING: usize = 256;

pub(crate) struct State {
    pub setup: Setup,
    pub tag: String,
    /// Where the system's log is.
    system_log: PathBuf,
    sockets: Vec<Option<Socket>>,
    /// Lines that go to the postlog service together; one where the system takes no long datagrams.
    together: usize,
    pending: Vec<Pending>,
    pub repeats: Repeats,
    pub wake: Option<Box<dyn Fn() + Send>>,
    /// Nobody waits for the log: lines that it does not take now are kept here.
    pub held: Option<Held<Pending>>,
    /// Asks for another connection to the system's log, from a place that its name does not lead to.
    pub ask: Option<Box<dyn Fn() + Send>>,
}

/// Lines that one datagram to the postlog service has at most. Each is short enough ([`line::MAX_JSON`]) for all of
/// them to fit a datagram.
const LINES_AT_ONCE: usize = 16;
/// The longest datagram that the postlog service gets from us.
/// told: nobody; of what others send the start is kept.
pub const LONGEST_DATAGRAM: usize = LINES_AT_ONCE * (line::MAX_JSON + 1);

/// What waits to be sent.
pub(crate) enum Pending {
    /// A line of this process.
    Line(Line),
    /// A datagram for the system's log.
    Ready(String),
}

pub(crate) struct Line {
    unix: i64,
    severity: Severity,
    text: String,
    fields: Vec<Field>,
}

impl State {
    pub(crate) fn new() -> Self {
        let program = std::env::args_os().next().map(PathBuf::from);
        let program = program.as_deref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy());
        Self::of(Setup {
            program: program.unwrap_or_default().into_owned(),
            destinations: vec![Destination::Syslog(MAIL)],
            ..Setup::default()
        })
    }

    fn of(setup: Setup) -> Self {
        let mut state = Self {
            setup: Setup::default(),
            tag: String::new(),
            system_log: SYSTEM_LOG.into(),
            sockets: Vec::new(),
            together: LINES_AT_ONCE,
            pending: Vec::new(),
            repeats: Repeats::default(),
            wake: None,
            held: None,
            ask: None,
        };
        state.replace(setup);
        state
    }

    pub(crate) fn replace(&mut self, setup: Setup) {
        self.tag = compose_tag(&setup);
        self.setup = setup;
        self.sockets = self.setup.destinations.iter().map(|destination| self.connect(destination).ok()).collect();
    }

    /// Connections wait for their receivers no more, or again.
    fn reconnected(&mut self, never_waits: bool) {
        let changed = |socket: Option<Socket>| socket.and_then(|socket| socket.changed(never_waits).ok());
        self.sockets = std::mem::take(&mut self.sockets).into_iter().map(changed).collect();
    }

    pub(crate) fn never_wait(&mut self) {
        self.held.get_or_insert_default();
        self.reconnected(true);
    }

    pub(crate) fn wait_again(&mut self) {
        if let Some(mut held) = self.held.take() {
            self.pending.splice(0..0, held.take());
        }
        self.reconnected(false);
    }

    pub(crate) fn adopt(&mut self, connection: UnixDatagram) {
        let is_syslog = |destination: &Destination| matches!(destination, Destination::Syslog(_));
        let place = self.setup.destinations.iter().position(is_syslog);
        if let Some(slot) = place.and_then(|at| self.sockets.get_mut(at)) {
            *slot = Socket::new(connection, self.held.is_some()).ok();
        }
    }

    fn connect(&self, destination: &Destination) -> io::Result<Socket> {
        match destination {
            Destination::Syslog(_) => Socket::connect(&self.system_log, self.held.is_some()),
            Destination::Postlog(path, _) => Socket::connect(path, self.held.is_some()),
            Destination::Terminal | Destination::Output => Err(io::Error::other("a terminal is no service")),
        }
    }

    pub(crate) fn push(&mut self, severity: Severity, text: &str, fields: impl FnOnce() -> Vec<Field>) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        let fields = if self.wants_fields() { fields() } else { Vec::new() };
        let text = if self.setup.ascii { text::printable_ascii(text.as_bytes()) } else { text.to_owned() };
        self.enqueue(Pending::Line(Line { unix, severity, text, fields }));
    }

    pub(crate) fn push_told(&mut self, line: Told) {
        let Told { severity, queue_id, text } = line;
        self.push(severity, &text, || queue_id.map(crate::about).unwrap_or_default());
    }

    pub(crate) fn enqueue(&mut self, line: Pending) {
        let first = self.pending.is_empty();
        self.pending.push(line);
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
        self.setup.destinations.iter().any(|destination| matches!(destination, Destination::Postlog(_, Format::Json)))
    }

    pub(crate) fn flush(&mut self) {
        let mut waiting = self.held.as_mut().map(Held::take).unwrap_or_default();
        waiting.extend(std::mem::take(&mut self.pending));
        let waits = self.held.is_some();
        let mut stuck = false;
        while !waiting.is_empty() && !stuck {
            // told: nobody; the others follow.
            let group: Vec<Pending> = waiting.drain(..self.lines_at_once().min(waiting.len())).collect();
            if self.deliver(&group) {
                continue;
            }
            let too_long = group.len() > self.lines_at_once();
            if waits || too_long {
                // The lines keep their order: behind one that waits, all wait.
                stuck = !too_long;
                group.into_iter().rev().for_each(|line| waiting.push_front(line));
            } else {
                // Nowhere else to say it; a closed standard error is nobody's fault.
                group.iter().for_each(|line| drop(self.to_terminal(line)));
            }
        }
        let excess = self.held.as_mut().map(|held| held.put_back(waiting)).unwrap_or_default();
        excess.into_iter().for_each(|line| self.keep(line));
        if let Some(lost) = self.held.as_mut().and_then(Held::lost) {
            self.push(Severity::Warning, &format!("{lost} lines before this one found no place in the log"), Vec::new);
        }
        if stuck {
            self.ask_for_another();
        }
    }

    /// Lines that go together: a datagram of syslog has one.
    fn lines_at_once(&self) -> usize {
        let is_one = |destination: &Destination| matches!(destination, Destination::Syslog(_));
        if self.setup.destinations.iter().any(is_one) { 1 } else { self.together }
    }

    /// A line for which there may be no place.
    fn keep(&mut self, line: Pending) {
        let now = Instant::now();
        if self.held.as_ref().is_some_and(|held| held.may_wait(now)) {
            let taken = self.wait_for_reader();
            self.held.as_mut().into_iter().for_each(|held| held.waited(taken, now));
        }
        if let Some(line) = self.held.as_mut().and_then(|held| held.keep(line)) {
            // Nowhere else to say it; a closed standard error is nobody's fault.
            drop(self.to_terminal(&line));
        }
    }

    /// Gives the oldest line to readers that are there; false when none has taken it within a second.
    fn wait_for_reader(&mut self) -> bool {
        let Some(oldest) = self.held.as_ref().and_then(Held::oldest) else { return false };
        let destinations = self.setup.destinations.iter();
        let oldest = std::slice::from_ref(oldest);
        let datagrams: Vec<_> = destinations.map(|destination| self.datagram(destination, oldest)).collect();
        let sockets = self.sockets.iter_mut().zip(datagrams);
        let taken = sockets.filter_map(|(socket, datagram)| Some(socket.as_mut()?.send_patiently(&datagram?).is_ok()));
        taken.fold(false, |any, taken| any | taken)
    }

    /// The lines as a socket of this kind gets them: several with a newline between them.
    fn datagram(&self, destination: &Destination, lines: &[Pending]) -> Option<Vec<u8>> {
        let mut datagram = Vec::new();
        for line in lines {
            let line = match (destination, line) {
                (Destination::Syslog(facility), Pending::Line(line)) => {
                    line::syslog(&self.origin(), *facility, line.unix, line.severity, &line.text)
                }
                (Destination::Postlog(_, form), Pending::Line(line)) => self.in_form(line, *form),
                (Destination::Syslog(_), Pending::Ready(datagram)) => datagram.clone(),
                _ => return None,
            };
            if !datagram.is_empty() {
                datagram.push(b'\n');
            }
            datagram.extend_from_slice(line.as_bytes());
        }
        Some(datagram)
    }

    fn ask_for_another(&mut self) {
        let (Some(held), Some(ask)) = (&mut self.held, &self.ask) else { return };
        if held.may_ask(Instant::now()) {
            ask();
        }
    }

    /// Sends lines to every destination, and what the log does not take to the log file itself or to syslog; false when
    /// nobody has them.
    fn deliver(&mut self, lines: &[Pending]) -> bool {
        let (mut seen, mut lost, mut later) = (false, false, false);
        for at in 0..self.setup.destinations.len() {
            match self.send(at, lines) {
                Ok(()) => seen = true,
                // A reader that is there, and has not come to it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.held.is_some() => later = true,
                Err(_) => lost |= !self.setup.destinations[at].is_terminal(),
            }
        }
        if later && !lost {
            return seen;
        }
        // Whoever reads the terminal is not who reads the log.
        seen | ((lost || !seen) && (self.to_file(lines) || self.to_syslog(lines)))
    }

    fn origin(&self) -> Origin<'_> {
        Origin { tag: &self.tag, pid: sys::process::id(), host: &self.setup.host }
    }

    fn in_form(&self, line: &Line, form: Format) -> String {
        match form {
            Format::Postfix => line::postfix(&self.origin(), &local(line.unix), line.severity, &line.text),
            Format::Json => line::json(&self.origin(), line.unix, line.severity, &line.text, &line.fields),
        }
    }

    /// The log file itself takes the lines, if it can be opened.
    fn to_file(&self, lines: &[Pending]) -> bool {
        let mut text = String::new();
        for line in lines {
            match line {
                Pending::Line(line) => text.push_str(&self.in_form(line, Format::Postfix)),
                Pending::Ready(datagram) => text.push_str(datagram),
            }
            text.push('\n');
        }
        let file = self.setup.fallback.as_ref().and_then(|file| file.open().ok());
        file.is_some_and(|mut file| file.write_all(text.as_bytes()).is_ok())
    }

    /// The log file cannot be written either: then the system's log, where an administrator looks next. Not for who
    /// keeps lines until the log takes them.
    fn to_syslog(&self, lines: &[Pending]) -> bool {
        let (Some(_), None) = (&self.setup.fallback, &self.held) else { return false };
        let syslog = Destination::Syslog(MAIL);
        let Ok(mut socket) = self.connect(&syslog) else { return false };
        lines.chunks(1).all(|line| self.datagram(&syslog, line).is_some_and(|text| socket.send(&text).is_ok()))
    }

    fn send(&mut self, at: usize, lines: &[Pending]) -> io::Result<()> {
        let destination = self.setup.destinations[at].clone();
        match destination {
            Destination::Terminal => return lines.iter().try_for_each(|line| self.to_terminal(line)),
            Destination::Output => return lines.iter().try_for_each(|line| self.to(io::stdout(), line)),
            Destination::Syslog(_) | Destination::Postlog(..) => {}
        }
        let datagram = self.datagram(&destination, lines).ok_or_else(|| io::Error::other("no datagram service"))?;
        if let Some(Some(socket)) = self.sockets.get_mut(at) {
            match socket.send(&datagram) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) if lines.len() > 1 && error.raw_os_error() == Some(Errno::EMSGSIZE as i32) => {
                    // No more than 2048 bytes on some systems: from now on each line goes alone.
                    self.together = 1;
                    return Err(error);
                }
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
        // The receiver was restarted, or was not there yet.
        let mut socket = self.connect(&destination)?;
        socket.send(&datagram)?;
        if let Some(slot) = self.sockets.get_mut(at) {
            *slot = Some(socket);
        }
        Ok(())
    }

    fn to_terminal(&self, line: &Pending) -> io::Result<()> {
        self.to(io::stderr(), line)
    }

    fn to(&self, mut terminal: impl Write, line: &Pending) -> io::Result<()> {
        let mut out = String::new();
        match line {
            Pending::Line(line) => {
                out = format!("{}: ", self.setup.program);
                line::clean(line.severity, &line.text, &mut out);
            }
            Pending::Ready(datagram) => out.push_str(datagram),
        }
        out.push('\n');
        terminal.write_all(out.as_bytes())
    }
}

pub(crate) fn compose_tag(setup: &Setup) -> String {
    if let Some(tag) = &setup.tag {
        return tag.clone();
    }
    // The command that controls all instances has no name of an instance in front of its own.
    if setup.program == "postfix" {
        return setup.program.clone();
    }
    let name = match std::env::var("MAIL_LOGTAG") {
        Ok(name) if !name.is_empty() && setup.syslog_name.is_empty() => name,
        _ if setup.syslog_name.is_empty() => "postfix".to_owned(),
        _ => setup.syslog_name.clone(),
    };
    format!("{name}/{}", setup.program)
}
