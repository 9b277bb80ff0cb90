//! A transport and the connections to its agents.
//!
//! An agent that greets is there to deliver; only then an entry is selected for it. So a transport that has reached its
//! process limit costs nothing but two waiting connections, and what is most urgent is decided late.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};
use std::rc::Rc;
use std::time::{Duration, Instant};

use dsn::Status;
use ipc::IpcError;
use ipc::channel::Client;
use ipc::delivery::Delivery as Protocol;
use queue::Recipient;

use crate::SERVICE;
use crate::scheduler::{self, HostFailure};
use crate::service::Qmgr;
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

/// A transport and its agents.
pub struct Lane {
    /// The scheduler's side.
    pub transport: Transport,
    /// Agents that wait for a delivery, the last one used at the end.
    pub idle: Vec<(Agent, Instant)>,
    /// Connections that wait for an agent.
    pub pending: usize,
}

/// The number of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneId(usize);

/// The transports in use. A lane that was opened stays: its number is never stale.
#[derive(Default)]
pub struct Lanes {
    all: Vec<Lane>,
    by_name: HashMap<Vec<u8>, LaneId>,
    /// The lane whose turn it is.
    turn: usize,
}

impl Lanes {
    /// The lane of a transport that is in use.
    pub fn find(&self, name: &[u8]) -> Option<LaneId> {
        self.by_name.get(name).copied()
    }

    /// A lane for a transport that has none.
    fn open(&mut self, transport: Transport) -> LaneId {
        let lane = LaneId(self.all.len());
        self.by_name.insert(transport.name.clone(), lane);
        self.all.push(Lane { transport, idle: Vec::new(), pending: 0 });
        lane
    }

    /// All lanes in the order of this turn; the next turn begins with another one.
    fn turn(&mut self) -> impl Iterator<Item = LaneId> + use<> {
        let (count, first) = (self.all.len(), self.turn);
        self.turn = (first + 1) % count.max(1);
        (0..count).map(move |step| LaneId((first + step) % count))
    }

    /// All lanes.
    pub fn iter(&self) -> impl Iterator<Item = &Lane> + Clone {
        self.all.iter()
    }

    /// All lanes, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.all.iter_mut()
    }
}

impl Index<LaneId> for Lanes {
    type Output = Lane;

    fn index(&self, lane: LaneId) -> &Lane {
        &self.all[lane.0]
    }
}

impl IndexMut<LaneId> for Lanes {
    fn index_mut(&mut self, lane: LaneId) -> &mut Lane {
        &mut self.all[lane.0]
    }
}

impl Qmgr {
    /// The lane of a transport.
    pub fn lane(&self, name: &[u8]) -> LaneId {
        let mut state = self.state.borrow_mut();
        if let Some(lane) = state.lanes.find(name) {
            return lane;
        }
        let text = String::from_utf8_lossy(name).into_owned();
        let limits = limits_of(&self.config, &text).unwrap_or_else(|error| logging::fatal!("{error}"));
        state.lanes.open(Transport::new(name, limits))
    }

    /// Starts as many deliveries as possible, the transports in turn.
    pub fn start_deliveries(self: &Rc<Self>) {
        if self.is_draining() {
            return;
        }
        let turn = self.state.borrow_mut().lanes.turn();
        for lane in turn {
            while self.start_one(lane) {}
        }
    }

    /// Starts one delivery when there is work and an agent for it.
    fn start_one(self: &Rc<Self>, id: LaneId) -> bool {
        let mut state = self.state.borrow_mut();
        let lane = &mut state.lanes[id];
        if !lane.transport.has_work() {
            return false;
        }
        let Some((agent, _)) = lane.idle.pop() else {
            if lane.pending < MAX_PENDING {
                lane.pending += 1;
                drop(state);
                tokio::task::spawn_local(Rc::clone(self).add_agent(id));
            }
            return false;
        };
        match lane.transport.select(Instant::now()) {
            Some(delivery) => {
                drop(state);
                tokio::task::spawn_local(Rc::clone(self).run(id, agent, delivery));
                true
            }
            None => {
                lane.idle.push((agent, Instant::now()));
                false
            }
        }
    }

    /// Connects to an agent and waits until it is there.
    async fn add_agent(self: Rc<Self>, id: LaneId) {
        let name = self.lane_name(id);
        let result = self.connect(&name).await;
        self.state.borrow_mut().lanes[id].pending -= 1;
        match result {
            Ok(agent) => self.state.borrow_mut().lanes[id].idle.push((agent, Instant::now())),
            // The other waiting connection has failed as well, and was noticed first.
            Err(_) if self.state.borrow().lanes[id].transport.is_dead() => {}
            Err(error) => {
                logging::warning!("connect to transport private/{name}: {error}");
                self.kill(id, Status::new(4, 3, 0), "mail transport unavailable");
            }
        }
        self.turn();
    }

    /// A connection to an agent that has greeted.
    ///
    /// # Errors
    /// There is no such service, or it ended before it greeted.
    pub async fn connect(&self, name: &str) -> Result<Agent, IpcError> {
        let mut agent = Agent::connect(&SERVICE.transport(name)?).await?;
        agent.set_timeout(self.settings.delivery_timeout);
        agent.greeted().await?;
        Ok(agent)
    }

    /// The name of a lane's transport.
    pub fn lane_name(&self, id: LaneId) -> String {
        String::from_utf8_lossy(&self.state.borrow().lanes[id].transport.name).into_owned()
    }

    /// An agent is free again.
    pub fn free_agent(&self, id: LaneId, agent: Agent) {
        self.state.borrow_mut().lanes[id].idle.push((agent, Instant::now()));
    }

    /// Closes connections that were not used for a while. Returns when to look again.
    pub fn close_idle(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state.borrow_mut();
        let mut next = None;
        for lane in state.lanes.iter_mut() {
            lane.idle.retain(|(_, since)| now < *since + MAX_IDLE);
            let oldest = lane.idle.iter().map(|(_, since)| *since + MAX_IDLE).min();
            next = [next, oldest].into_iter().flatten().min();
        }
        next
    }

    /// The transport does not work: for transport_retry_time everything for it is deferred unseen.
    pub fn kill(self: &Rc<Self>, id: LaneId, status: Status, text: &str) {
        let why = HostFailure { status, text: text.into() };
        let until = Instant::now() + self.settings.transport_retry_time;
        let returned = {
            let mut state = self.state.borrow_mut();
            let lane = &mut state.lanes[id];
            lane.idle.clear();
            lane.transport.kill(why.clone(), until)
        };
        self.reroute(returned, &why, Some(id));
        self.wake.notify_one();
    }

    /// Time passes for the transports. Returns when to look again.
    pub fn wake_transports(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state.borrow_mut();
        let mut next = None;
        for lane in state.lanes.iter_mut() {
            lane.transport.wake(now);
            next = [next, lane.transport.next_wake()].into_iter().flatten().min();
        }
        next
    }

    /// Forgets what is known to be dead (trigger `F`).
    pub fn revive_all(&self) {
        self.state.borrow_mut().lanes.iter_mut().for_each(|lane| lane.transport.revive());
    }

    /// Whether an entry for this delivery's destination waits for more than one connection could carry.
    pub fn has_backlog(&self, id: LaneId, delivery: &Delivery) -> bool {
        self.state.borrow().lanes[id].transport.has_backlog(delivery)
    }
}
