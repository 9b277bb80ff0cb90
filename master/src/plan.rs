//! The services of a configuration: at start, and again on SIGHUP.
//!
//! A plan changes nothing that runs: its sockets are bound, and when all of them are, they take clients; one that fails
//! leaves nothing behind. Carried out, it has the new sockets served before the old ones are put away. An address that
//! is not there makes no plan fail, as long as another one is: [`crate::late`] waits for it.

use std::collections::BTreeMap;
use std::path::Path;

use config::master_cf::{MasterCf, ServiceEntry, ServiceKind};
use config::{Absent, Config, param};
use net::Protocols;
use nix::sys::resource::{Resource, getrlimit};
use sys::identity::Identity;
use wire::status::{Order, clients_for};

use crate::accepted::Accepted;
use crate::child::program;
use crate::late::{self, Known, keeps};
use crate::listener::{self, Listener, Place, Unbound, Wanted};
use crate::retire::Old;
use crate::service::{Service, ServiceId, Share};
use crate::supervisor::Supervisor;

/// A configuration whose sockets are open where they were not before.
pub(crate) struct Plan {
    config: Config,
    services: Vec<Planned>,
    /// Services whose programs are not there.
    absent: Vec<String>,
    /// What is done instead of starting services whose processes nobody needs.
    needless: Vec<String>,
    /// What its workers will know about addresses.
    known: Known,
}

/// A service of a plan.
pub(crate) struct Planned {
    entry: ServiceEntry,
    identity: String,
    share: Share,
    /// Sockets at places where the running service has none.
    new: Vec<Listener>,
    /// The places of the service.
    places: Vec<Place>,
    /// Addresses that are not there.
    missing: Vec<Absent>,
    /// Sockets that the running service keeps.
    kept: usize,
}

/// What runs while a plan is made.
#[derive(Clone, Copy)]
pub(crate) struct Running<'a> {
    pub config: &'a Config,
    pub services: &'a BTreeMap<ServiceId, Service>,
}

impl<'a> Running<'a> {
    fn service(self, identity: &str) -> Option<&'a Service> {
        self.services.values().find(|service| service.identity == identity)
    }
}

/// Programs of Postfix that need no process here, with what the log says about those whose work is begun otherwise: a
/// connection cache is part of every smtp worker.
const NEEDLESS: [(&str, Option<&str>); 2] =
    [("scache", None), ("nbdb_reindexd", Some("postfix start and postfix reload make index files that are missing"))];

impl Plan {
    /// Binds and opens the sockets that `running` does not have; when nothing runs yet, addresses that are not there
    /// are waited for. The error is the text behind `fatal: `.
    pub(crate) fn make(
        config: Config,
        master_cf: MasterCf,
        owner: &Identity,
        running: Option<Running>,
    ) -> Result<Self, String> {
        let (services, absent, needless) = Default::default();
        let mut plan = Self { config, services, absent, needless, known: Known::default() };
        let made = plan.prepare(master_cf, owner, running).and_then(|()| match running {
            None => late::wait(&mut plan, owner),
            Some(_) => Ok(()),
        });
        match made.and_then(|()| plan.judge(running)).and_then(|()| plan.listen()) {
            Ok(()) => Ok(plan),
            Err(why) => {
                plan.undo();
                Err(why)
            }
        }
    }

    /// Tells what is not right with the files and stops nothing.
    fn warn(&self, master_cf: &MasterCf, running: Option<Running>) {
        for notice in master_cf.old_chroot.iter().chain(&self.config.left_out_notice()) {
            logging::info!("{notice}");
        }
        // Who has started master has looked through them, and told.
        if running.is_none() && std::env::var_os(config::TOLD).is_some() {
            return;
        }
        if let Some(sentence) = self.config.without_effect() {
            logging::warning!("{sentence}");
        }
        for warning in &master_cf.warnings {
            logging::warning!("{warning}");
        }
    }

