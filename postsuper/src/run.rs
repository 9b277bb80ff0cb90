//! From the command line to the exit status: structure first, then messages, then the totals.

use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use config::{Accounts, Config, param};
use logging::{error, info, warning};
use queue::{QueueName, Spool};
use sys::identity::{Identity, become_for_good};

use crate::messages;
use crate::repair::Repair;
use crate::request::Request;

/// Does what the command line asks for.
///
/// # Errors
/// A sentence: nothing was done to messages.
pub(crate) fn run() -> Result<ExitCode, String> {
    let request = Request::parse(std::env::args_os().skip(1))?;
    let config = command::configure("postsuper", request.directory.as_deref())?;
    let spool = enter_queue(&config)?;
    if request.structure || request.purge {
        repair(&config, &spool, &request)?;
    }
    for (action, selection) in &request.actions {
        action.apply(&spool, selection, &request.queues);
    }
    messages::report_totals(&request.actions);
    Ok(ExitCode::SUCCESS)
}

/// Goes to the queue directory, and becomes the user who owns what is in it.
fn enter_queue(config: &Config) -> Result<Spool, String> {
    command::enter_queue(config)?;
    if sys::identity::is_root() {
        let owner = Accounts::read(config).map_err(|error| error.to_string())?.mail_owner;
        let identity = Identity::of_account(&owner);
        let changed = identity.and_then(|identity| become_for_good(&identity));
        changed.map_err(|error| format!("set uid of {}: {}", owner.name, text::system_error(&error)))?;
    } else {
        let queue = std::fs::metadata(QueueName::Incoming.as_str());
        if !queue.is_ok_and(|queue| queue.uid() == Identity::current().uid) {
            return Err("use of this command is reserved for the superuser".into());
        }
    }
    config.spool().map_err(|error| error.to_string())
}

/// Repairs the structure.
///
/// # Errors
/// A sentence: it is not whole, or messages that were asked for by their names have got others.
fn repair(config: &Config, spool: &Spool, request: &Request) -> Result<(), String> {
    // enable_long_queue_ids
    let long = config.get(param::ENABLE_LONG_QUEUE_IDS).map_err(|error| error.to_string())?;
    let repair = Repair {
        spool,
        structure: request.structure,
        purge: request.purge,
        long_names: request.long_names,
        keep_long: long,
    };
    let renamed = repair.run(&request.queues).map_err(|error| {
        error!("{error}");
        "OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST".to_owned()
    })?;
    if renamed > 0 {
        info!("Renamed to match inode number: {}", messages::count(renamed));
        let changed = "QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS";
        if request.actions.iter().any(|(_, selection)| !selection.ids.is_empty()) {
            error!("{changed}");
            return Err("CHECK YOUR QUEUE IDS AND RE-ISSUE THE COMMAND".to_owned());
        }
        warning!("{changed}");
    }
    Ok(())
}
