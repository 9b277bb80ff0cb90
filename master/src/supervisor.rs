//! The event loop: clients wait, workers report and die, timers run out.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use config::Config;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use net::presence::Changes;
use signal_hook::consts::signal::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use sys::identity::Identity;
use sys::watchdog;
use wire::status::{LOG_WANTED, Order, Report};

use crate::accepted::Accepted;
use crate::child::{Nursery, not_started, program};
use crate::late::Lookout;
use crate::service::{self, STRESS_TIME, Service, ServiceId};
use crate::timer::{Event, Timers};
use crate::wakeup::{self, Connection};
use crate::{ending, reload};

/// Everything that master knows.
pub(crate) struct Supervisor {
    pub poll: Poll,
    pub config: Config,
    pub owner: Identity,
    pub nursery: Nursery,
    pub services: BTreeMap<ServiceId, Service>,
    pub timers: Timers,
    /// The main.cf in force.
    pub accepted: Accepted,
    /// Reloads until now.
    pub reloads: u32,
    /// Services that are not started because their programs are not there, as last told to the operator.
    pub absent: Vec<String>,
    /// What the log says about services that need no process.
    pub needless: Vec<String>,
    /// Process 1 of a container: reaps strangers, ends with status 0.
    pub init: bool,
    pub signals: Signals,
    /// Waits for addresses that are not there.
    pub lookout: Lookout,
    pub sources: HashMap<Token, Source>,
    wakeups: HashMap<u64, (Connection, Token)>,
    next_number: usize,
}

/// What a readiness event is about.
pub(crate) enum Source {
    Listener(ServiceId),
    Worker(ServiceId, u32),
    Wakeup(u64),
}

const SIGNALS: Token = Token(0);
const ADDRESSES_CHANGE: Token = Token(1);
const ADDRESSES_KNOWN: Token = Token(2);
/// The watchdog's time, seconds: a loop that does not turn for so long is the end of the process.
const WATCHDOG: u32 = 1000;
/// The loop turns at least this often.
const TURN: Duration = Duration::from_secs(300);
/// Reports of one worker that are read in one turn.
/// told: the log; the worker is not listened to any more.
const MOST_REPORTS: u32 = 10_000;
/// How soon a log that did not take a line is tried again.
const LOG_RETRY: Duration = Duration::from_millis(100);

