//! Addresses that come late: what is asked for and not there (yet) is waited for while the rest is served.
//!
//! The system says when links or addresses change; what it says is not looked into. Then, and now and then while
//! something is missing, master has a thread find out which addresses each service should have now (names among them
//! may have to be looked up, which the event loop must not wait for), and binds those that can be bound. A socket whose
//! address goes away stays: the system serves it again when the address is back. Workers know the addresses of this
//! machine from their start: when these change, they end after their clients.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use config::absent::Source;
use config::master_cf::{ServiceEntry, ServiceKind};
use config::{Absent, Config, Listening, param};
use mio::unix::SourceFd;
use mio::{Interest, Poll, Token, Waker};
use net::Interface;
use net::presence::Changes;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sys::identity::Identity;

use crate::listener::{self, Listener, Place, Unbound};
use crate::plan::Plan;
use crate::retire::Old;
use crate::service::ServiceId;
use crate::supervisor::Supervisor;
use crate::timer::Event;

/// Changes come in flocks: after the first, this time passes before anything is looked at.
const SETTLE: Duration = Duration::from_millis(200);
/// Between two looks at the addresses.
const PAUSE: Duration = Duration::from_secs(1);
/// While something is missing, or where the system gives no word of changes, addresses are looked at this often.
const RETRY: Duration = Duration::from_secs(30);
/// The same while master starts.
const START_RETRY: Duration = Duration::from_millis(250);

/// What workers know about the addresses of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    own: Vec<Interface>,
    system: Vec<IpAddr>,
    /// Addresses and names of main.cf that are not there.
    pub missing: Vec<Absent>,
}

impl Known {
    /// As it is now. The error is the text behind `fatal: `.
    pub(crate) fn read(config: &Config) -> Result<Self, String> {
        let text = |error: config::ConfigError| error.to_string();
        let own = config.interfaces().map_err(text)?;
        let missing = own.absent.iter().cloned().chain(config.proxies().map_err(text)?.1).collect();
        Ok(Self { own: own.on_interfaces(), system: config.addresses_of_this_system().map_err(text)?, missing })
    }
}

/// Waits at start, as long as inet_interfaces_wait says, for addresses that are not there yet.
pub(crate) fn wait(plan: &mut Plan, owner: &Identity) -> Result<(), String> {
    // inet_interfaces_wait
    let patience = plan.config().get(param::INET_INTERFACES_WAIT).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + patience;
    let is_address = |absent: &Absent| absent.source != Source::Parameter(param::PROXY_INTERFACES.name());
    let changes = Changes::open().ok();
    while plan.missing().iter().any(is_address) {
        let left = deadline.saturating_duration_since(Instant::now()).min(START_RETRY);
        if left.is_zero() {
            break;
        }
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut word: Vec<PollFd> =
            changes.iter().map(|changes| PollFd::new(changes.as_fd(), PollFlags::POLLIN)).collect();
        // waits: at start; a signal ends master as it should.
        let _ = poll(&mut word, left);
        if let Some(changes) = &changes {
            changes.take();
        }
        plan.look_again(owner)?;
    }
    Ok(())
}

/// The places of sockets that a service keeps although its configuration does not lead to them now: their addresses are
/// away. With a name that is not found, that may be any of them, if the same is asked for as before (`same`).
pub(crate) fn keeps(sockets: &[Listener], missing: &[Absent], same: bool) -> Vec<Place> {
    let is_away = |place: &Place| match place {
        Place::Inet(address) => missing.iter().any(|absent| match absent.address {
            Some(missing) => missing == address.ip(),
            None => same || matches!(absent.source, Source::Service(_)),
        }),
        Place::Path(_) => false,
    };
    sockets.iter().map(|socket| socket.place.clone()).filter(is_away).collect()
}

/// Who looks out for addresses.
pub(crate) struct Lookout {
    /// What workers that are started know.
    pub known: Known,
    changes: Option<Changes>,
    /// What the operator has been told of and what is not there yet.
    told: BTreeMap<(Source, String), Absent>,
    /// When addresses are looked at next.
    due: Option<Instant>,
    /// When they were last.
    last: Option<Instant>,
    /// A look is being taken.
    looking: bool,
    waker: Arc<Waker>,
    answers: (Sender<Answer>, Receiver<Answer>),
}

/// What a look has found. One at a configuration that is not in force any more says nothing.
struct Answer {
    reloads: u32,
    known: Result<Known, String>,
    services: Vec<(ServiceId, Result<Listening, String>)>,
}

impl Lookout {
    /// Word of changes comes as `word`, an answer as `answer`.
    pub(crate) fn new(event_loop: &Poll, changes: Option<Changes>, word: Token, answer: Token) -> io::Result<Self> {
        if let Some(changes) = &changes {
            event_loop.registry().register(&mut SourceFd(&changes.as_fd().as_raw_fd()), word, Interest::READABLE)?;
        }
        Ok(Self {
            known: Known::default(),
            changes,
            told: BTreeMap::new(),
            due: None,
            last: None,
            looking: false,
            waker: Arc::new(Waker::new(event_loop.registry(), answer)?),
            answers: channel(),
        })
    }
}

