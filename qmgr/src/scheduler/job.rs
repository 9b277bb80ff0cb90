//! What one message has for one transport. A job knows its entries by destination, which of them were selected, and how
//! many delivery slots it has earned that a smaller job may use to overtake it.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::arena::Number;
use super::destination::DestinationId;
use super::order::Label;

/// The number that the queue manager gives a message while it is active. Older messages have smaller ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey(pub u64);

/// The number of a job in its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(usize);

impl Number for JobId {
    fn of(slot: usize) -> Self {
        Self(slot)
    }

    fn slot(self) -> usize {
        self.0
    }
}

/// The work of one message for one transport.
pub struct Job<R> {
    /// The message.
    pub message: MessageKey,
    /// Its place in the transport's list.
    pub label: Label,
    /// When the message became active.
    pub arrived: Instant,
    /// Entries that came so far.
    pub read: u32,
    /// Entries that were selected.
    pub selected: u32,
    /// Recipients of the message that are still in the file alone.
    pub unread: u32,
    /// Slots that smaller jobs may use.
    pub slots_available: u32,
    /// The job it overtook.
    pub overtook: Option<JobId>,
    /// Jobs that overtook it and are not finished.
    pub overtakers: u32,
    /// How many entries it was granted when it overtook.
    pub granted: u32,
    /// Entries selected before the grant.
    pub selected_before_grant: u32,
    /// Recipients in memory, waiting or being delivered.
    pub in_memory: u32,
    /// Entries being delivered.
    pub in_flight: u32,
    /// Recipient slots it holds of the transport's pool.
    pub recipient_slots: u32,
    /// Recipient slots it holds of the transport's extra pool.
    pub extra_slots: u32,
    peers: HashMap<DestinationId, VecDeque<Vec<R>>>,
    rotation: VecDeque<DestinationId>,
}

impl<R> Job<R> {
    /// A job without entries.
    pub fn new(message: MessageKey, label: Label, arrived: Instant) -> Self {
        Self {
            message,
            label,
            arrived,
            read: 0,
            selected: 0,
            unread: 0,
            slots_available: 0,
            overtook: None,
            overtakers: 0,
            granted: 0,
            selected_before_grant: 0,
            in_memory: 0,
            in_flight: 0,
            recipient_slots: 0,
            extra_slots: 0,
            peers: HashMap::new(),
            rotation: VecDeque::new(),
        }
    }

    /// Adds recipients for a destination, filling its last entry first, `limit` to an entry (0: all in one). Returns
    /// the number of new entries.
    pub fn add(&mut self, destination: DestinationId, recipients: Vec<R>, limit: u32) -> usize {
        let limit = if limit == 0 { usize::MAX } else { limit as usize };
        self.in_memory += recipients.len() as u32;
        let entries = self.peers.entry(destination).or_insert_with(|| {
            self.rotation.push_back(destination);
            VecDeque::new()
        });
        let before = entries.len();
        for recipient in recipients {
            match entries.back_mut() {
                Some(last) if last.len() < limit => last.push(recipient),
                _ => entries.push_back(vec![recipient]),
            }
        }
        let added = entries.len() - before;
        self.read += added as u32;
        added
    }

    /// Takes the next entry for a destination that is free, the destinations in turn. The second value: nothing waits
    /// for this destination any more.
    pub fn take(&mut self, is_free: impl Fn(DestinationId) -> bool) -> Option<(DestinationId, Vec<R>, bool)> {
        let position = self.rotation.iter().position(|peer| is_free(*peer))?;
        let destination = self.rotation.remove(position)?;
        let entries = self.peers.get_mut(&destination)?;
        let entry = entries.pop_front()?;
        let empty = entries.is_empty();
        if empty {
            self.peers.remove(&destination);
        } else {
            self.rotation.push_back(destination);
        }
        self.selected += 1;
        self.slots_available += 1;
        Some((destination, entry, empty))
    }

    /// Takes everything that waits for a destination.
    pub fn drain(&mut self, destination: DestinationId) -> Vec<Vec<R>> {
        self.rotation.retain(|peer| *peer != destination);
        let entries = self.peers.remove(&destination).unwrap_or_default();
        self.read -= entries.len() as u32;
        Vec::from(entries)
    }

    /// The destinations that entries wait for.
    pub fn destinations(&self) -> impl Iterator<Item = DestinationId> {
        self.rotation.iter().copied()
    }

    /// Entries that were not selected yet, recipients in the file counted as one each.
    pub fn remaining(&self) -> u32 {
        self.waiting().saturating_add(self.unread)
    }

    /// Entries in memory that were not selected yet.
    pub fn waiting(&self) -> u32 {
        self.read - self.selected
    }

    /// All its entries, recipients in the file counted as one each.
    pub fn total(&self) -> u32 {
        self.read.saturating_add(self.unread)
    }

    /// Whether there is nothing left to select, now or later.
    pub fn is_finished(&self) -> bool {
        self.remaining() == 0
    }
}