impl Supervisor {
    pub(crate) fn new(
        config: Config,
        owner: Identity,
        nursery: Nursery,
        init: bool,
        changes: Option<Changes>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGCHLD])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let lookout = Lookout::new(&poll, changes, ADDRESSES_CHANGE, ADDRESSES_KNOWN)?;
        Ok(Self {
            poll,
            config,
            owner,
            nursery,
            services: BTreeMap::new(),
            timers: Timers::default(),
            accepted: Accepted::default(),
            reloads: 0,
            absent: Vec::new(),
            needless: Vec::new(),
            init,
            signals,
            lookout,
            sources: HashMap::new(),
            wakeups: HashMap::new(),
            next_number: ADDRESSES_KNOWN.0,
        })
    }

    /// Runs until a signal ends it; the number of that signal, or `None` after `-e`.
    pub(crate) fn run(&mut self) -> io::Result<Option<i32>> {
        logging::never_wait();
        watchdog::watch(WATCHDOG, || {
            logging::emit_text(logging::Severity::Fatal, format_args!("watchdog timeout"));
            logging::finish();
        });
        let mut events = Events::with_capacity(256);
        loop {
            watchdog::feed();
            let patience = self.timers.patience().unwrap_or(TURN).min(TURN);
            // A log that does not take a line is tried again, and not waited for.
            let patience = if logging::flush() { patience } else { patience.min(LOG_RETRY) };
            match self.poll.poll(&mut events, Some(patience)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if event.token() == SIGNALS {
                    if let Some(signal) = self.take_signals() {
                        return Ok(Some(signal));
                    }
                } else {
                    self.ready(event.token());
                }
            }
            while let Some(event) = self.timers.due() {
                if event == Event::Exit {
                    return Ok(None);
                }
                self.time_has_come(event);
            }
        }
    }

    /// Adds a service and begins to serve it.
    pub(crate) fn add(&mut self, service: Service) -> ServiceId {
        let id = self.next();
        self.services.insert(id, service);
        self.begin_wakeup(id);
        self.watch(id);
        id
    }

    /// Waits for clients of a service exactly when a worker is wanted for the next one.
    pub(crate) fn watch(&mut self, id: ServiceId) {
        let Some(service) = self.services.get(&id) else { return };
        let (wanted, listening) = (service.wants_worker(), service.listening);
        if wanted == listening {
            return;
        }
        if wanted {
            let sockets: Vec<i32> = service.listeners.iter().map(|listener| listener.socket.as_raw_fd()).collect();
            for socket in sockets {
                self.register(socket, Source::Listener(id));
            }
        } else {
            self.unwatch(id);
        }
        if let Some(service) = self.services.get_mut(&id) {
            service.listening = wanted;
        }
    }

    /// Stops waiting for clients of a service.
    pub(crate) fn unwatch(&mut self, id: ServiceId) {
        self.sources.retain(|_, source| !matches!(source, Source::Listener(other) if *other == id));
        let Some(service) = self.services.get_mut(&id) else { return };
        service.listening = false;
        for listener in &service.listeners {
            // Not registered any more is as good as deregistered.
            let _ = self.poll.registry().deregister(&mut SourceFd(&listener.socket.as_raw_fd()));
        }
    }

    /// Starts the wakeup of a service anew.
    pub(crate) fn begin_wakeup(&mut self, id: ServiceId) {
        let Some(service) = self.services.get_mut(&id) else { return };
        service.wakeup_generation += 1;
        let Some(wakeup) = service.entry.wakeup else { return };
        service.wakeup_dormant = wakeup.conditional;
        if !wakeup.conditional {
            self.timers.after(Duration::ZERO, Event::Wakeup(id, service.wakeup_generation));
        }
    }

    /// Tells every worker of a service to end when its clients are served, and forgets their channels.
    pub(crate) fn drain(&mut self, id: ServiceId) {
        self.order_to_end(id, Order::Drain);
    }

    /// Gives every worker of a service its last order, and forgets their channels.
    pub(crate) fn order_to_end(&mut self, id: ServiceId, order: Order) {
        let Some(service) = self.services.get_mut(&id) else { return };
        service.order(order);
        let channels: Vec<OwnedFd> = service.workers.values_mut().filter_map(|worker| worker.status.take()).collect();
        for channel in channels {
            self.forget(channel);
        }
    }

    /// The next number for a service or a token.
    pub(crate) fn next(&mut self) -> usize {
        self.next_number += 1;
        self.next_number
    }

    fn register(&mut self, fd: i32, source: Source) {
        let token = Token(self.next());
        match self.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE) {
            Ok(()) => drop(self.sources.insert(token, source)),
            Err(error) => logging::repeated!("register descriptor: {}", net::reason(&error)),
        }
    }

    fn forget(&mut self, channel: OwnedFd) {
        // Closing the descriptor would end the registration too; the worker may hold no copy of our end.
        let _ = self.poll.registry().deregister(&mut SourceFd(&channel.as_raw_fd()));
    }

    fn take_signals(&mut self) -> Option<i32> {
        let pending: Vec<i32> = self.signals.pending().collect();
        for signal in pending {
            match signal {
                SIGCHLD => drop(self.reap()),
                SIGHUP => reload::reload(self),
                other => return Some(other),
            }
        }
        None
    }

    fn ready(&mut self, token: Token) {
        match token {
            ADDRESSES_CHANGE => return self.addresses_change(),
            ADDRESSES_KNOWN => return self.addresses_are_known(),
            _ => {}
        }
        match self.sources.get(&token) {
            Some(Source::Listener(id)) => self.client_waits(*id),
            Some(Source::Worker(id, pid)) => self.worker_reports(*id, *pid),
            Some(Source::Wakeup(number)) => self.end_wakeup(*number),
            None => {}
        }
    }

    fn client_waits(&mut self, id: ServiceId) {
        let Some(service) = self.services.get_mut(&id) else { return };
        if service.wants_worker() {
            self.start_worker(id);
        }
        self.watch(id);
    }

    /// Starts one more worker of a service; false when that failed, of which the log tells.
    pub(crate) fn start_worker(&mut self, id: ServiceId) -> bool {
        let Some(service) = self.services.get_mut(&id) else { return false };
        let accepted = service.accepted.as_ref().unwrap_or(&self.accepted);
        match self.nursery.start(service, accepted) {
            Ok(worker) => {
                let pid = worker.process.id();
                let channel = worker.status.as_ref().map(AsRawFd::as_raw_fd);
                service.workers.insert(pid, worker);
                if let Some(channel) = channel {
                    self.register(channel, Source::Worker(id, pid));
                }
                self.wake_after_first_use(id);
                true
            }
            Err(error) => {
                let path = program(&self.nursery.programs, &service.entry.command);
                logging::warning!("{}", not_started(&path, &error));
                self.throttle(id, self.throttle_time());
                false
            }
        }
    }

    fn wake_after_first_use(&mut self, id: ServiceId) {
        let Some(service) = self.services.get_mut(&id) else { return };
        if std::mem::take(&mut service.wakeup_dormant)
            && let Some(wakeup) = service.entry.wakeup
        {
            let delay = Duration::from_secs(wakeup.seconds.into());
            self.timers.after(delay, Event::Wakeup(id, service.wakeup_generation));
        }
    }

    fn worker_reports(&mut self, id: ServiceId, pid: u32) {
        let Some(service) = self.services.get_mut(&id) else { return };
        let Some(worker) = service.workers.get_mut(&pid) else { return };
        let Some(status) = &worker.status else { return };
        let mut bytes = [0; 16];
        for heard in 0.. {
            match nix::unistd::read(status, &mut bytes) {
                // Nobody serves that many clients in one turn: whoever says so keeps master from everybody else.
                Ok(_) if heard >= MOST_REPORTS => {
                    let name = &service.entry.name;
                    logging::warning!(
                        "service {name}: process {pid} reports without end: it is not listened to any more"
                    );
                    if let Some(channel) = worker.status.take() {
                        self.forget(channel);
                    }
                    break;
                }
                // It never served anybody and may be broken: its place is free when SIGCHLD has said how it ended.
                Ok(0) if !worker.started_work => break,
                Ok(0) => {
                    // The worker is ending; SIGCHLD says how.
                    if let Some(channel) = worker.status.take() {
                        self.forget(channel);
                    }
                    break;
                }
                Ok(_) if bytes[0] == LOG_WANTED => service::send_log(status),
                Ok(_) => match Report::parse(bytes[0]) {
                    Some(report) => {
                        worker.started_work |= report != Report::Idle;
                        worker.finished_work |= report == Report::Idle && worker.started_work;
                        worker.report = report;
                    }
                    None => logging::repeated!("service {}: ignoring unknown status {}", service.entry.name, bytes[0]),
                },
                Err(_) => break,
            }
        }
        self.note_stress(id);
        self.watch(id);
    }

    fn note_stress(&mut self, id: ServiceId) {
        let Some(service) = self.services.get_mut(&id) else { return };
        if !service.knows_stress() || !service.is_full() {
            return;
        }
        if !service.is_stressed() {
            service.order(Order::Stress);
            self.timers.after(STRESS_TIME, Event::EndStress(id));
        }
        service.stressed = Some(Instant::now());
        if service.warned.is_none_or(|warned| warned.elapsed() >= STRESS_TIME) {
            service.warned = Some(Instant::now());
            let limit = service.entry.max_proc.unwrap_or(0);
            let canonical = service.identity.split_once(' ').map_or("", |(_, name)| name);
            logging::warning!(
                "service \"{}\" ({canonical}) has reached its process limit \"{limit}\": new clients may experience \
                 noticeable delays",
                service.entry.name
            );
            logging::warning!(
                "to avoid this condition, increase the process count in master.cf or reduce the service time per client"
            );
            logging::warning!(
                "see https://www.postfix.org/STRESS_README.html for examples of stress-adapting configuration settings"
            );
        }
    }

    fn time_has_come(&mut self, event: Event) {
        match event {
            Event::EndThrottle(id) => {
                if let Some(service) = self.services.get_mut(&id) {
                    service.throttled = false;
                }
                self.watch(id);
                self.resume(id);
            }
            Event::Wakeup(id, generation) => self.wake(id, generation),
            Event::EndStress(id) => self.end_stress(id),
            Event::EndWakeup(number) => self.end_wakeup(number),
            Event::Close(id) => self.close(id),
            Event::Look => self.look(),
            Event::Exit => {}
        }
    }

    fn end_stress(&mut self, id: ServiceId) {
        let Some(service) = self.services.get_mut(&id) else { return };
        match service.stressed.map(|since| STRESS_TIME.saturating_sub(since.elapsed())) {
            Some(left) if !left.is_zero() => self.timers.after(left, Event::EndStress(id)),
            _ => {
                service.stressed = None;
                service.order(Order::Relax);
            }
        }
    }

    fn wake(&mut self, id: ServiceId, generation: u32) {
        let Some(service) = self.services.get(&id) else { return };
        let Some(wakeup) = service.entry.wakeup.filter(|_| service.wakeup_generation == generation) else { return };
        if !service.throttled {
            match wakeup::send(service) {
                Ok(Some(connection)) => self.keep_wakeup(connection),
                Ok(None) => {}
                Err(error) => {
                    let place = service.listeners.first().map(|listener| listener.place.to_string());
                    logging::warning!(
                        "master_wakeup_timer_event: service {}({}): {}",
                        service.entry.name,
                        place.unwrap_or_default(),
                        net::reason(&error)
                    );
                }
            }
        }
        self.timers.after(Duration::from_secs(wakeup.seconds.into()), Event::Wakeup(id, generation));
    }

    fn keep_wakeup(&mut self, mut connection: Connection) {
        let number = self.next() as u64;
        let token = Token(self.next());
        let registry = self.poll.registry();
        let registered = match &mut connection {
            Connection::Unix(stream) => registry.register(stream, token, Interest::READABLE),
            Connection::Tcp(stream) => registry.register(stream, token, Interest::READABLE),
        };
        if registered.is_ok() {
            self.sources.insert(token, Source::Wakeup(number));
            self.wakeups.insert(number, (connection, token));
            self.timers.after(wakeup::PATIENCE, Event::EndWakeup(number));
        }
    }

    fn end_wakeup(&mut self, number: u64) {
        if let Some((_, token)) = self.wakeups.remove(&number) {
            self.sources.remove(&token);
        }
    }

    /// Ends everything that master has started.
    pub(crate) fn end_all(&mut self) {
        ending::end_all(self);
    }
}