    fn prepare(&mut self, master_cf: MasterCf, owner: &Identity, running: Option<Running>) -> Result<(), String> {
        self.warn(&master_cf, running);
        let protocols = self.protocols()?;
        self.known = Known::read(&self.config)?;
        let text = |error: config::ValueError| error.to_string();
        let programs = self.config.get(param::DAEMON_DIRECTORY).map_err(text)?;
        let session_limit = self.config.read(param::PROCESS_SESSION_LIMIT).map_err(text)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for entry in master_cf.services {
            if entry.kind == ServiceKind::Inet && protocols.is_empty() || !self.is_there(&entry, Path::new(&programs)) {
                continue;
            }
            let wanted = listener::wanted(&entry, &self.config, protocols)?;
            let canonical = &wanted.canonical;
            let identity = format!("{} {canonical}", entry.kind.name());
            if let Some(at) = self.services.iter().position(|planned| planned.identity == identity) {
                logging::warning!(
                    "duplicate master.cf entry for service \"{}\" ({canonical}) -- using the last entry",
                    entry.name
                );
                self.services.remove(at);
            }
            let old = running.and_then(|running| running.service(&identity));
            let mut planned = Planned {
                share: Share::divide(entry.max_proc, cores, session_limit),
                entry,
                identity,
                new: Vec::new(),
                places: Vec::new(),
                missing: Vec::new(),
                kept: 0,
            };
            planned.bind(wanted, old, owner)?;
            if let Some((old, running)) = old.zip(running) {
                let same = running.config.interfaces_setting() == self.config.interfaces_setting();
                planned.places.extend(keeps(&old.listeners, &planned.missing, same));
                planned.kept = old.listeners.iter().filter(|one| planned.places.contains(&one.place)).count();
            }
            self.services.push(planned);
        }
        self.warn_of_few_descriptors();
        Ok(())
    }

    /// Binds what could not be bound before. The error is the text behind `fatal: `.
    pub(crate) fn look_again(&mut self, owner: &Identity) -> Result<(), String> {
        let protocols = self.config.protocols().map_err(|error| error.to_string())?;
        for planned in self.services.iter_mut().filter(|planned| !planned.missing.is_empty()) {
            let wanted = listener::wanted(&planned.entry, &self.config, protocols)?;
            planned.bind(wanted, None, owner)?;
        }
        self.known = Known::read(&self.config)?;
        Ok(())
    }

