//! One transport: its jobs in order, its destinations, and whether it works at all. This file adds and removes; which
//! entry is next is decided in `selection`, who may read more recipients in `pool`.
//!
//! It must never lose a recipient: whatever was assigned comes out exactly once, by selection or drained when a
//! destination or the transport itself died.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::arena::Arena;
use super::destination::{Destination, DestinationId, HostFailure, State, Verdict};
use super::job::{Job, JobId, MessageKey};
use super::limits::Limits;
use super::order::{Label, Order};
use super::pool::Pool;
use super::selection::Candidate;

/// Recipients that go to an agent together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery<R> {
    /// The message they belong to.
    pub message: MessageKey,
    /// The next hop to give to the agent.
    pub nexthop: Vec<u8>,
    /// The recipients.
    pub recipients: Vec<R>,
    /// The job, for [`Transport::finish`].
    pub(super) job: JobId,
    /// The destination, for [`Transport::finish`].
    pub(super) destination: DestinationId,
}

/// Recipients that were taken back unseen, because their destination or transport died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned<R> {
    /// The message they belong to.
    pub message: MessageKey,
    /// The recipients.
    pub recipients: Vec<R>,
}

/// One transport, for recipients of any kind.
pub struct Transport<R> {
    /// Its name in master.cf.
    pub name: Vec<u8>,
    /// Its limits.
    pub limits: Limits,
    pub(super) jobs: Arena<JobId, Job<R>>,
    pub(super) order: Order,
    pub(super) destinations: Arena<DestinationId, Destination>,
    /// Destinations with a free window and something waiting, by the first job that waits.
    pub(super) ready: BTreeSet<(Label, DestinationId)>,
    pub(super) candidate: Option<Candidate>,
    pub(super) pool: Pool,
    /// Jobs with unread recipients, oldest first.
    pub(super) unread: BTreeSet<(MessageKey, JobId)>,
    by_message: HashMap<MessageKey, JobId>,
    by_key: HashMap<Vec<u8>, DestinationId>,
    dead: Option<(Instant, HostFailure)>,
    locked_until: Option<Instant>,
    wakes: BTreeSet<(Instant, DestinationId)>,
}

impl<R> Transport<R> {
    /// A transport without work.
    pub fn new(name: &[u8], limits: Limits) -> Self {
        Self {
            name: name.to_vec(),
            pool: Pool::new(&limits),
            limits,
            jobs: Arena::default(),
            order: Order::default(),
            destinations: Arena::default(),
            ready: BTreeSet::new(),
            candidate: None,
            unread: BTreeSet::new(),
            by_message: HashMap::new(),
            by_key: HashMap::new(),
            dead: None,
            locked_until: None,
            wakes: BTreeSet::new(),
        }
    }

    /// The name under which a recipient's destination is found: the next hop, and for transports that deliver to one
    /// recipient at a time also the local part, so that one slow mailbox does not hold up the others.
    pub fn destination_key(&self, nexthop: &[u8], local_part: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(nexthop.len() + local_part.len() + 1);
        if self.limits.recipients == 1 {
            key.extend_from_slice(local_part);
            key.push(b'@');
        }
        key.extend_from_slice(nexthop);
        key.make_ascii_lowercase();
        key
    }

    /// Why nothing can be sent there at the moment: the transport or the destination is dead.
    pub fn obstacle(&self, key: &[u8]) -> Option<&HostFailure> {
        if let Some((_, why)) = &self.dead {
            return Some(why);
        }
        match &self.destinations[*self.by_key.get(key)?].state {
            State::Dead { why, .. } => Some(why),
            _ => None,
        }
    }

    /// Whether the transport itself does not work at the moment.
    pub fn is_dead(&self) -> bool {
        self.dead.is_some()
    }

    /// Adds recipients of a message for a destination, as many to a delivery as the transport takes.
    pub fn assign(&mut self, message: MessageKey, key: Vec<u8>, nexthop: &[u8], recipients: Vec<R>, now: Instant) {
        self.assign_at_most(self.limits.recipients, message, key, nexthop, recipients, now);
    }

    /// The same, at most `limit` recipients to a delivery (0: no limit).
    pub fn assign_at_most(
        &mut self,
        limit: u32,
        message: MessageKey,
        key: Vec<u8>,
        nexthop: &[u8],
        recipients: Vec<R>,
        now: Instant,
    ) {
        let destination = self.destination(key, nexthop);
        let job = self.job(message, now);
        let label = self.jobs[job].label;
        self.pool.used(recipients.len());
        let entries = self.jobs[job].add(destination, recipients, limit);
        let place = &mut self.destinations[destination];
        place.entries += entries;
        place.waiting.insert(label, job);
        self.reindex(destination);
    }

