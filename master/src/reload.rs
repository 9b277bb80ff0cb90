//! The services of a configuration: at start, and again on SIGHUP.
//!
//! A reload is planned as a whole before anything changes: main.cf and master.cf are read, every new socket is opened. If
//! any of it fails, the running system stays as it is. New sockets are open before old ones close, and an accepted
//! connection is served to its end by the worker that has it.

use std::path::Path;

use config::Config;
use config::master_cf::{MasterCf, ServiceEntry, ServiceKind};
use config::param;
use net::Protocols;
use sys::identity::Identity;

use crate::child::program;
use crate::listener::{self, Listener, Place};
use crate::service::{Service, Share};
use crate::supervisor::Supervisor;

/// A configuration whose sockets are open where they were not before.
pub(crate) struct Plan {
    pub config: Config,
    services: Vec<Planned>,
}

struct Planned {
    entry: ServiceEntry,
    identity: String,
    share: Share,
    /// Sockets at places where the running service has none.
    new: Vec<Listener>,
    /// All places of the service.
    places: Vec<Place>,
}

/// Programs of Postfix that need no process here: a connection cache is part of every smtp worker.
const NEEDLESS: [&str; 1] = ["scache"];

impl Plan {
    /// Reads master.cf and opens the sockets that `running` does not have. The error is the text behind `fatal: `.
    pub(crate) fn make<'a>(
        config: Config,
        owner: &Identity,
        running: impl Fn(&str) -> Option<&'a Service>,
    ) -> Result<Self, String> {
        for setting in config.unimplemented_settings() {
            logging::warning!("{}", config::Problem::Unimplemented(setting));
        }
        let text = |error: config::ValueError| error.to_string();
        let protocols = protocols(&config)?;
        let master_cf = MasterCf::load(&listener::master_cf(&config), &config).map_err(|error| error.to_string())?;
        for warning in &master_cf.warnings {
            logging::warning!("{warning}");
        }
        if protocols.is_empty() {
            let value = config.get(param::INET_PROTOCOLS).map_err(text)?;
            logging::warning!("all network protocols are disabled (inet_protocols = {value})");
            logging::warning!("disabling all type \"inet\" services in master.cf");
        }
        let default_limit = config.get(param::DEFAULT_PROCESS_LIMIT).map_err(text)?;
        let programs = config.get(param::DAEMON_DIRECTORY).map_err(text)?;
        let session_limit = config.get(param::PROCESS_SESSION_LIMIT).map_err(text)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut services: Vec<Planned> = Vec::new();
        for entry in master_cf.services {
            if entry.kind == ServiceKind::Inet && protocols.is_empty() || !is_there(&entry, Path::new(&programs)) {
                continue;
            }
            let (places, canonical) = listener::places(&entry, &config, protocols)?;
            let identity = format!("{} {canonical}", entry.kind.name());
            if let Some(at) = services.iter().position(|planned| planned.identity == identity) {
                logging::warning!(
                    "duplicate master.cf entry for service \"{}\" ({canonical}) -- using the last entry",
                    entry.name
                );
                services.remove(at);
            }
            let backlog = default_limit.max(entry.max_proc.unwrap_or(0).into());
            let old = running(&identity);
            let has = |place: &Place| old.is_some_and(|old| old.listeners.iter().any(|one| one.place == *place));
            let new = places
                .iter()
                .filter(|place| !has(place))
                .map(|place| listener::open(place.clone(), entry.kind, i32::try_from(backlog).unwrap_or(100), owner))
                .collect::<Result<Vec<_>, _>>()?;
            let share = Share::divide(entry.max_proc, cores, usize::try_from(session_limit).unwrap_or(0));
            services.push(Planned { entry, identity, share, new, places });
        }
        Ok(Self { config, services })
    }

    /// Makes the plan the running configuration.
    pub(crate) fn carry_out(self, master: &mut Supervisor) {
        let mut gone: Vec<_> = master.services.keys().copied().collect();
        for planned in self.services {
            let known = master.services.iter().find(|(_, service)| service.identity == planned.identity);
            match known.map(|(id, _)| *id) {
                Some(id) => {
                    gone.retain(|other| *other != id);
                    master.unwatch(id);
                    if let Some(service) = master.services.get_mut(&id) {
                        service.listeners.retain(|listener| planned.places.contains(&listener.place));
                        service.listeners.extend(planned.new);
                        service.entry = planned.entry;
                        service.share = planned.share;
                    }
                    master.drain(id);
                    master.begin_wakeup(id);
                    master.watch(id);
                }
                None => {
                    let service = Service::new(planned.entry, planned.identity, planned.share, planned.new);
                    master.add(service);
                }
            }
        }
        for id in gone {
            master.unwatch(id);
            master.drain(id);
            if let Some(service) = master.services.get_mut(&id) {
                // No new clients; the workers that serve the present ones are waited for like any others.
                service.listeners.clear();
                service.throttled = true;
                service.identity.clear();
            }
        }
        master.config = self.config;
    }
}

/// SIGHUP.
pub(crate) fn reload(master: &mut Supervisor) {
    let directory = master.config.directory().to_path_buf();
    logging::info!("reload -- version {}, configuration {}", version(&master.config), directory.display());
    let planned = Config::load(&directory, &[])
        .map_err(|error| error.to_string())
        .and_then(|config| unchangeable(&master.config, config))
        .and_then(|config| {
            let running = |identity: &str| master.services.values().find(|service| service.identity == identity);
            Plan::make(config, &master.owner, running)
        });
    match planned {
        Ok(plan) => plan.carry_out(master),
        Err(why) => logging::error!("reload refused, the running configuration stays in force: {why}"),
    }
}

/// What other implementations and log readers see as our version (mail_version).
pub(crate) fn version(config: &Config) -> String {
    config.lookup("mail_version").ok().flatten().unwrap_or_default()
}

/// The families of inet_protocols that the kernel has; what it lacks is logged.
pub(crate) fn protocols(config: &Config) -> Result<Protocols, String> {
    let value = config.get(param::INET_PROTOCOLS).map_err(|error| error.to_string())?;
    let selected = Protocols::parse_as("inet_protocols", &value).map_err(|error| error.to_string())?;
    let (protocols, warnings) = selected.probe().map_err(|error| error.to_string())?;
    for warning in warnings {
        logging::warning!("{warning}");
    }
    Ok(protocols)
}

/// A running master stays in its queue directory.
fn unchangeable(old: &Config, new: Config) -> Result<Config, String> {
    let text = |config: &Config| config.lookup("queue_directory").ok().flatten().unwrap_or_default();
    let (before, after) = (text(old), text(&new));
    if before != after {
        logging::warning!("ignoring queue_directory parameter value change");
        logging::warning!("old value: \"{before}\", new value: \"{after}\"");
        logging::warning!("to change queue_directory, stop and start Postfix");
        return Err("queue_directory has changed".to_owned());
    }
    Ok(new)
}

/// An entry whose program is not there is named once, and does not stop the rest.
fn is_there(entry: &ServiceEntry, programs: &Path) -> bool {
    if NEEDLESS.contains(&entry.command.as_str()) {
        return false;
    }
    let path = program(programs, &entry.command);
    let there = path.is_file();
    if !there {
        logging::warning!(
            "service {} ({}) is not started: program {} does not exist",
            entry.name,
            entry.kind.name(),
            path.display()
        );
    }
    there
}
