//! The transports, the connections to their agents, and what is under way: one lane a transport.
//!
//! An agent that greets is there to deliver; only then an entry is selected for it. So a transport that has reached its
//! process limit costs nothing but two waiting connections, and what is most urgent is decided late.
//!
//! It knows keys of messages and no message: what becomes of a message is decided from what comes back.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use address::Delimiters;
use config::Config;
use ipc::channel::Client;
use ipc::delivery::Delivery as Protocol;
use queue::Recipient;
use tokio::sync::Notify;

use crate::scheduler::{self, HostFailure, MessageKey, Verdict};
use crate::settings::limits_of;

/// Connections that may wait for an agent.
/// told: nobody; the rest waits.
const MAX_PENDING: usize = 2;
/// Unused connections that are kept, and how long: they occupy agents that others could use.
const MAX_IDLE: Duration = Duration::from_secs(5);

/// The scheduler with the recipients of queue files.
type Transport = scheduler::Transport<Recipient>;
/// What it gives out.
pub type Delivery = scheduler::Delivery<Recipient>;
/// What it gives back.
pub type Returned = scheduler::Returned<Recipient>;

/// A connection to an agent.
pub type Agent = Client<Protocol>;

/// The number of a lane. A lane that was opened stays, so that no number is ever stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneId(usize);

/// A transport and its agents.
struct Lane {
    /// The scheduler's side.
    transport: Transport,
    /// Agents that wait for a delivery, the last one used at the end.
    idle: Vec<(Agent, Instant)>,
    /// Connections that wait for an agent.
    pending: usize,
}

/// The transports in use.
#[derive(Default)]
struct Lanes {
    all: Vec<Lane>,
    by_name: HashMap<Vec<u8>, LaneId>,
    /// The lane whose turn it is.
    turn: usize,
}

/// Why recipients cannot be given to a transport at the moment.
pub struct Obstacle {
    /// What the last failure was.
    pub why: HostFailure,
    /// The transport itself does not work, or else the destination.
    pub is_transport: bool,
}

/// Room for more recipients of a message.
pub struct Room {
    /// Recipients that the transports still take on account of the message.
    pub slots: usize,
    /// So much room is worth a look into the file...
    pub refill_limit: usize,
    /// ... or less, so long after the last look.
    pub refill_delay: Duration,
}

/// Recipients of a message that go to a destination together.
pub struct Assignment<'a> {
    /// The message.
    pub message: MessageKey,
    /// The name of the destination, from [`Deliveries::destinations`].
    pub destination: Vec<u8>,
    /// The next hop as the agent is told.
    pub nexthop: &'a [u8],
    /// The recipients.
    pub recipients: Vec<Recipient>,
    /// Each recipient is delivered alone.
    pub alone: bool,
}

/// What goes out.
pub struct Deliveries {
    lanes: RefCell<Lanes>,
    /// main.cf, for the limits of one transport.
    config: Config,
    /// Some pause ends earlier than the main loop knows.
    wake: Rc<Notify>,
}

impl Deliveries {
    /// No transport is in use.
    pub fn new(config: Config, wake: Rc<Notify>) -> Self {
        Self { lanes: RefCell::default(), config, wake }
    }

    /// The lane of a transport.
    pub fn lane(&self, name: &[u8]) -> LaneId {
        let mut lanes = self.lanes.borrow_mut();
        if let Some(&lane) = lanes.by_name.get(name) {
            return lane;
        }
        let text = String::from_utf8_lossy(name).into_owned();
        let limits = limits_of(&self.config, &text).unwrap_or_else(|error| logging::fatal!("{error}"));
        let lane = LaneId(lanes.all.len());
        lanes.all.push(Lane { transport: Transport::new(name, limits), idle: Vec::new(), pending: 0 });
        lanes.by_name.insert(name.to_vec(), lane);
        lane
    }

    /// The name of a lane's transport.
    pub fn name(&self, lane: LaneId) -> String {
        self.with(lane, |lane| String::from_utf8_lossy(&lane.transport.name).into_owned())
    }