    /// Says how many recipients of the message are still in its file alone; jobs with unread ones stay in the list.
    pub fn set_unread(&mut self, message: MessageKey, unread: u32) {
        if let Some(&job) = self.by_message.get(&message) {
            self.jobs[job].unread = unread;
            if unread > 0 {
                self.unread.insert((message, job));
            } else {
                self.unread.remove(&(message, job));
            }
            self.share_slots(job);
            self.retire(job);
        }
    }

    /// A delivery is over. Returns what has to go elsewhere when this was the failure that made the destination dead.
    pub fn finish(
        &mut self,
        delivery: &Delivery<R>,
        verdict: &Verdict,
        dead_time: Duration,
        now: Instant,
    ) -> Vec<Returned<R>> {
        let number = delivery.destination;
        let place = &mut self.destinations[number];
        let died = place.learn(verdict, &self.limits, dead_time, now);
        place.busy -= 1;
        place.suspend(&self.limits, now);
        if let State::Dead { until, .. } | State::Suspended { until } = place.state {
            self.wakes.insert((until, number));
        }
        let returned = if died { self.drain(number) } else { Vec::new() };
        self.reindex(number);
        self.release(delivery);
        self.forget(number);
        returned
    }

    /// The transport does not work: nothing is selected before `until`, and what waits has to go elsewhere.
    pub fn kill(&mut self, why: HostFailure, until: Instant) -> Vec<Returned<R>> {
        self.dead = Some((until, why));
        let waiting: Vec<DestinationId> = self.destinations.iter().map(|(number, _)| number).collect();
        let mut returned = Vec::new();
        for number in waiting {
            returned.extend(self.drain(number));
            self.reindex(number);
            self.forget(number);
        }
        returned
    }

    /// Ends pauses and dead times that are over.
    pub fn wake(&mut self, now: Instant) {
        self.dead.take_if(|(until, _)| *until <= now);
        self.locked_until.take_if(|until| *until <= now);
        while let Some(&(at, number)) = self.wakes.first() {
            if at > now {
                break;
            }
            self.wakes.pop_first();
            if self.destinations.find(number).is_some() {
                self.destinations[number].wake(&self.limits, now);
                self.reindex(number);
                self.forget(number);
            }
        }
    }

    /// When [`Transport::wake`] has something to do next.
    pub fn next_wake(&self) -> Option<Instant> {
        let destination = self.wakes.first().map(|(at, _)| *at);
        let dead = self.dead.as_ref().map(|(until, _)| *until);
        [destination, dead, self.locked_until].into_iter().flatten().min()
    }

    /// Forgets every dead state (trigger `F`).
    pub fn revive(&mut self) {
        self.dead = None;
        let all: Vec<DestinationId> = self.destinations.iter().map(|(number, _)| number).collect();
        for number in all {
            if matches!(self.destinations[number].state, State::Dead { .. }) {
                self.destinations[number].revive(&self.limits);
                self.reindex(number);
                self.forget(number);
            }
        }
    }

    /// Whether [`Transport::select`] would find something.
    pub fn has_work(&self) -> bool {
        self.dead.is_none() && self.locked_until.is_none() && !self.ready.is_empty()
    }

    /// Whether more waits for the destination of a delivery, or is under way there.
    pub fn has_backlog(&self, delivery: &Delivery<R>) -> bool {
        let place = &self.destinations[delivery.destination];
        place.entries > 0 || place.busy > 1
    }

    /// Entries of one destination in memory, waiting and running, when that is more than `limit` and the operator was
    /// not told within `interval`.
    pub fn clogged(&mut self, key: &[u8], limit: usize, interval: Duration, now: Instant) -> Option<usize> {
        let place = &mut self.destinations[*self.by_key.get(key)?];
        let entries = place.entries + place.busy as usize;
        let quiet = place.warned.is_none_or(|at| now >= at + interval);
        if entries <= limit || !quiet {
            return None;
        }
        place.warned = Some(now);
        Some(entries)
    }

    /// How many more recipients of the message may be read on account of this transport, and how many are in memory.
    pub fn recipient_slots(&self, message: MessageKey) -> u32 {
        let job = self.by_message.get(&message);
        job.map_or(0, |job| self.jobs[*job].recipient_slots + self.jobs[*job].extra_slots)
    }

    pub(super) fn started(&mut self, job: JobId, destination: DestinationId, now: Instant) {
        self.jobs[job].in_flight += 1;
        let place = &mut self.destinations[destination];
        place.busy += 1;
        place.entries -= 1;
        if !self.limits.transport_delay.is_zero() {
            self.locked_until = Some(now + self.limits.transport_delay);
        }
    }

