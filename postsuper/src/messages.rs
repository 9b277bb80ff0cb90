//! Changes of messages that an operator names: one transition each.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use logging::records::postsuper::Handled;
use logging::{info, warning};
use queue::scan::Found;
use queue::{FORCE_EXPIRE, QueueId, QueueName, Spool, delivery_log};

use crate::place::{place, tell_stranger};

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
        let everywhere = queues.is_empty();
        let queues: Vec<_> = if everywhere { self.default_queues().to_vec() } else { queues.to_vec() };
        if selection.all {
            self.apply_to_all(spool, &queues);
            if everywhere && self.letter == b'd' {
                remove_lonely_logs(spool);
            }
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
            let mut scan = match spool.scan(*queue) {
                Ok(scan) => scan.keep_strangers(),
                Err(error) => {
                    warning!("open directory {queue}: {}", text::system_error(&error));
                    continue;
                }
            };
            for found in scan.by_ref() {
                match found {
                    Ok(found) => self.found(spool, *queue, &found),
                    Err(error) => warning!("read directory {queue}: {}", text::system_error(&error)),
                }
            }
            scan.strangers().iter().for_each(|path| tell_stranger(path));
        }
    }

    /// Does it to a message that a scan came upon, wherever it lies.
    fn found(&self, spool: &Spool, queue: QueueName, found: &Found) {
        let path = spool.path(queue, &found.id);
        let is_complete = |path: &Path| fs::symlink_metadata(path).is_ok_and(|file| is_complete(&file));
        if found.path != path && is_complete(&found.path) && !path.exists() {
            match place(&found.path, &path) {
                Ok(()) => {}
                Err(why) => return warning!("{why}"),
            }
        }
        self.one(spool, queue, &found.id, false);
    }

    /// The queues that it is meant for. A message is requeued by way of maildrop, and can be deleted there.
    fn default_queues(&self) -> &'static [QueueName] {
        use QueueName::{Active, Deferred, Hold, Incoming, Maildrop};
        match self.letter {
            b'h' => &[Incoming, Active, Deferred],
            b'H' => &[Hold],
            b'd' => &[Maildrop, Hold, Incoming, Active, Deferred],
            _ => &[Hold, Incoming, Active, Deferred],
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
                warning!(about: id, "remove {log}/{id}: {}", text::system_error(&error));
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
                    logging::emit(&Handled { queue_id: id.as_str(), action: what });
                }
                true
            }
            // It moved on meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                warning!(id: id, "not {what}: {}", text::system_error(&error));
                false
            }
        }
    }
}

/// Removes the logs of messages that are gone.
fn remove_lonely_logs(spool: &Spool) {
    use QueueName::{Active, Corrupt, Deferred, Hold, Incoming};
    for log in [QueueName::Bounce, QueueName::Defer, QueueName::Trace] {
        let Ok(scan) = spool.scan(log) else { continue };
        for found in scan.flatten() {
            let is_somewhere = |queue: &QueueName| spool.path(*queue, &found.id).exists();
            if ![Incoming, Active, Deferred, Hold, Corrupt].iter().any(is_somewhere)
                && let Err(error) = delivery_log::remove(spool, log, &found.id)
            {
                warning!(about: found.id, "remove {log}/{}: {}", found.id, text::system_error(&error));
            }
        }
    }
}

/// The mode of a complete message; nothing for what is not there or not complete.
fn complete_mode(spool: &Spool, queue: QueueName, id: &QueueId) -> Option<u32> {
    let is_log = matches!(queue, QueueName::Bounce | QueueName::Defer | QueueName::Trace | QueueName::Flush);
    let metadata = fs::symlink_metadata(spool.path(queue, id)).ok().filter(|_| !is_log)?;
    is_complete(&metadata).then_some(metadata.mode())
}

fn is_complete(file: &fs::Metadata) -> bool {
    file.is_file() && file.mode() & COMPLETE == COMPLETE
}

/// The totals, as operators know them.
pub fn report_totals(actions: &[(Action, Selection)]) {
    for (letter, what) in [(b'r', "Requeued"), (b'd', "Deleted"), (b'e', "Force-expired"), (b'f', "Force-expired")] {
        report(actions, letter, what, |action| &action.done);
    }
    report(actions, b'h', "Placed on hold", |action| &action.done);
    report(actions, b'H', "Released from hold", |action| &action.done);
    report(actions, b'f', "Released from hold", |action| &action.released);
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
