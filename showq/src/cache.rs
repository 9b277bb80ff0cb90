//! What was read of messages before, in the form in which it is sent.
//!
//! The files are the truth: what is kept of a message holds as long as its [`Identity`] does, and is no more than an
//! answer that need not be worked out again. It is bounded in bytes; what does not fit is read from its files each
//! time.

use std::collections::HashMap;

use queue::{QueueId, QueueName};
use wire::showq::Writer;

use crate::identity::Identity;

/// Bytes of all that is kept: about 100,000 messages of one recipient each.
/// told: nobody; what does not fit is read from its files.
const LIMIT: usize = 64 << 20;
/// Bytes that a message needs beside its text and its name: its entry in a table of which a part is empty, and what
/// the allocator rounds up.
const OVERHEAD: usize = size_of::<(QueueId, Kept)>() * 3 / 2 + 32;

/// The messages that are kept, by queue and name.
pub(crate) struct Cache {
    queues: HashMap<QueueName, HashMap<QueueId, Kept>>,
    bytes: usize,
    limit: usize,
}

struct Kept {
    identity: Identity,
    text: Box<[u8]>,
    /// The last list that had it.
    listing: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self { queues: HashMap::new(), bytes: 0, limit: LIMIT }
    }
}

impl Cache {
    /// What the message was when it was read.
    pub(crate) fn identity(&self, queue: QueueName, id: &QueueId) -> Option<Identity> {
        Some(self.queues.get(&queue)?.get(id)?.identity)
    }

    /// Adds what is kept of a message to a list; false when nothing is.
    pub(crate) fn recall(&mut self, listing: u64, queue: QueueName, id: &QueueId, out: &mut Writer) -> bool {
        let Some(kept) = self.queues.get_mut(&queue).and_then(|messages| messages.get_mut(id)) else { return false };
        kept.listing = kept.listing.max(listing);
        out.append(&kept.text);
        true
    }

    /// Keeps the text of a message, if there is room.
    pub(crate) fn keep(&mut self, listing: u64, queue: QueueName, id: &QueueId, identity: Identity, text: &[u8]) {
        let messages = self.queues.entry(queue).or_default();
        if let Some(old) = messages.remove(id) {
            self.bytes -= cost(id, &old);
        }
        let kept = Kept { identity, text: text.into(), listing };
        let cost = cost(id, &kept);
        if self.bytes + cost <= self.limit {
            self.bytes += cost;
            messages.insert(id.clone(), kept);
        }
    }

    /// Forgets what no list has had since that one was begun: the message is gone.
    pub(crate) fn forget_before(&mut self, listing: u64) {
        for messages in self.queues.values_mut() {
            messages.retain(|id, kept| {
                let stays = kept.listing >= listing;
                if !stays {
                    self.bytes -= cost(id, kept);
                }
                stays
            });
        }
    }
}

fn cost(id: &QueueId, kept: &Kept) -> usize {
    id.as_bytes().len() + kept.text.len() + OVERHEAD
}

#[cfg(test)]
impl Cache {
    /// How many messages are kept.
    pub(crate) fn len(&self) -> usize {
        self.queues.values().map(HashMap::len).sum()
    }

    /// Another bound.
    pub(crate) fn hold_at_most(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Other text for every message that is kept.
    pub(crate) fn replace_all(&mut self, text: &[u8]) {
        self.queues.values_mut().flat_map(HashMap::values_mut).for_each(|kept| kept.text = text.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue::Stamp;

    fn keep(cache: &mut Cache, listing: u64, id: &str, text: &[u8]) {
        let file = Stamp::of(&std::fs::metadata("/").unwrap());
        cache.keep(listing, QueueName::Hold, &QueueId::parse(id.as_bytes()).unwrap(), Identity::of(file), text);
    }

    #[test]
    fn bytes_are_counted_as_messages_come_change_and_go() {
        let mut cache = Cache::default();
        keep(&mut cache, 1, "AAAAAA1", b"text");
        let one = cache.bytes;
        keep(&mut cache, 1, "AAAAAA2", b"text");
        keep(&mut cache, 2, "AAAAAA2", b"text");
        assert_eq!((cache.len(), cache.bytes), (2, 2 * one));
        cache.forget_before(2);
        assert_eq!((cache.len(), cache.bytes), (1, one));
        // A new text that does not fit leaves no old one behind.
        cache.hold_at_most(one);
        keep(&mut cache, 3, "AAAAAA2", b"longer text");
        assert_eq!((cache.len(), cache.bytes), (0, 0));
    }

    #[test]
    fn what_a_younger_list_has_had_is_kept_when_an_older_one_ends() {
        let mut cache = Cache::default();
        keep(&mut cache, 1, "AAAAAA1", b"text");
        let (id, mut out) = (QueueId::parse(b"AAAAAA1").unwrap(), Writer::part());
        assert!(cache.recall(3, QueueName::Hold, &id, &mut out) && cache.recall(2, QueueName::Hold, &id, &mut out));
        assert!(!cache.recall(3, QueueName::Active, &id, &mut out));
        assert_eq!(out.pending(), b"texttext");
        cache.forget_before(3);
        assert_eq!(cache.len(), 1);
    }
}