impl Supervisor {
    /// The system says that something has changed.
    pub(crate) fn addresses_change(&mut self) {
        if self.lookout.changes.as_ref().is_some_and(Changes::take) {
            let pause = self.lookout.last.map_or(Duration::ZERO, |last| PAUSE.saturating_sub(last.elapsed()));
            self.look_after(SETTLE.max(pause));
        }
    }

    fn look_after(&mut self, delay: Duration) {
        let time = Instant::now() + delay;
        if self.lookout.due.is_none_or(|due| due > time) {
            self.lookout.due = Some(time);
            self.timers.after(delay, Event::Look);
        }
    }

    /// Has a thread look at the addresses, if it is time.
    pub(crate) fn look(&mut self) {
        if self.lookout.due.is_none_or(|due| due > Instant::now()) {
            return;
        }
        self.lookout.due = None;
        if self.lookout.looking {
            return self.look_after(PAUSE);
        }
        self.lookout.last = Some(Instant::now());
        let inet = self.services.iter().filter(|(_, it)| it.entry.kind == ServiceKind::Inet && !it.is_put_away());
        let services: Vec<(ServiceId, ServiceEntry)> = inet.map(|(id, it)| (*id, it.entry.clone())).collect();
        let (config, reloads) = (self.config.clone(), self.reloads);
        let (waker, answer) = (self.lookout.waker.clone(), self.lookout.answers.0.clone());
        let thread = std::thread::Builder::new().name("addresses".to_owned()).spawn(move || {
            let _ =
                answer.send(Answer { reloads, known: Known::read(&config), services: listenings(&config, services) });
            let _ = waker.wake();
        });
        match thread {
            Ok(_) => self.lookout.looking = true,
            Err(error) => {
                logging::repeated!("thread: {}", net::reason(&error));
                self.look_after(RETRY);
            }
        }
    }

    /// Serves the addresses that have come.
    pub(crate) fn addresses_are_known(&mut self) {
        while let Ok(answer) = self.lookout.answers.1.try_recv() {
            self.lookout.looking = false;
            if answer.reloads != self.reloads {
                self.look_after(PAUSE);
                continue;
            }
            let mut missing = Vec::new();
            for (id, listening) in answer.services {
                match listening {
                    Ok(listening) => missing.extend(self.serve_what_is_there(id, &listening)),
                    Err(error) => logging::repeated!("{error}"),
                }
            }
            match answer.known {
                Ok(known) => {
                    missing.extend(known.missing.iter().cloned());
                    self.begin_anew_with(known);
                }
                // Workers that are started would not get further either; those that run go on.
                Err(error) => logging::repeated!("{error}"),
            }
            self.tell_of(missing);
        }
    }

    /// Binds the addresses of a service that have no socket yet; what is still missing.
    fn serve_what_is_there(&mut self, id: ServiceId, listening: &Listening) -> Vec<Absent> {
        let mut missing = listening.absent.clone();
        let Some(service) = self.services.get(&id) else { return missing };
        let (mut new, mut moved) = (Vec::new(), Vec::new());
        for address in &listening.addresses {
            let place = Place::Inet(*address);
            if service.listeners.iter().any(|socket| socket.place == place) {
                if !net::presence::can_bind(*address) {
                    missing.push(listening.without(*address));
                }
                continue;
            }
            let bound = listener::bind(place, ServiceKind::Inet, &self.owner).and_then(|socket| {
                socket.listen(&service.entry, &self.config).map(|()| socket).map_err(Unbound::Failed)
            });
            match bound {
                Ok(socket) => {
                    // A link-local address that is now on another interface.
                    let elsewhere = service.listeners.iter().map(|other| other.place.clone());
                    moved.extend(elsewhere.filter(|place| is_elsewhere(place, &socket.place)));
                    new.push(socket);
                }
                Err(Unbound::Absent(address)) => missing.push(listening.without(address)),
                Err(Unbound::Failed(why)) => {
                    logging::repeated!("service {}: {why}", service.entry.name);
                    missing.push(listening.without(*address));
                }
            }
        }
        if !new.is_empty() {
            self.take_up(id, new, &moved);
        }
        missing
    }

    /// A service goes on with more sockets: workers that run have not got them and end after their clients.
    fn take_up(&mut self, id: ServiceId, new: Vec<Listener>, moved: &[Place]) {
        self.unwatch(id);
        let Some(service) = self.services.get_mut(&id) else { return };
        let old = Old { entry: service.entry.clone(), share: service.share, accepted: self.accepted.clone() };
        let superfluous = service.listeners.extract_if(.., |socket| moved.contains(&socket.place)).collect();
        service.listeners.extend(new);
        let places: Vec<Place> = service.listeners.iter().map(|socket| socket.place.clone()).collect();
        self.drain(id);
        self.watch(id);
        self.retire(&old, superfluous, &places);
    }