    /// What is asked for and not there.
    pub(crate) fn missing(&self) -> Vec<Absent> {
        let of_services = self.services.iter().flat_map(|planned| planned.missing.iter().cloned());
        let mut missing: Vec<Absent> = of_services.chain(self.known.missing.iter().cloned()).collect();
        missing.sort();
        missing.dedup();
        missing
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Refuses a configuration with which nobody can be served. What is served already may have lost its addresses.
    fn judge(&self, running: Option<Running>) -> Result<(), String> {
        let is_new =
            running.is_none_or(|running| running.config.interfaces_setting() != self.config.interfaces_setting());
        if is_new && let Some(why) = self.config.no_address().map_err(|error| error.to_string())? {
            return Err(why);
        }
        let mut inet = self.services.iter().filter(|planned| planned.entry.kind == ServiceKind::Inet).peekable();
        let first = inet.peek().and_then(|planned| planned.missing.first());
        match first {
            Some(absent) if inet.all(|planned| planned.new.is_empty() && planned.kept == 0) => Err(absent.to_string()),
            _ => Ok(()),
        }
    }

    /// Workers cannot serve as many clients as the limits allow.
    fn warn_of_few_descriptors(&self) {
        let Ok((_, limit)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
        let clients = clients_for(limit);
        let is_short = |planned: &&Planned| planned.entry.max_proc.is_some() && planned.share.sessions > clients;
        let mut short = self.services.iter().filter(is_short).map(|planned| planned.entry.name.as_str());
        let Some(first) = short.next() else { return };
        let others = match short.count() {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        logging::warning!(
            "the limit of {limit} open descriptors lets a worker serve {clients} clients at a time, fewer than the process \
             limit of service {first}{others} asks for: raise the limit (LimitNOFILE, ulimit -n)"
        );
    }

    /// The families of inet_protocols that the kernel has; what it lacks is logged.
    fn protocols(&self) -> Result<Protocols, String> {
        let (protocols, warnings) = self.config.probe_protocols().map_err(|error| error.to_string())?;
        for warning in warnings {
            logging::warning!("{warning}");
        }
        if protocols.is_empty() {
            let value = self.config.get(param::INET_PROTOCOLS).map_err(|error| error.to_string())?;
            logging::warning!("all network protocols are disabled (inet_protocols = {value})");
            logging::warning!("disabling all type \"inet\" services in master.cf");
        }
        Ok(protocols)
    }

    /// Last of all: a client that connects to a socket must be served.
    fn listen(&self) -> Result<(), String> {
        let sockets = self.services.iter().flat_map(|planned| planned.new.iter().map(move |socket| (socket, planned)));
        let mut sockets = sockets.into_iter();
        sockets.try_for_each(|(socket, planned)| socket.listen(&planned.entry, &self.config))
    }

    /// Takes back what a failed plan has made.
    fn undo(&self) {
        for socket in self.services.iter().flat_map(|planned| &planned.new) {
            if let Place::Path(path) = &socket.place {
                // A path that stays behind is replaced by whoever needs it.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Whether the program of an entry is there; one that is not does not stop the rest.
    fn is_there(&mut self, entry: &ServiceEntry, programs: &Path) -> bool {
        if let Some((_, instead)) = NEEDLESS.iter().find(|(program, _)| *program == entry.command) {
            self.needless.extend(instead.map(|instead| format!("service {} needs no process: {instead}", entry.name)));
            return false;
        }
        let there = program(programs, &entry.command).is_file();
        if !there {
            self.absent.push(entry.name.clone());
        }
        there
    }

    /// Makes the plan the running configuration.
    pub(crate) fn carry_out(self, master: &mut Supervisor) {
        let places: Vec<Place> = self.services.iter().flat_map(|planned| planned.places.clone()).collect();
        let missing = self.missing();
        let old = master.accepted.clone();
        let mut gone: Vec<_> = master.services.iter().filter(|(_, it)| !it.is_put_away()).map(|(id, _)| *id).collect();
        for planned in self.services {
            let known = master.services.iter().find(|(_, service)| service.identity == planned.identity);
            match known.map(|(id, _)| *id) {
                Some(id) => {
                    gone.retain(|other| *other != id);
                    go_on(master, id, planned, &old, &places);
                }
                None => {
                    let service = Service::new(planned.entry, planned.identity, planned.share, planned.new);
                    master.add(service);
                }
            }
        }
        for id in gone {
            master.unwatch(id);
            master.order_to_end(id, Order::Empty);
            master.put_away(id, old.clone(), &places);
        }
        if self.absent != master.absent && !self.absent.is_empty() {
            logging::info!("services that are not here: {}", self.absent.join(", "));
        }
        for text in self.needless.iter().filter(|text| !master.needless.contains(text)) {
            logging::info!("{text}");
        }
        master.absent = self.absent;
        master.needless = self.needless;
        master.config = self.config;
        master.lookout.known = self.known;
        master.tell_of(missing);
    }
}

impl Planned {
    /// Binds what is wanted and has no socket yet, here or in the running service.
    fn bind(&mut self, wanted: Wanted, old: Option<&Service>, owner: &Identity) -> Result<(), String> {
        let sockets = |place: &Place| old.into_iter().flat_map(|old| &old.listeners).any(|one| one.place == *place);
        self.missing = wanted.listening.as_ref().map(|it| it.absent.clone()).unwrap_or_default();
        for place in wanted.places {
            let bound = sockets(&place) || self.new.iter().any(|one| one.place == place);
            if !bound {
                match listener::bind(place.clone(), self.entry.kind, owner) {
                    Ok(socket) => self.new.push(socket),
                    Err(Unbound::Absent(address)) => {
                        self.missing.extend(wanted.listening.as_ref().map(|it| it.without(address)));
                        continue;
                    }
                    Err(Unbound::Failed(why)) => return Err(why),
                }
            }
            if !self.places.contains(&place) {
                self.places.push(place);
            }
        }
        Ok(())
    }
}

/// A service that was there before: its workers end after their clients, its sockets stay where they are still wanted.
fn go_on(master: &mut Supervisor, id: ServiceId, planned: Planned, accepted: &Accepted, places: &[Place]) {
    master.unwatch(id);
    let Some(service) = master.services.get_mut(&id) else { return };
    let old = Old { entry: service.entry.clone(), share: service.share, accepted: accepted.clone() };
    let superfluous = service.listeners.extract_if(.., |it| !planned.places.contains(&it.place)).collect();
    service.listeners.extend(planned.new);
    service.entry = planned.entry;
    service.share = planned.share;
    master.drain(id);
    master.begin_wakeup(id);
    master.watch(id);
    master.retire(&old, superfluous, places);
}