    /// Brings the index of ready destinations up to date with one of them.
    pub(super) fn reindex(&mut self, number: DestinationId) {
        let place = &mut self.destinations[number];
        let first = place.waiting.first_key_value().map(|(label, _)| *label);
        let wanted = first.filter(|_| place.is_free());
        if wanted == place.indexed {
            return;
        }
        if let Some(label) = place.indexed {
            self.ready.remove(&(label, number));
        }
        if let Some(label) = wanted {
            self.ready.insert((label, number));
        }
        place.indexed = wanted;
    }

    /// Gives a job another place in the list.
    pub(super) fn relabel(&mut self, job: JobId, new: Label) {
        let old = std::mem::replace(&mut self.jobs[job].label, new);
        let places: Vec<DestinationId> = self.jobs[job].destinations().collect();
        for number in places {
            self.destinations[number].waiting.remove(&old);
            self.destinations[number].waiting.insert(new, job);
            self.reindex(number);
        }
    }

    /// Makes room in the list. Old and new labels overlap, so everything is taken out before anything is put in.
    pub(super) fn spread(&mut self) {
        let moves = self.order.spread();
        for (_, place) in self.destinations.iter_mut() {
            place.waiting.clear();
            place.indexed = None;
        }
        self.ready.clear();
        for (job, _, new) in moves {
            self.jobs[job].label = new;
            let places: Vec<DestinationId> = self.jobs[job].destinations().collect();
            for number in places {
                self.destinations[number].waiting.insert(new, job);
            }
        }
        let all: Vec<DestinationId> = self.destinations.iter().map(|(number, _)| number).collect();
        for number in all {
            self.reindex(number);
        }
    }

    /// Takes a job that has nothing left to select out of the list, and drops it when its last delivery is over.
    pub(super) fn retire(&mut self, job: JobId) {
        if !self.jobs[job].is_finished() {
            return;
        }
        if self.order.at(self.jobs[job].label) == Some(job) {
            self.order.remove(self.jobs[job].label);
            self.give_back(job);
            self.candidate = None;
        }
        if self.jobs[job].in_flight == 0 {
            self.return_all_slots(job);
            self.by_message.remove(&self.jobs[job].message);
            self.jobs.remove(job);
        }
    }

    fn destination(&mut self, key: Vec<u8>, nexthop: &[u8]) -> DestinationId {
        if let Some(&number) = self.by_key.get(&key) {
            return number;
        }
        let place = Destination::new(key.clone(), nexthop.to_vec(), &self.limits);
        let number = self.destinations.insert(place);
        self.by_key.insert(key, number);
        number
    }

    fn job(&mut self, message: MessageKey, now: Instant) -> JobId {
        if let Some(&job) = self.by_message.get(&message) {
            // A job that had nothing left and waits for its last delivery comes back to the end of the list.
            if self.order.at(self.jobs[job].label) != Some(job) {
                self.jobs[job].label = self.append(job);
            }
            return job;
        }
        let job = self.jobs.insert(Job::new(message, 0, now));
        self.jobs[job].label = self.append(job);
        self.by_message.insert(message, job);
        job
    }

    fn append(&mut self, job: JobId) -> Label {
        if let Some(label) = self.order.append(job) {
            return label;
        }
        self.spread();
        // cannot fail: 2^32 jobs do not fit into memory
        self.order.append(job).expect("room after spreading")
    }

    fn drain(&mut self, number: DestinationId) -> Vec<Returned<R>> {
        let waiting = std::mem::take(&mut self.destinations[number].waiting);
        self.destinations[number].entries = 0;
        let mut returned = Vec::new();
        for job in waiting.into_values() {
            let message = self.jobs[job].message;
            for recipients in self.jobs[job].drain(number) {
                self.jobs[job].in_memory -= recipients.len() as u32;
                self.pool.unused(recipients.len());
                returned.push(Returned { message, recipients });
            }
            self.retire(job);
        }
        returned
    }

    fn release(&mut self, delivery: &Delivery<R>) {
        let job = delivery.job;
        self.jobs[job].in_flight -= 1;
        let count = delivery.recipients.len();
        self.jobs[job].in_memory -= count as u32;
        self.pool.unused(count);
        self.share_slots(job);
        self.retire(job);
    }

    fn forget(&mut self, number: DestinationId) {
        if self.destinations[number].is_forgettable() {
            self.by_key.remove(&self.destinations[number].key);
            self.destinations.remove(number);
        }
    }
}
