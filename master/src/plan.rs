//! The services of a configuration: at start, and again on SIGHUP.
//!
//! A plan changes nothing that runs: its sockets are bound, and when all of them are, they take clients; one that fails
//! leaves nothing behind. Carried out, it has the new sockets served before the old ones are put away.

use std::path::Path;

use config::Config;
use config::master_cf::{MasterCf, ServiceEntry, ServiceKind};
use config::param;
use net::Protocols;
use nix::sys::resource::{Resource, getrlimit};
use sys::identity::Identity;
use wire::status::{Order, clients_for};

use crate::accepted::Accepted;
use crate::child::program;
use crate::listener::{self, Listener, Place};
use crate::retire::Old;
use crate::service::{Service, ServiceId, Share};
use crate::supervisor::Supervisor;

/// A configuration whose sockets are open where they were not before.
pub(crate) struct Plan {
    config: Config,
    services: Vec<Planned>,
    /// Services whose programs are not there.
    absent: Vec<String>,
}

struct Planned {
    entry: ServiceEntry,
    identity: String,
    share: Share,
    backlog: i32,
    /// Sockets at places where the running service has none.
    new: Vec<Listener>,
    /// All places of the service.
    places: Vec<Place>,
}

/// Programs of Postfix that need no process here: a connection cache is part of every smtp worker.
const NEEDLESS: [&str; 1] = ["scache"];

impl Plan {
    /// Binds and opens the sockets that `running` does not have. The error is the text behind `fatal: `.
    pub(crate) fn make<'a>(
        config: Config,
        master_cf: MasterCf,
        owner: &Identity,
        running: impl Fn(&str) -> Option<&'a Service>,
    ) -> Result<Self, String> {
        let mut plan = Self { config, services: Vec::new(), absent: Vec::new() };
        match plan.prepare(master_cf, owner, running).and_then(|()| plan.listen()) {
            Ok(()) => Ok(plan),
            Err(why) => {
                plan.undo();
                Err(why)
            }
        }
    }

    fn prepare<'a>(
        &mut self,
        master_cf: MasterCf,
        owner: &Identity,
        running: impl Fn(&str) -> Option<&'a Service>,
    ) -> Result<(), String> {
        let protocols = self.protocols()?;
        if let Some(sentence) = self.config.without_effect() {
            logging::warning!("{sentence}");
        }
        if let Some(notice) = &master_cf.old_chroot {
            logging::info!("{notice}");
        }
        for warning in &master_cf.warnings {
            logging::warning!("{warning}");
        }
        let text = |error: config::ValueError| error.to_string();
        let programs = self.config.get(param::DAEMON_DIRECTORY).map_err(text)?;
        let session_limit = self.config.get(param::PROCESS_SESSION_LIMIT).map_err(text)?;
        let default_limit = self.config.get(param::DEFAULT_PROCESS_LIMIT).map_err(text)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for entry in master_cf.services {
            if entry.kind == ServiceKind::Inet && protocols.is_empty() || !self.is_there(&entry, Path::new(&programs)) {
                continue;
            }
            let (places, canonical) = listener::places(&entry, &self.config, protocols)?;
            let identity = format!("{} {canonical}", entry.kind.name());
            if let Some(at) = self.services.iter().position(|planned| planned.identity == identity) {
                logging::warning!(
                    "duplicate master.cf entry for service \"{}\" ({canonical}) -- using the last entry",
                    entry.name
                );
                self.services.remove(at);
            }
            let backlog = default_limit.max(entry.max_proc.unwrap_or(0).into());
            let old = running(&identity);
            let has = |place: &Place| old.is_some_and(|old| old.listeners.iter().any(|one| one.place == *place));
            let new = places.iter().filter(|place| !has(place));
            let new = new.map(|place| listener::bind(place.clone(), entry.kind, owner)).collect::<Result<_, _>>()?;
            self.services.push(Planned {
                share: Share::divide(entry.max_proc, cores, usize::try_from(session_limit).unwrap_or(0)),
                backlog: i32::try_from(backlog).unwrap_or(100),
                entry,
                identity,
                new,
                places,
            });
        }
        self.warn_of_few_descriptors();
        Ok(())
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
        sockets.into_iter().try_for_each(|(socket, planned)| socket.listen(planned.entry.kind, planned.backlog))
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
        if NEEDLESS.contains(&entry.command.as_str()) {
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
        master.absent = self.absent;
        master.config = self.config;
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
