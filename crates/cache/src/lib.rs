//! What a daemon remembers from one start to the next, in a file that it writes itself: address_verify_map.
//!
//! The file is that of an lmdb table, so that C Postfix goes on with it, and the other way round. The daemon reads it
//! page by page ([`lookup::btree`]), and never maps it into memory. What changes it keeps in memory and hands to its
//! [scribe], a process of its own, which writes with LMDB: many changes, one wait for the disk.
//!
//! Nothing here is worth more than mail. A change that cannot be written is remembered for as long as the daemon lives;
//! a file that makes no sense is put aside, and another one begun; a scribe that dies takes nothing with it but changes
//! that it had not written yet, and the file has all of a transaction or nothing of it.

mod kept;
mod packet;
mod place;
pub mod scribe;
mod sweep;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use config::Config;
use ipc::Questions;
use ipc::questions::Answer;
use sys::identity::Identity;
use tokio::sync::{Mutex, Notify};

use crate::kept::{Kept, Tree};
use crate::packet::{Changes, Reply};
pub use crate::sweep::{Fate, Swept};

/// Longest key in bytes: LMDB's, without the NUL at its end.
/// told: who has a longer one, by the result.
pub const MAX_KEY: usize = 510;
/// Longest value in bytes; a key and a value fit a packet.
/// told: as above.
pub const MAX_VALUE: usize = 2000;
/// Changes that are in memory and not in the file.
/// told: the log; what else changes is not remembered.
const MOST_UNWRITTEN: usize = 10_000;
/// Entries of a cache that has no file.
/// told: the log; another entry makes room.
const MOST_IN_MEMORY: usize = 100_000;

/// A cache. Belongs to one thread.
pub struct Cache {
    name: String,
    kept: Kept,
    /// What is not in the file; everything, where there is none.
    changes: RefCell<HashMap<Vec<u8>, Change>>,
    /// Keys of changes that are to be written.
    waiting: RefCell<VecDeque<Vec<u8>>>,
    arrival: Notify,
    written: Notify,
    number: Cell<u64>,
    /// Held by who writes, and by who reads the whole file.
    turn: Mutex<()>,
}

/// The last change of a key.
struct Change {
    number: u64,
    /// None: the entry is to go.
    value: Option<Vec<u8>>,
    waits: bool,
}

/// The cache cannot be used; its file could not be opened, or cannot be read. Display is the sentence.
#[derive(Debug)]
pub struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

impl Cache {
    /// Opens the cache that a parameter names by `type:name`; empty: it has no file. What is wrong with it is logged,
    /// and makes it unusable. `owner`: whose rights the scribe has, if not those of the caller. waits: before the first
    /// client
    ///
    /// # Errors
    /// The value is no `type:name`, or the scribe cannot be started.
    pub fn open(
        program: &'static str,
        config: &Config,
        value: &str,
        owner: Option<&Identity>,
    ) -> Result<Self, Unusable> {
        if value.is_empty() {
            return Ok(Self::of(format!("internal:{program}"), Kept::Nowhere));
        }
        let place = match place::find(config, value, owner) {
            Ok(place) => place,
            Err(lookup::OpenError::NotTypeName(text)) => {
                return Err(Unusable(lookup::OpenError::NotTypeName(text).to_string()));
            }
            Err(error) => {
                logging::error!("{error}");
                return Ok(Self::of(value.to_owned(), Kept::Unusable(error.to_string())));
            }
        };
        let kept = match scribe::start(program, &place, owner) {
            Ok(Ok(opened)) => {
                if !opened.note.is_empty() {
                    logging::warning!("{}", opened.note);
                }
                Kept::file(opened.file, opened.socket)
            }
            Ok(Err(why)) => {
                logging::error!("{why}");
                Kept::Unusable(why)
            }
            Err(error) => return Err(Unusable(format!("start scribe: {}", text::system_error(&error)))),
        };
        Ok(Self::of(place.name, kept))
    }

    fn of(name: String, kept: Kept) -> Self {
        Self {
            name,
            kept,
            changes: RefCell::default(),
            waiting: RefCell::default(),
            arrival: Notify::new(),
            written: Notify::new(),
            number: Cell::new(0),
            turn: Mutex::new(()),
        }
    }

