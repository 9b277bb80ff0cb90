//! The command line: what is done to which messages and queues.

use std::ffi::OsString;
use std::io::BufRead;

use logging::warning;
use queue::{QueueId, QueueName};
use text::Options;

use crate::messages::{Action, Selection};

const USAGE: &str = "usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] \
    [-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] \
    [-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] \
    [-S (redundant structure fix)][-v (verbose)] [queue...]";

/// What the command line asks for.
#[derive(Default)]
pub(crate) struct Request {
    /// Of main.cf.
    pub(crate) directory: Option<Vec<u8>>,
    /// -p
    pub(crate) purge: bool,
    /// -s, -S
    pub(crate) structure: bool,
    /// -S
    pub(crate) long_names: bool,
    /// In the order in which they are done.
    pub(crate) actions: Vec<(Action, Selection)>,
    /// The queues to work on, if not those that are usual.
    pub(crate) queues: Vec<QueueName>,
}

impl Request {
    /// Reads the command line, and standard input where an option says `-`.
    ///
    /// # Errors
    /// The sentence for who called: the usage, or what cannot be understood.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut options = Options::new("c:d:e:f:h:H:pr:sSv", arguments);
        let mut request = Self::default();
        let mut any = false;
        while let Some((letter, value)) = options.next_or_usage("postsuper", USAGE)? {
            any |= !matches!(letter, b'c' | b'v');
            match letter {
                b'c' => request.directory = Some(value),
                b'p' => request.purge = true,
                b's' => request.structure = true,
                b'S' => (request.structure, request.long_names) = (true, true),
                b'v' => {}
                _ => request.select(letter, &value)?,
            }
        }
        if !any {
            (request.structure, request.purge) = (true, true);
        }
        request.actions.sort_by_key(|(action, _)| action.rank());
        let queues = options.operands().into_iter().map(|name| queue_named(&name.to_string_lossy()));
        request.queues = queues.collect::<Result<_, _>>()?;
        Ok(request)
    }

    /// Adds what one option names to what its letter named before.
    fn select(&mut self, letter: u8, value: &[u8]) -> Result<(), String> {
        let Some(action) = Action::of(letter) else { return Err(USAGE.to_owned()) };
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
                    let line = line.map_err(|error| format!("read standard input: {}", text::system_error(&error)))?;
                    add(selection, line.trim_ascii());
                }
            }
            name => add(selection, name),
        }
        Ok(())
    }
}

fn add(selection: &mut Selection, name: &[u8]) {
    match QueueId::parse(name) {
        Some(id) => selection.ids.push(id),
        None => warning!("invalid mail queue id: {}", text::printable(name)),
    }
}

fn queue_named(name: &str) -> Result<QueueName, String> {
    match QueueName::parse(name) {
        Some(queue) if queue != QueueName::Saved && queue != QueueName::Corrupt => Ok(queue),
        _ => Err(format!("invalid directory name: {}", text::printable(name.as_bytes()))),
    }
}