    /// All lanes in the order of this turn; the next turn begins with another one.
    pub fn turn(&self) -> impl Iterator<Item = LaneId> + use<> {
        let mut lanes = self.lanes.borrow_mut();
        let (count, first) = (lanes.all.len(), lanes.turn);
        lanes.turn = (first + 1) % count.max(1);
        (0..count).map(move |step| LaneId((first + step) % count))
    }

    /// What an agent that waits shall deliver next. Say how it went by [`Deliveries::finish`].
    pub fn next(&self, lane: LaneId, now: Instant) -> Option<(Agent, Delivery)> {
        self.with(lane, |lane| {
            // An entry is selected when there is an agent for it, not before.
            let (agent, _) = lane.idle.pop_if(|_| lane.transport.has_work())?;
            let Some(delivery) = lane.transport.select(now) else {
                lane.idle.push((agent, now));
                return None;
            };
            Some((agent, delivery))
        })
    }

    /// Whether one more agent is wanted. Then say how it went by [`Deliveries::connected`] or
    /// [`Deliveries::not_connected`].
    pub fn wants_agent(&self, lane: LaneId) -> bool {
        self.with(lane, |lane| {
            let wanted = lane.transport.has_work() && lane.idle.is_empty() && lane.pending < MAX_PENDING;
            lane.pending += usize::from(wanted);
            wanted
        })
    }

    /// A new agent is there.
    pub fn connected(&self, lane: LaneId, agent: Agent) {
        self.with(lane, |lane| lane.pending -= 1);
        self.free(lane, agent);
    }

    /// No agent came. True when that is news: of two waiting connections the other may have failed first.
    pub fn not_connected(&self, lane: LaneId) -> bool {
        self.with(lane, |lane| {
            lane.pending -= 1;
            !lane.transport.is_dead()
        })
    }

    /// An agent that waits, for something that the scheduler does not know of.
    pub fn take_idle(&self, lane: LaneId) -> Option<Agent> {
        self.with(lane, |lane| lane.idle.pop().map(|(agent, _)| agent))
    }

    /// An agent waits for a delivery.
    pub fn free(&self, lane: LaneId, agent: Agent) {
        self.with(lane, |lane| lane.idle.push((agent, Instant::now())));
    }

    /// Closes connections that were not used for a while. Returns when to look again.
    pub fn close_idle(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for lane in &mut self.lanes.borrow_mut().all {
            lane.idle.retain(|(_, since)| now < *since + MAX_IDLE);
            let oldest = lane.idle.iter().map(|(_, since)| *since + MAX_IDLE).min();
            next = [next, oldest].into_iter().flatten().min();
        }
        next
    }

    /// Time passes for the transports. Returns when to look again.
    pub fn pass_time(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for lane in &mut self.lanes.borrow_mut().all {
            lane.transport.wake(now);
            next = [next, lane.transport.next_wake()].into_iter().flatten().min();
        }
        next
    }

    /// Forgets what is known to be dead (trigger `F`).
    pub fn revive_all(&self) {
        self.lanes.borrow_mut().all.iter_mut().for_each(|lane| lane.transport.revive());
    }

    /// Why the transport, or this destination of it, takes nothing at the moment.
    pub fn obstacle(&self, lane: LaneId, destination: &[u8]) -> Option<Obstacle> {
        self.with(lane, |lane| {
            let why = lane.transport.obstacle(destination)?.clone();
            Some(Obstacle { why, is_transport: lane.transport.is_dead() })
        })
    }

    /// Whether the transport itself does not work at the moment.
    pub fn is_dead(&self, lane: LaneId) -> bool {
        self.with(lane, |lane| lane.transport.is_dead())
    }

    /// Recipients by the scheduler's destination; all in one unless the transport takes one recipient at a time.
    pub fn destinations(
        &self,
        lane: LaneId,
        nexthop: &[u8],
        all: Vec<Recipient>,
        delimiters: &Delimiters,
    ) -> BTreeMap<Vec<u8>, Vec<Recipient>> {
        self.with(lane, |lane| {
            let mut found: BTreeMap<Vec<u8>, Vec<Recipient>> = BTreeMap::new();
            if lane.transport.limits.recipients != 1 {
                found.insert(lane.transport.destination_key(nexthop, b""), all);
                return found;
            }
            for recipient in all {
                let local = address::split(&recipient.address).0;
                let base = delimiters.split(local).0;
                found.entry(lane.transport.destination_key(nexthop, base)).or_default().push(recipient);
            }
            found
        })
    }

