//! SIGHUP: the whole of a new configuration, or nothing of it.
//!
//! It is read, looked through for everything that would end a program, and planned, before anything changes. If any of
//! it fails, the running system stays as it is, new workers included. New sockets are open before old ones close, and
//! an accepted connection is served to its end by the worker that has it.

use std::path::Path;

use config::master_cf::MasterCf;
use config::{Config, param, settled};
use logging::records;
use wire::verdict::{self, Verdict};

use crate::accepted::Accepted;
use crate::listener;
use crate::plan::{Plan, Running};
use crate::supervisor::Supervisor;

/// Reloads, or refuses to; `postfix reload` is told which.
pub(crate) fn reload(master: &mut Supervisor) {
    let directory = master.config.directory().to_path_buf();
    let configuration = directory.display().to_string();
    logging::emit(&records::master::Reload { version: version(&master.config), configuration });
    let refused = match plan(master, &directory) {
        Ok((plan, accepted)) => {
            plan.carry_out(master);
            master.accepted = accepted;
            None
        }
        Err(why) => {
            logging::error!("reload refused, the running configuration stays in force: {why}");
            master.accepted.alone = true;
            Some(why)
        }
    };
    master.reloads = master.reloads.wrapping_add(1);
    let verdict = Verdict { master: std::process::id(), count: master.reloads, refused };
    if let Err(error) = verdict.write(Path::new(".")) {
        logging::warning!("{}: {}", verdict::FILE, net::reason(&error));
    }
}

/// Main.cf with its text. The error is the text behind `fatal: `.
pub(crate) fn read_main_cf(directory: &Path) -> Result<(Config, Vec<u8>), String> {
    let file = directory.join("main.cf");
    let text = settled::read(&file, settled::QUIET, settled::PATIENCE)
        .map_err(|error| format!("open {}: {}", file.display(), net::reason(&error)))?;
    let config = Config::parse(&text, directory, &[]).map_err(|error| error.to_string())?;
    Ok((config, text))
}

fn plan(master: &Supervisor, directory: &Path) -> Result<(Plan, Accepted), String> {
    let (config, text) = read_main_cf(directory)?;
    unchangeable(&master.config, &config)?;
    let file = listener::master_cf(&config);
    let master_cf = MasterCf::load(&file, &config).map_err(|error| error.to_string())?;
    match config.fatal_problem(&file, &master_cf).or_else(|| config.unusable_place()) {
        Some(why) => Err(why),
        None => {
            let running = Running { config: &master.config, services: &master.services };
            Ok((Plan::make(config, master_cf, &master.owner, Some(running))?, Accepted::new(&text)))
        }
    }
}

/// What other implementations and log readers see as our version (mail_version).
pub(crate) fn version(config: &Config) -> String {
    config.lookup("mail_version").ok().flatten().unwrap_or_default()
}

/// A running master stays in its queue directory.
fn unchangeable(old: &Config, new: &Config) -> Result<(), String> {
    let name = param::QUEUE_DIRECTORY.name();
    let text = |config: &Config| config.lookup(name).ok().flatten().unwrap_or_default();
    let (before, after) = (text(old), text(new));
    if before == after {
        return Ok(());
    }
    logging::warning!("ignoring {name} parameter value change");
    logging::warning!("old value: \"{before}\", new value: \"{after}\"");
    logging::warning!("to change {name}, stop and start Postfix");
    Err(format!("{name} has changed"))
}
