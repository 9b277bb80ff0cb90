//! Changes of messages that an operator names: one transition each.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use logging::{info, warning};
use queue::{FORCE_EXPIRE, QueueId, QueueName, Spool, delivery_log};

/// Owner bits of a complete file.
const COMPLETE: u32 = 0o700;
/// A message that moves from queue to queue while it is looked for is found the second time.
const ROUNDS: usize = 2;

/// Messages that one option names.
#[derive(Default)]
pub struct Selection {
    /// All of them.
    pub all: bool,
    /// Those with these names.
    pub ids: Vec<QueueId>,
}

/// What is done with messages, and how often it was.
pub struct Action {
    letter: u8,
    done: Cell<usize>,
    released: Cell<usize>,
}

impl Action {
    /// The action of an option.
    pub fn of(letter: u8) -> Option<Self> {
        b"defhHr".contains(&letter).then(|| Self { letter, done: Cell::new(0), released: Cell::new(0) })
    }

    /// The letter of its option.
    pub fn letter(&self) -> u8 {
        self.letter
    }

    /// Its place in the order in which actions are done.
    pub fn rank(&self) -> usize {
        b"dhHref".iter().position(|letter| *letter == self.letter).unwrap_or_default()
    }

    /// Does it to the selected messages in `queues`, or in those that it is meant for.
    pub fn apply(&self, spool: &Spool, selection: &Selection, queues: &[QueueName]) {
        let queues: Vec<_> = if queues.is_empty() { self.default_queues().to_vec() } else { queues.to_vec() };
        if selection.all {
            self.apply_to_all(spool, &queues);
            return;
        }
        for id in &selection.ids {
            let found = (0..ROUNDS).any(|_| queues.iter().any(|queue| self.one(spool, *queue, id, true)));
            if !found {
                // Not an error: it may have been delivered.
                continue;
            }
        }
    }

    fn apply_to_all(&self, spool: &Spool, queues: &[QueueName]) {
        for queue in queues {
            let scan = match spool.scan(*queue) {
                Ok(scan) => scan,
                Err(error) => {
                    warning!("open directory {queue}: {}", text::system_error(&error));
                    continue;
                }
            };
            for found in scan {
                match found {
                    Ok(found) => drop(self.one(spool, *queue, &found.id, false)),
                    Err(error) => warning!("read directory {queue}: {}", text::system_error(&error)),
                }
            }
        }
    }

    fn default_queues(&self) -> &'static [QueueName] {
        match self.letter {
            b'h' => &[QueueName::Incoming, QueueName::Active, QueueName::Deferred],
            b'H' => &[QueueName::Hold],
            _ => &[QueueName::Hold, QueueName::Incoming, QueueName::Active, QueueName::Deferred],
        }
    }

    /// Does it to one message if it is in `queue`, and tells if it was named.
    fn one(&self, spool: &Spool, queue: QueueName, id: &QueueId, named: bool) -> bool {
        let Some(mode) = complete_mode(spool, queue, id) else { return false };
        let done = match self.letter {
            b'd' => self.delete(spool, queue, id, named),
            b'e' => self.expire(spool, queue, id, mode, named),
            b'f' => {
                let expired = self.expire(spool, queue, id, mode, named);
                self.release(spool, queue, id, named) || expired
            }
            b'h' => self.hold(spool, queue, id, named),
            b'H' => self.release(spool, queue, id, named),
            b'r' => self.requeue(spool, queue, id, named),
            _ => false,
        };
        // A message that needs no change was found all the same.
        done || matches!(self.letter, b'e' | b'f')
    }

    /// Logs go first: a message without logs is whole, logs without a message are litter.
    fn delete(&self, spool: &Spool, queue: QueueName, id: &QueueId, named: bool) -> bool {
        for log in [QueueName::Bounce, QueueName::Defer, QueueName::Trace] {
            if let Err(error) = delivery_log::remove(spool, log, id) {
                warning!("remove {log}/{id}: {}", text::system_error(&error));
            }
        }
        self.note(spool.remove(id, queue), &self.done, id, "removed", named)
    }

    fn expire(&self, spool: &Spool, queue: QueueName, id: &QueueId, mode: u32, named: bool) -> bool {
        // What waits in maildrop has no deadline yet.
        if queue == QueueName::Maildrop || mode & FORCE_EXPIRE != 0 {
            return false;
        }
        self.note(spool.force_expire(id, queue), &self.done, id, "expired", named)
    }

    fn hold(&self, spool: &Spool, queue: QueueName, id: &QueueId, named: bool) -> bool {
        // Mail in maildrop was not looked at by cleanup: it cannot be put on hold.
        if matches!(queue, QueueName::Maildrop | QueueName::Hold) {
            return false;
        }
        self.note(spool.hold(id, queue), &self.done, id, "placed on hold", named)
    }

    fn release(&self, spool: &Spool, queue: QueueName, id: &QueueId, named: bool) -> bool {
        if queue != QueueName::Hold {
            return false;
        }
        let counter = if self.letter == b'f' { &self.released } else { &self.done };
        self.note(spool.release(id), counter, id, "released from hold", named)
    }

    fn requeue(&self, spool: &Spool, queue: QueueName, id: &QueueId, named: bool) -> bool {
        if queue == QueueName::Maildrop {
            return false;
        }
        self.note(spool.requeue(id, queue), &self.done, id, "requeued", named)
    }

    fn note(&self, result: io::Result<()>, counter: &Cell<usize>, id: &QueueId, what: &str, named: bool) -> bool {
        match result {
            Ok(()) => {
                counter.set(counter.get() + 1);
                if named {
                    info!("{id}: {what}");
                }
                true
            }
            // It moved on meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                warning!("{id}: not {what}: {}", text::system_error(&error));
                false
            }
        }
    }
}

/// The mode of a complete message; nothing for what is not there or not complete.
fn complete_mode(spool: &Spool, queue: QueueName, id: &QueueId) -> Option<u32> {
    let is_log = matches!(queue, QueueName::Bounce | QueueName::Defer | QueueName::Trace | QueueName::Flush);
    let metadata = fs::symlink_metadata(spool.path(queue, id)).ok().filter(|_| !is_log)?;
    (metadata.is_file() && metadata.mode() & COMPLETE == COMPLETE).then_some(metadata.mode())
}

/// The totals, as operators know them.
pub fn report_totals(actions: &[(Action, Selection)]) {
    for (letter, what) in [(b'r', "Requeued"), (b'd', "Deleted"), (b'e', "Force-expired"), (b'f', "Force-expired")] {
        report(actions, letter, what, |action| &action.done);
    }
    report(actions, b'h', "Placed on hold", |action| &action.done);
    report(actions, b'H', "Released from hold", |action| &action.done);
    let released = |(action, _): &&(Action, Selection)| action.released.get() > 0;
    if let Some((action, _)) = actions.iter().find(released) {
        info!("Released from hold: {}", count(action.released.get()));
    }
}

fn report(actions: &[(Action, Selection)], letter: u8, what: &str, counter: impl Fn(&Action) -> &Cell<usize>) {
    if let Some((action, _)) = actions.iter().find(|(action, _)| action.letter == letter) {
        info!("{what}: {}", count(counter(action).get()));
    }
}

/// `1 message`, `2 messages`.
pub fn count(number: usize) -> String {
    format!("{number} message{}", if number == 1 { "" } else { "s" })
}
