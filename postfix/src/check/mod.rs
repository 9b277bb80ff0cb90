//! `postfix check`: what stops the mail system, and what an administrator should know.

mod jail;
mod ownership;
mod tls;
mod walk;

use std::fs;
use std::path::Path;

use config::Report;
use config::master_cf::MasterCf;

use crate::instance::Instance;
use crate::layout;

/// What must be right before the mail system can start; missing directories are made.
pub(crate) fn fatal(instance: &Instance) -> Result<(), String> {
    if let Some(why) = instance.config.unusable_place() {
        return Err(why);
    }
    layout::create_missing(instance)?;
    let master_cf = instance.config.directory().join("master.cf");
    if !master_cf.is_file() {
        return Err(format!("no {} file found", master_cf.display()));
    }
    let services = MasterCf::load(&master_cf, &instance.config).map_err(|error| error.to_string())?;
    let problem = instance.config.fatal_problem(&master_cf, &services);
    problem.map_or(Ok(()), Err)?;
    // Repairs what a copied or damaged queue needs.
    let postsuper = instance.commands.join("postsuper");
    // What is odd in main.cf is told by this program.
    let status = instance.command(&postsuper).env(config::TOLD, "1").status();
    if status.map_err(|error| format!("{}: {}", postsuper.display(), net::reason(&error)))?.success() {
        return Ok(());
    }
    // Mostly because of these.
    permissions(instance);
    Err(format!("{} failed", postsuper.display()))
}

/// The addresses that are asked for, as they are now: that none is there stops a start, that one is missing does not. A
/// start waits for them a while, and tells of them itself.
pub(crate) fn addresses(instance: &Instance) -> Result<(), String> {
    let file = instance.config.directory().join("master.cf");
    let services = MasterCf::load(&file, &instance.config).map_err(|error| error.to_string())?;
    match instance.config.serves_nobody(&file, &services)? {
        Some(why) => Err(why),
        None => {
            for absent in instance.config.absent_addresses(&file, &services)? {
                logging::warning!("{absent}");
            }
            Ok(())
        }
    }
}

/// What does not stop it.
pub(crate) fn warn(instance: &Instance) {
    report(instance);
    permissions(instance);
    corrupt(instance);
}

/// Not started as root, everything is the caller's.
fn permissions(instance: &Instance) {
    if sys::identity::is_root() {
        ownership::warn(instance);
        jail::warn(instance);
    }
}

/// What both files ask for that is wrong, or not there.
pub(crate) fn report(instance: &Instance) {
    let path = instance.config.directory().join("master.cf");
    // name: in the configuration directory, which the administrator gave.
    let content = fs::read(&path).unwrap_or_default();
    let Ok(master_cf) = MasterCf::parse(&content, &path, &instance.config) else { return };
    let has_program = |command: &str| instance.daemons.join(command).is_file();
    for sentence in Report::new(&instance.config, (&path, &content), &master_cf, &has_program).sentences() {
        logging::warning!("{sentence}");
    }
    for sentence in tls::sentences(&instance.config, &path, &master_cf) {
        logging::warning!("{sentence}");
    }
}

fn corrupt(instance: &Instance) {
    let Ok(entries) = fs::read_dir(instance.queue.join("corrupt")) else { return };
    for entry in entries.flatten() {
        logging::warning!("damaged message: {}", Path::new("corrupt").join(entry.file_name()).display());
    }
}