    /// The name of the destination that a next hop is which is no host but a reason: no mailbox stands in it.
    pub fn reason_key(&self, lane: LaneId, nexthop: &[u8]) -> Vec<u8> {
        self.with(lane, |lane| lane.transport.destination_key(nexthop, b""))
    }

    /// Puts recipients before the scheduler.
    pub fn add(&self, lane: LaneId, what: Assignment<'_>, now: Instant) {
        let Assignment { message, destination, nexthop, recipients, alone } = what;
        self.with(lane, |lane| {
            if alone {
                lane.transport.assign_at_most(1, message, destination, nexthop, recipients, now);
            } else {
                lane.transport.assign(message, destination, nexthop, recipients, now);
            }
        });
    }

    /// Entries of a destination, when they are more than `limit` and nobody was told within `interval`, with the name
    /// of the transport for who is told.
    pub fn clogged(&self, lane: LaneId, place: &[u8], limit: usize, interval: Duration) -> Option<(usize, String)> {
        self.with(lane, |lane| {
            let entries = lane.transport.clogged(place, limit, interval, Instant::now())?;
            Some((entries, text::printable(&lane.transport.name)))
        })
    }

    /// How many more recipients of a message there is room for.
    pub fn room(&self, message: MessageKey) -> Room {
        let lanes = self.lanes.borrow();
        let slots: u64 = lanes.all.iter().map(|lane| u64::from(lane.transport.recipient_slots(message))).sum();
        let limits = lanes.all.iter().map(|lane| &lane.transport.limits);
        Room {
            slots: usize::try_from(slots).unwrap_or(usize::MAX),
            refill_limit: limits.clone().map(|limits| limits.refill_limit as usize).min().unwrap_or(0),
            refill_delay: limits.map(|limits| limits.refill_delay).min().unwrap_or(Duration::ZERO),
        }
    }

    /// How much of a message is still in its file.
    pub fn set_unread(&self, message: MessageKey, unread: u32) {
        for lane in &mut self.lanes.borrow_mut().all {
            lane.transport.set_unread(message, unread);
        }
    }

    /// Whether an entry for this delivery's destination waits for more than one connection could carry.
    pub fn has_backlog(&self, lane: LaneId, delivery: &Delivery) -> bool {
        self.with(lane, |lane| lane.transport.has_backlog(delivery))
    }

    /// A delivery is over. Returns what has to go elsewhere.
    pub fn finish(&self, lane: LaneId, delivery: &Delivery, verdict: &Verdict, dead_time: Duration) -> Vec<Returned> {
        self.with(lane, |lane| {
            let returned = lane.transport.finish(delivery, verdict, dead_time, Instant::now());
            if lane.transport.next_wake().is_some() {
                self.wake.notify_one();
            }
            returned
        })
    }

    /// The transport does not work before `until`. Returns what has to go elsewhere.
    pub fn kill(&self, lane: LaneId, why: HostFailure, until: Instant) -> Vec<Returned> {
        self.wake.notify_one();
        self.with(lane, |lane| {
            lane.idle.clear();
            lane.transport.kill(why, until)
        })
    }

    /// One lane, for as long as a question takes.
    fn with<T>(&self, lane: LaneId, ask: impl FnOnce(&mut Lane) -> T) -> T {
        ask(&mut self.lanes.borrow_mut().all[lane.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn each_turn_begins_with_another_transport() {
        let config = Config::parse(b"", Path::new("/proc/self/none"), &[]).unwrap();
        let deliveries = Deliveries::new(config, Rc::new(Notify::new()));
        assert_eq!(deliveries.turn().count(), 0);
        let lanes = [b"smtp", b"lmtp"].map(|name| deliveries.lane(name));
        assert_eq!(deliveries.lane(b"smtp"), lanes[0]);
        let turns = [(); 3].map(|()| deliveries.turn().collect::<Vec<_>>());
        assert_eq!(turns, [[lanes[0], lanes[1]], [lanes[1], lanes[0]], [lanes[0], lanes[1]]]);
    }
}
