//! A transport and the connections to its agents.
//!
//! An agent that greets is there to deliver; only then an entry is selected for it. So a transport that has reached its
//! process limit costs nothing but two waiting connections, and what is most urgent is decided late.

use std::rc::Rc;
use std::time::{Duration, Instant};

use config::Config;
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

impl Qmgr {
    /// The number of a transport's lane.
    pub fn lane(&self, name: &[u8]) -> usize {
        let mut state = self.state.borrow_mut();
        if let Some(&number) = state.lane_numbers.get(name) {
            return number;
        }
        let text = String::from_utf8_lossy(name).into_owned();
        let limits = limits_of(&self.config, &text).unwrap_or_else(|error| logging::fatal!("{error}"));
        let number = state.lanes.len();
        state.lanes.push(Lane { transport: Transport::new(name, limits), idle: Vec::new(), pending: 0 });
        state.lane_numbers.insert(name.to_vec(), number);
        number
    }

    /// Starts as many deliveries as possible, the transports in turn.
    pub fn start_deliveries(self: &Rc<Self>) {
        if self.is_draining() {
            return;
        }
        let count = self.state.borrow().lanes.len();
        let first = self.state.borrow().turn;
        for step in 0..count {
            let number = (first + step) % count;
            while self.start_one(number) {}
        }
        if count > 0 {
            self.state.borrow_mut().turn = (first + 1) % count;
        }
    }

    /// Starts one delivery when there is work and an agent for it.
    fn start_one(self: &Rc<Self>, number: usize) -> bool {
        let mut state = self.state.borrow_mut();
        let lane = &mut state.lanes[number];
        if !lane.transport.has_work() {
            return false;
        }
        let Some((agent, _)) = lane.idle.pop() else {
            if lane.pending < MAX_PENDING {
                lane.pending += 1;
                drop(state);
                tokio::task::spawn_local(Rc::clone(self).add_agent(number));
            }
            return false;
        };
        match lane.transport.select(Instant::now()) {
            Some(delivery) => {
                drop(state);
                tokio::task::spawn_local(Rc::clone(self).run(number, agent, delivery));
                true
            }
            None => {
                lane.idle.push((agent, Instant::now()));
                false
            }
        }
    }

    /// Connects to an agent and waits until it is there.
    async fn add_agent(self: Rc<Self>, number: usize) {
        let name = self.lane_name(number);
        let result = self.connect(&name).await;
        self.state.borrow_mut().lanes[number].pending -= 1;
        match result {
            Ok(agent) => self.state.borrow_mut().lanes[number].idle.push((agent, Instant::now())),
            // The other waiting connection has failed as well, and was noticed first.
            Err(_) if self.state.borrow().lanes[number].transport.is_dead() => {}
            Err(error) => {
                logging::warning!("connect to transport private/{name}: {error}");
                self.kill(number, Status::new(4, 3, 0), "mail transport unavailable");
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
    pub fn lane_name(&self, number: usize) -> String {
        String::from_utf8_lossy(&self.state.borrow().lanes[number].transport.name).into_owned()
    }

    /// An agent is free again.
    pub fn free_agent(&self, number: usize, agent: Agent) {
        self.state.borrow_mut().lanes[number].idle.push((agent, Instant::now()));
    }

    /// Closes connections that were not used for a while. Returns when to look again.
    pub fn close_idle(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state.borrow_mut();
        let mut next = None;
        for lane in &mut state.lanes {
            lane.idle.retain(|(_, since)| now < *since + MAX_IDLE);
            let oldest = lane.idle.iter().map(|(_, since)| *since + MAX_IDLE).min();
            next = [next, oldest].into_iter().flatten().min();
        }
        next
    }

    /// The transport does not work: for transport_retry_time everything for it is deferred unseen.
    pub fn kill(self: &Rc<Self>, number: usize, status: Status, text: &str) {
        let why = HostFailure { status, text: text.into() };
        let until = Instant::now() + self.settings.transport_retry_time;
        let returned = {
            let mut state = self.state.borrow_mut();
            let lane = &mut state.lanes[number];
            lane.idle.clear();
            lane.transport.kill(why.clone(), until)
        };
        self.reroute(returned, &why, Some(number));
        self.wake.notify_one();
    }

    /// Time passes for the transports. Returns when to look again.
    pub fn wake_transports(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state.borrow_mut();
        let mut next = None;
        for lane in &mut state.lanes {
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
    pub fn has_backlog(&self, number: usize, delivery: &Delivery) -> bool {
        self.state.borrow().lanes[number].transport.has_backlog(delivery)
    }
}

/// Limits of a transport that is not in main.cf either are the defaults: reading them cannot fail once the settings were
/// read. Checked at start.
pub fn check_defaults(config: &Config) -> Result<(), config::ValueError> {
    limits_of(config, "smtp").map(drop)
}
