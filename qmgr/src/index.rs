//! What is known of the deferred queue, for lists of it: who waits in each message that was deferred, and why, as showq
//! shows it.
//!
//! It spares showq the opening of every file of a long queue. The files stay the truth: what is known of a message is
//! told with the stamps of its file and its log, and is nothing once they have others. It is bounded in bytes; what is
//! not here is read from its files.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::time::{SystemTime, UNIX_EPOCH};

use ipc::qmgr::{Deferred, Moment};
use ipc::{Chunk, chunks};
use queue::{QueueId, Stamp};

/// Bytes of what is kept: about 100,000 messages of one recipient each.
/// told: the log, once.
const LIMIT: usize = 64 << 20;
/// What a message needs beside its text and its names: an entry in either table, a part of which is empty.
const OVERHEAD: usize = 240;

/// What is known.
pub struct Index {
    known: RefCell<Known>,
}

struct Known {
    /// Which queue manager this is.
    life: u64,
    deferrals: u64,
    messages: HashMap<QueueId, Kept>,
    /// The messages in the order in which they were deferred.
    order: BTreeMap<u64, QueueId>,
    bytes: usize,
    limit: usize,
    is_full: bool,
}

struct Kept {
    number: u64,
    file: Stamp,
    log: Stamp,
    text: Box<[u8]>,
}

impl Index {
    /// Nothing is known.
    pub fn new() -> Self {
        let life = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
        Self {
            known: RefCell::new(Known {
                life,
                deferrals: 0,
                messages: HashMap::new(),
                order: BTreeMap::new(),
                bytes: 0,
                limit: LIMIT,
                is_full: false,
            }),
        }
    }

    /// A message was deferred.
    pub fn insert(&self, message: Deferred) {
        let Deferred { queue_id, file, log, text } = message;
        let mut known = self.known.borrow_mut();
        known.remove(&queue_id);
        let kept = Kept { number: known.deferrals + 1, file, log, text: text.into() };
        let cost = cost(&queue_id, &kept);
        if known.bytes + cost > known.limit {
            return known.tell_once();
        }
        known.bytes += cost;
        known.deferrals += 1;
        known.order.insert(kept.number, queue_id.clone());
        known.messages.insert(queue_id, kept);
    }

    /// The message is in the deferred queue no more, or not as it was.
    pub fn remove(&self, id: &QueueId) {
        self.known.borrow_mut().remove(id);
    }

    /// Some of the messages that were deferred after this moment, the earliest first, and the moment after them;
    /// nothing when there are none.
    pub fn after(&self, moment: Moment) -> (Option<Chunk<Deferred>>, Moment) {
        let known = self.known.borrow();
        let begin = if moment.life == known.life { moment.deferrals } else { 0 };
        let mut end = known.deferrals;
        let later = known.order.range((Bound::Excluded(begin), Bound::Unbounded)).filter_map(|(number, id)| {
            let Kept { file, log, text, .. } = known.messages.get(id)?;
            end = *number;
            Some(Deferred { queue_id: id.clone(), file: *file, log: *log, text: text.to_vec() })
        });
        let chunk = chunks(later).next();
        (chunk, Moment { life: known.life, deferrals: end })
    }
}

impl Known {
    fn remove(&mut self, id: &QueueId) {
        if let Some(kept) = self.messages.remove(id) {
            self.order.remove(&kept.number);
            self.bytes -= cost(id, &kept);
        }
    }

    fn tell_once(&mut self) {
        if !std::mem::replace(&mut self.is_full, true) {
            let count = self.messages.len();
            logging::info!("{count} deferred messages are remembered for lists: others are read from their files");
        }
    }
}

fn cost(id: &QueueId, kept: &Kept) -> usize {
    2 * id.as_bytes().len() + kept.text.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deferred(id: &str, text: &[u8]) -> Deferred {
        let stamp = Stamp { inode: 1, size: 2, mode: 3, modified: 4, changed: 5 };
        let queue_id = QueueId::parse(id.as_bytes()).unwrap();
        Deferred { queue_id, file: stamp, log: stamp, text: text.to_vec() }
    }

    /// What comes after a moment, piece by piece, and the moment at the end.
    fn after(index: &Index, mut moment: Moment) -> (Vec<(String, Vec<u8>)>, Moment) {
        let mut found = Vec::new();
        loop {
            let (chunk, next) = index.after(moment);
            moment = next;
            let Some(chunk) = chunk else { return (found, moment) };
            found.extend(chunk.into_iter().map(|message| (message.queue_id.to_string(), message.text)));
        }
    }

    #[test]
    fn who_asks_again_hears_what_is_new_and_a_message_once() {
        let index = Index::new();
        for number in 0..2500 {
            index.insert(deferred(&format!("A{number}"), b"first"));
        }
        let (found, moment) = after(&index, Moment::default());
        assert_eq!((found.len(), &found[2499].0[..]), (2500, "A2499"));
        assert_eq!(after(&index, moment), (vec![], moment));
        index.insert(deferred("A7", b"second"));
        index.insert(deferred("A8", b"second"));
        index.remove(&QueueId::parse(b"A8").unwrap());
        assert_eq!(after(&index, moment).0, [("A7".to_owned(), b"second".to_vec())]);
        // Another queue manager had told that.
        assert_eq!(after(&index, Moment { life: 1, ..moment }).0.len(), 2499);
    }

    #[test]
    fn bytes_are_counted_and_what_does_not_fit_is_not_there_in_its_old_form() {
        let index = Index::new();
        index.insert(deferred("A1", b"text"));
        let one = index.known.borrow().bytes;
        index.known.borrow_mut().limit = 2 * one;
        index.insert(deferred("A2", b"text"));
        index.insert(deferred("A3", b"text"));
        assert_eq!((index.known.borrow().bytes, index.known.borrow().is_full), (2 * one, true));
        index.insert(deferred("A2", b"longer text"));
        index.remove(&QueueId::parse(b"A9").unwrap());
        assert_eq!(index.known.borrow().bytes, one);
        let names: Vec<String> = after(&index, Moment::default()).0.into_iter().map(|(id, _)| id).collect();
        assert_eq!(names, ["A1"]);
    }
}