    /// Workers that know other addresses than these end after their clients.
    fn begin_anew_with(&mut self, known: Known) {
        if self.lookout.known == known {
            return;
        }
        self.lookout.known = known;
        let ids: Vec<ServiceId> =
            self.services.iter().filter(|(_, it)| knows_addresses(&it.entry)).map(|(id, _)| *id).collect();
        for id in ids {
            self.unwatch(id);
            self.drain(id);
            self.watch(id);
        }
    }

    /// The sentences about what is missing now.
    pub(crate) fn missing_addresses(&self) -> Vec<String> {
        self.lookout.told.values().map(sentence).collect()
    }

    /// Tells the operator of what is missing, each once, and of what is there again.
    pub(crate) fn tell_of(&mut self, missing: Vec<Absent>) {
        let now: BTreeMap<_, _> = missing.into_iter().map(|it| ((it.source.clone(), it.item.clone()), it)).collect();
        for (key, absent) in &now {
            if self.lookout.told.get(key) != Some(absent) {
                logging::warning!("{}", sentence(absent));
            }
        }
        for (source, item) in self.lookout.told.keys().filter(|key| !now.contains_key(*key)) {
            match source {
                Source::Parameter(name) => logging::info!("parameter {name}: {item} is there now"),
                Source::Service(place) => logging::info!("{place}: {item} is there now"),
            }
        }
        self.lookout.told = now;
        if !self.lookout.told.is_empty() || self.lookout.changes.is_none() {
            self.look_after(RETRY);
        }
    }
}

fn sentence(absent: &Absent) -> String {
    format!("{absent} -- it is waited for")
}

/// Where each service should be served now. It waits for names.
fn listenings(
    config: &Config,
    services: Vec<(ServiceId, ServiceEntry)>,
) -> Vec<(ServiceId, Result<Listening, String>)> {
    let file = listener::master_cf(config);
    let protocols = config.protocols().map_err(|error| error.to_string());
    let listening = |entry: &ServiceEntry| config.listening(entry, &file, protocols.clone()?);
    services.into_iter().map(|(id, entry)| (id, listening(&entry))).collect()
}

/// Whether the program of a service knows the addresses of this machine.
fn knows_addresses(entry: &ServiceEntry) -> bool {
    let programs = |name: &str| config::find(name).map(|entry| entry.programs).unwrap_or_default();
    let program = if entry.command == "lmtp" { "smtp" } else { &entry.command };
    programs("inet_interfaces").contains(&program) || programs("proxy_interfaces").contains(&program)
}

fn is_elsewhere(place: &Place, new: &Place) -> bool {
    match (place, new) {
        (Place::Inet(place), Place::Inet(new)) => place != new && place.ip() == new.ip() && place.port() == new.port(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::absent::Why;

    fn socket(address: &str) -> Listener {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        Listener { place: Place::Inet(address.parse().unwrap()), socket: socket.into() }
    }

    fn absent(source: Source, address: Option<&str>) -> Absent {
        Absent { source, item: String::new(), address: address.map(|it| it.parse().unwrap()), why: Why::NoSuchName }
    }

    #[test]
    fn a_socket_whose_address_or_name_is_away_is_kept_and_one_that_nobody_asks_for_is_not() {
        let sockets = [socket("[2001:db8::1]:25"), socket("192.0.2.1:25")];
        let interfaces = || Source::Parameter("inet_interfaces");
        let kept =
            |absent: Absent, same| keeps(&sockets, &[absent], same).iter().map(Place::to_string).collect::<Vec<_>>();
        assert_eq!(kept(absent(interfaces(), Some("2001:db8::1")), false), ["2001:db8::1 port 25"]);
        assert_eq!(kept(absent(interfaces(), None), true).len(), 2);
        assert!(kept(absent(interfaces(), None), false).is_empty());
        assert_eq!(kept(absent(Source::Service(String::new()), None), false).len(), 2);
    }

    #[test]
    fn the_programs_that_know_addresses_are_those_of_the_parameter_table() {
        let knows = |command: &str| {
            let config = Config::parse(b"", std::path::Path::new("/c"), &[]).unwrap();
            let line = format!("x unix n - n - - {command}\n");
            let file = std::path::Path::new("/c/master.cf");
            let services = config::master_cf::MasterCf::parse(line.as_bytes(), file, &config).unwrap().services;
            knows_addresses(&services[0])
        };
        for command in ["smtpd", "smtp", "lmtp", "cleanup", "trivial-rewrite"] {
            assert!(knows(command), "{command}");
        }
        for command in ["qmgr", "postlogd", "pickup", "local"] {
            assert!(!knows(command), "{command}");
        }
    }
}
