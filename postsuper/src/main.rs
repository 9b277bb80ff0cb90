//! # NAME
//! postsuper - repair the queue, and change messages in it
//!
//! # SYNOPSIS
//! `postsuper [-psSv] [-c config_dir] [-d|-e|-f|-h|-H|-r queue_id|ALL|-] [queue...]`
//!
//! # DESCRIPTION
//! - `-s`: files whose name does not match their inode are renamed, files at the wrong place are
//!   moved, subdirectories that are not needed are removed. `-S`: the same, also for long names.
//! - `-p`: incomplete files older than a week are removed. Without options: `-s -p`.
//! - `-d`: delete a message. `-h`: put it on hold. `-H`: release it. `-r`: queue it anew.
//!   `-e`: its next attempt is its last. `-f`: the same, and release it.
//!   `ALL` means all messages, `-` identifiers from standard input. Incomplete files are never
//!   touched by these: someone is writing them.
//! - Operands: the queues to work on. `-c config_dir`: where main.cf is. `-v`: accepted.
//!
//! Structure comes first, then the other options in the order in which they are listed here.
//!
//! # PRIVILEGE
//! Started as root, it becomes `$mail_owner` before it looks at the queue: nothing here needs root.
//! Otherwise the caller must own the queue.
//!
//! # DIAGNOSTICS
//! One line for each message that was named and changed, and totals, on standard error and in the
//! log.

mod messages;
mod place;
mod repair;

use std::io::BufRead;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use config::{Accounts, Config, param};
use logging::{error, fatal, info, warning};
use queue::{QueueId, QueueName, Spool};
use sys::identity::{Identity, become_for_good};
use text::Options;

use crate::messages::{Action, Selection};
use crate::repair::Repair;

const USAGE: &str = "usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] \
    [-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] \
    [-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] \
    [-S (redundant structure fix)][-v (verbose)] [queue...]";

fn main() -> ExitCode {
    command::begin("postsuper");
    let request = Request::parse();
    let config = match command::configure("postsuper", request.directory.as_deref()) {
        Ok(config) => config,
        Err(error) => fatal!("{error}"),
    };
    let spool = enter_queue(&config).unwrap_or_else(|error| fatal!("{error}"));
    if request.structure || request.purge {
        repair(&config, &spool, &request);
    }
    for (action, selection) in &request.actions {
        action.apply(&spool, selection, &request.queues);
    }
    messages::report_totals(&request.actions);
    ExitCode::SUCCESS
}

/// What the command line asks for.
#[derive(Default)]
struct Request {
    directory: Option<Vec<u8>>,
    purge: bool,
    structure: bool,
    long_names: bool,
    /// In the order in which they are done.
    actions: Vec<(Action, Selection)>,
    queues: Vec<QueueName>,
}

impl Request {
    fn parse() -> Self {
        let mut options = Options::new("c:d:e:f:h:H:pr:sSv", std::env::args_os().skip(1));
        let mut request = Self::default();
        let mut any = false;
        loop {
            let (letter, value) = match options.next_option() {
                Ok(Some(option)) => option,
                Ok(None) => break,
                Err(error) => {
                    eprintln!("postsuper: {error}");
                    fatal!("{USAGE}")
                }
            };
            any |= !matches!(letter, b'c' | b'v');
            match letter {
                b'c' => request.directory = Some(value),
                b'p' => request.purge = true,
                b's' => request.structure = true,
                b'S' => (request.structure, request.long_names) = (true, true),
                b'v' => {}
                _ => request.select(letter, &value),
            }
        }
        if !any {
            (request.structure, request.purge) = (true, true);
        }
        request.actions.sort_by_key(|(action, _)| action.rank());
        request.queues = options.operands().iter().map(|name| queue_named(&name.to_string_lossy())).collect();
        request
    }

    /// Adds what one option names to what its letter named before.
    fn select(&mut self, letter: u8, value: &[u8]) {
        let Some(action) = Action::of(letter) else { fatal!("{USAGE}") };
        let at = match self.actions.iter().position(|(known, _)| known.letter() == letter) {
            Some(at) => at,
            None => {
                self.actions.push((action, Selection::default()));
                self.actions.len() - 1
            }
        };
        let selection = &mut self.actions[at].1;
        match value {
            b"ALL" => selection.all = true,
            b"-" => {
                for line in std::io::stdin().lock().split(b'\n') {
                    let line =
                        line.unwrap_or_else(|error| fatal!("read standard input: {}", text::system_error(&error)));
                    add(selection, line.trim_ascii());
                }
            }
            name => add(selection, name),
        }
    }
}

fn add(selection: &mut Selection, name: &[u8]) {
    match QueueId::parse(name) {
        Some(id) => selection.ids.push(id),
        None => warning!("invalid mail queue id: {}", text::printable(name)),
    }
}

fn queue_named(name: &str) -> QueueName {
    match QueueName::parse(name) {
        Some(queue) if queue != QueueName::Saved && queue != QueueName::Corrupt => queue,
        _ => fatal!("invalid directory name: {}", text::printable(name.as_bytes())),
    }
}

/// Goes to the queue directory, and becomes the user who owns what is in it.
fn enter_queue(config: &Config) -> Result<Spool, String> {
    let directory = config.get(param::QUEUE_DIRECTORY).map_err(|error| error.to_string())?;
    std::env::set_current_dir(&directory)
        .map_err(|error| format!("chdir {}: {}", directory.display(), text::system_error(&error)))?;
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

fn repair(config: &Config, spool: &Spool, request: &Request) {
    // enable_long_queue_ids
    let long = config.get(param::ENABLE_LONG_QUEUE_IDS).unwrap_or_else(|error| fatal!("{error}"));
    let repair = Repair {
        spool,
        structure: request.structure,
        purge: request.purge,
        long_names: request.long_names,
        keep_long: long,
    };
    let result = repair.run(&request.queues);
    if let Err(error) = result {
        error!("{error}");
        fatal!("OPERATION INCOMPLETE -- RERUN COMMAND TO FIX THE QUEUE FIRST");
    }
    let renamed = result.unwrap_or_default();
    if renamed > 0 {
        info!("Renamed to match inode number: {}", messages::count(renamed));
        let changed = "QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS";
        if request.actions.iter().any(|(_, selection)| !selection.ids.is_empty()) {
            error!("{changed}");
            fatal!("CHECK YOUR QUEUE IDS AND RE-ISSUE THE COMMAND");
        }
        warning!("{changed}");
    }
}
