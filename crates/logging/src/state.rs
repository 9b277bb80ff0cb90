//! What a process knows of its log: the lines that wait, and the connections to those who read them.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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
    pending: Vec<Pending>,
    pub repeats: Repeats,
    pub wake: Option<Box<dyn Fn() + Send>>,
    /// Nobody waits for the log: lines that it does not take now are kept here.
    pub held: Option<Held<Pending>>,
    /// Asks for another connection to the system's log, from a place that its name does not lead to.
    pub ask: Option<Box<dyn Fn() + Send>>,
}

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
            Destination::Terminal => Err(io::Error::other("a terminal is no service")),
        }
    }

    pub(crate) fn push(&mut self, severity: Severity, text: &str, fields: impl FnOnce() -> Vec<Field>) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        let fields = if self.wants_fields() { fields() } else { Vec::new() };
        self.enqueue(Pending::Line(Line { unix, severity, text: text.to_owned(), fields }));
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
        let pending = std::mem::take(&mut self.pending);
        let Some(held) = &mut self.held else {
            return pending.into_iter().for_each(|line| {
                if !self.deliver(&line) {
                    // Nowhere else to say it; a closed standard error is nobody's fault.
                    drop(self.to_terminal(&line));
                }
            });
        };
        let mut stuck = false;
        for line in held.take().into_iter().chain(pending) {
            // The lines keep their order: behind one that waits, all wait.
            stuck = stuck || !self.deliver(&line);
            if stuck {
                self.keep(line);
            }
        }
        if let Some(lost) = self.held.as_mut().and_then(Held::lost) {
            self.push(Severity::Warning, &format!("{lost} lines before this one found no place in the log"), Vec::new);
        }
        if stuck {
            self.ask_for_another();
        }
    }

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
        let datagrams: Vec<_> = destinations.map(|destination| self.datagram(destination, oldest)).collect();
        let sockets = self.sockets.iter_mut().zip(datagrams);
        let taken = sockets.filter_map(|(socket, datagram)| Some(socket.as_mut()?.send_patiently(&datagram?).is_ok()));
        taken.fold(false, |any, taken| any | taken)
    }

    /// The line as a socket of this kind gets it.
    fn datagram(&self, destination: &Destination, line: &Pending) -> Option<Vec<u8>> {
        Some(match (destination, line) {
            (Destination::Syslog(facility), Pending::Line(line)) => {
                line::syslog(&self.origin(), *facility, line.unix, line.severity, &line.text).into_bytes()
            }
            (Destination::Postlog(_, form), Pending::Line(line)) => self.in_form(line, *form).into_bytes(),
            (Destination::Syslog(_), Pending::Ready(datagram)) => datagram.clone().into_bytes(),
            _ => return None,
        })
    }

    fn ask_for_another(&mut self) {
        let (Some(held), Some(ask)) = (&mut self.held, &self.ask) else { return };
        if held.may_ask(Instant::now()) {
            ask();
        }
    }

    /// Sends a line to every destination, and one that the log does not take to the log file itself or to syslog; false
    /// when nobody has it.
    fn deliver(&mut self, line: &Pending) -> bool {
        let (mut seen, mut lost) = (false, false);
        for at in 0..self.setup.destinations.len() {
            match self.send(at, line) {
                Ok(()) => seen = true,
                Err(_) => lost |= self.setup.destinations[at] != Destination::Terminal,
            }
        }
        // Whoever reads the terminal is not who reads the log.
        seen | ((lost || !seen) && (self.to_file(line) || self.to_syslog(line)))
    }

    fn origin(&self) -> Origin<'_> {
        Origin { tag: &self.tag, pid: std::process::id(), host: &self.setup.host }
    }

    fn in_form(&self, line: &Line, form: Format) -> String {
        match form {
            Format::Postfix => line::postfix(&self.origin(), &local(line.unix), line.severity, &line.text),
            Format::Json => line::json(&self.origin(), line.unix, line.severity, &line.text, &line.fields),
        }
    }

    /// The log file itself takes the line, if it can be opened.
    fn to_file(&self, line: &Pending) -> bool {
        let mut text = match line {
            Pending::Line(line) => self.in_form(line, Format::Postfix),
            Pending::Ready(datagram) => datagram.clone(),
        };
        text.push('\n');
        let file = self.setup.fallback.as_ref().and_then(|file| file.open().ok());
        file.is_some_and(|mut file| file.write_all(text.as_bytes()).is_ok())
    }

    /// The log file cannot be written either: then the system's log, where an administrator looks next. Not for who keeps
    /// lines until the log takes them.
    fn to_syslog(&self, line: &Pending) -> bool {
        let (Pending::Line(line), Some(_), None) = (line, &self.setup.fallback, &self.held) else { return false };
        let text = line::syslog(&self.origin(), MAIL, line.unix, line.severity, &line.text);
        let socket = self.connect(&Destination::Syslog(MAIL));
        socket.is_ok_and(|mut socket| socket.send(text.as_bytes()).is_ok())
    }

    fn send(&mut self, at: usize, line: &Pending) -> io::Result<()> {
        let destination = self.setup.destinations[at].clone();
        if destination == Destination::Terminal {
            return self.to_terminal(line);
        }
        let datagram = self.datagram(&destination, line).ok_or_else(|| io::Error::other("no datagram service"))?;
        if let Some(Some(socket)) = self.sockets.get_mut(at) {
            match socket.send(&datagram) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
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
        let mut out = String::new();
        match line {
            Pending::Line(line) => {
                out = format!("{}: ", self.setup.program);
                line::clean(line.severity, &line.text, &mut out);
            }
            Pending::Ready(datagram) => out.push_str(datagram),
        }
        out.push('\n');
        io::stderr().write_all(out.as_bytes())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A state whose lines go to a socket, and the receiving end.
    fn state(name: &str) -> (State, UnixDatagram, PathBuf) {
        let path = std::env::temp_dir().join(format!("log-state-{name}-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        let receiver = UnixDatagram::bind(&path).unwrap();
        receiver.set_nonblocking(true).unwrap();
        let destinations = vec![Destination::Postlog(path.clone(), Format::Postfix)];
        (State::of(Setup { destinations, ..Setup::default() }), receiver, path)
    }

    fn received(receiver: &UnixDatagram) -> Vec<String> {
        let mut buffer = [0; 4096];
        let next = std::iter::from_fn(|| receiver.recv(&mut buffer).ok().map(|count| buffer[..count].to_vec()));
        let texts = next.map(|bytes| String::from_utf8(bytes).unwrap());
        texts.map(|line| line.rsplit(": ").next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn a_line_that_the_log_service_does_not_take_is_in_the_file_though_the_terminal_has_it() {
        let folder = std::env::temp_dir().join(format!("log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (nobody, file) = (folder.join("postlog"), folder.join("file"));
        let destinations = vec![Destination::Terminal, Destination::Postlog(nobody, Format::Postfix)];
        let fallback = Some(crate::LogFile { path: file.clone(), mode: 0o600 });
        let setup = Setup { program: "postfix-script".into(), destinations, fallback, ..Setup::default() };
        State::of(setup).push(Severity::Info, "stopping", Vec::new);
        let written = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(written.ends_with(": stopping\n"), "{written}");
    }

    #[test]
    fn a_line_that_the_file_does_not_take_either_is_in_syslog() {
        let (mut state, receiver, path) = state("full");
        state.system_log = path.clone();
        state.setup.destinations = vec![Destination::Postlog(path.with_extension("nobody"), Format::Postfix)];
        state.setup.fallback = Some(crate::LogFile { path: "/dev/full".into(), mode: 0o600 });
        state.push(Severity::Info, "one", Vec::new);
        assert_eq!(received(&receiver), ["one"]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn lines_that_a_slow_reader_does_not_take_come_later_and_in_their_order() {
        let (mut state, receiver, path) = state("slow");
        state.never_wait();
        for number in 0..900 {
            state.push(Severity::Info, &number.to_string(), Vec::new);
        }
        let mut lines = received(&receiver);
        assert!(lines.len() < 900, "the socket takes everything: nothing is tried");
        while lines.len() < 900 {
            state.flush();
            lines.extend(received(&receiver));
        }
        assert_eq!(lines, (0..900).map(|number| number.to_string()).collect::<Vec<_>>());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn lines_outlive_a_reader_that_is_started_again() {
        let (mut state, receiver, path) = state("restart");
        state.never_wait();
        drop(receiver);
        std::fs::remove_file(&path).unwrap();
        state.push(Severity::Info, "while nobody reads", Vec::new);
        let receiver = UnixDatagram::bind(&path).unwrap();
        receiver.set_nonblocking(true).unwrap();
        state.flush();
        assert_eq!(received(&receiver), ["while nobody reads"]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn lines_that_find_no_place_are_counted_in_the_log() {
        let (mut state, receiver, path) = state("lost");
        state.never_wait();
        for number in 0..5000 {
            state.push(Severity::Info, &number.to_string(), Vec::new);
        }
        let mut lines = received(&receiver);
        while state.held.as_ref().is_some_and(|held| !held.is_empty()) {
            state.flush();
            lines.extend(received(&receiver));
        }
        state.flush();
        lines.extend(received(&receiver));
        let told = lines.pop().unwrap();
        let lost = 5000 - lines.len();
        assert_eq!(told, format!("{lost} lines before this one found no place in the log"));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_lost_system_log_is_asked_for_and_its_new_connection_gets_what_waited() {
        let (mut state, _receiver, path) = state("system");
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&asked);
        state.ask = Some(Box::new(move || {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }));
        state.setup.destinations = vec![Destination::Syslog(2)];
        state.system_log = path.with_extension("missing");
        let (gone, nobody) = UnixDatagram::pair().unwrap();
        drop(nobody);
        state.never_wait();
        state.adopt(gone);
        state.push(Severity::Info, "one", Vec::new);
        state.push(Severity::Info, "two", Vec::new);
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
        let (here, there) = UnixDatagram::pair().unwrap();
        there.set_nonblocking(true).unwrap();
        state.adopt(here);
        state.flush();
        assert_eq!(received(&there), ["one", "two"]);
        std::fs::remove_file(path).unwrap();
    }
}