    /// `type:name`, for log lines.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a key.
    ///
    /// # Errors
    /// Nobody can say.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Unusable> {
        if let Some(change) = self.changes.borrow().get(key) {
            return Ok(change.value.clone());
        }
        self.kept.get(&self.name, key)
    }

    /// Gives a key a value, from now on for who asks, and in the file soon. False where it is not remembered: it is too
    /// long, or (logged) there is too much that is not written yet.
    pub fn put(&self, key: &[u8], value: Vec<u8>) -> bool {
        if key.is_empty() || key.len() > MAX_KEY || value.len() > MAX_VALUE || key.contains(&0) || value.contains(&0) {
            return false;
        }
        self.change(key, Some(value))
    }

    /// Removes an entry.
    pub fn remove(&self, key: &[u8]) {
        if matches!(self.kept, Kept::Nowhere) {
            self.changes.borrow_mut().remove(key);
        } else {
            self.change(key, None);
        }
    }

    fn change(&self, key: &[u8], value: Option<Vec<u8>>) -> bool {
        let mut changes = self.changes.borrow_mut();
        let is_file = match &self.kept {
            Kept::File { .. } => true,
            Kept::Nowhere => false,
            Kept::Unusable(_) => return false,
        };
        let most = if is_file { MOST_UNWRITTEN } else { MOST_IN_MEMORY };
        if changes.len() >= most && !changes.contains_key(key) {
            if is_file {
                logging::repeated!("{}: changes cannot be written fast enough: some are not remembered", &self.name);
                return false;
            }
            logging::repeated!("cache {}: {most} entries: some are forgotten", &self.name);
            if let Some(other) = changes.keys().next().cloned() {
                changes.remove(&other);
            }
        }
        let number = self.number.replace(self.number.get() + 1);
        let waits = changes.get(key).is_some_and(|change| change.waits);
        changes.insert(key.to_vec(), Change { number, value, waits: is_file });
        if is_file && !waits {
            self.waiting.borrow_mut().push_back(key.to_vec());
            self.arrival.notify_one();
        }
        true
    }

    /// Has changes written for as long as the scribe lives: to be run as a task beside the sessions. A cache without a
    /// scribe has nothing to do, and no end.
    pub async fn serve(&self) {
        let Kept::File { scribe, .. } = &self.kept else { return std::future::pending().await };
        tokio::select! {
            () = scribe.listen() => {}
            () = self.write(scribe) => {}
        }
    }

    async fn write(&self, scribe: &Questions) {
        loop {
            let turn = self.turn.lock().await;
            let batch = self.next_batch();
            if batch.changes.is_empty() {
                drop(turn);
                self.arrival.notified().await;
                continue;
            }
            let Ok(answer) = scribe.ask(|number| batch.changes.encode(number), None).await else { return };
            self.take(batch, &answer);
            self.written.notify_waiters();
        }
    }

    /// What fits a packet of what waits.
    fn next_batch(&self) -> Batch {
        let (mut waiting, mut changes) = (self.waiting.borrow_mut(), self.changes.borrow_mut());
        let mut batch = Batch::default();
        while let Some(key) = waiting.front() {
            let Some(change) = changes.get_mut(key) else {
                waiting.pop_front();
                continue;
            };
            if !batch.changes.push(key, change.value.as_deref()) {
                break;
            }
            change.waits = false;
            batch.numbers.push(change.number);
            waiting.pop_front();
        }
        batch
    }

    /// What is written need not be remembered any more.
    fn take(&self, batch: Batch, answer: &Answer) {
        match Reply::decode(&answer.packet) {
            Some(Reply::Done) => {
                let mut changes = self.changes.borrow_mut();
                for (key, number) in batch.changes.keys().zip(batch.numbers) {
                    if changes.get(key).is_some_and(|change| change.number == number) {
                        changes.remove(key);
                    }
                }
            }
            Some(Reply::Failed(why)) => {
                logging::repeated!("{}: {}: changes are remembered, and not written", &self.name, &why);
            }
            _ => logging::repeated!("{}: malformed answer of the scribe", &self.name),
        }
    }

    /// Waits until all changes are in the file, or there is nobody to write them.
    pub async fn flush(&self) {
        while matches!(self.kept, Kept::File { .. }) && !self.changes.borrow().is_empty() {
            self.written.notified().await;
        }
    }

    /// Leaves what is not written yet to the scribe, which goes on until it has read everything. waits: the daemon is
    /// about to end
    pub fn leave(&self) {
        let Kept::File { scribe, .. } = &self.kept else { return };
        let batches = std::iter::from_fn(|| Some(self.next_batch()).filter(|batch| !batch.changes.is_empty()));
        scribe.leave(batches.map(|batch| batch.changes.encode(0)));
    }

    fn tree(&self) -> Option<Arc<Tree>> {
        match &self.kept {
            Kept::File { tree, .. } => tree.as_ref().ok().cloned(),
            _ => None,
        }
    }
}

/// Changes that are under way to the scribe, and their numbers.
#[derive(Default)]
struct Batch {
    changes: Changes,
    numbers: Vec<u64>,
}

#[cfg(test)]
mod tests;
