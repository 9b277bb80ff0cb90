//! Attempts to deliver, from their start to their end: an agent is found, gets its request, reports, and what follows
//! from that is told to the scheduler and to the ledger.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Instant;

use dsn::Status;
use ipc::IpcError;
use ipc::delivery::{self, Piece, Problem, Request};

use crate::SERVICE;
use crate::deliveries::{Agent, Delivery, LaneId};
use crate::ledger::Settling;
use crate::scheduler::{HostFailure, Verdict};
use crate::service::Qmgr;

/// Why a delivery has no report, or only a part of one.
enum Trouble {
    /// The queue file cannot be used.
    NoFile(io::Error),
    /// The request cannot be made, or the report cannot be understood: a matter of this message.
    Message(IpcError),
    /// No agent, or one that ended without an answer: a matter of the transport.
    Transport(IpcError),
}

impl From<IpcError> for Trouble {
    fn from(error: IpcError) -> Self {
        match error {
            IpcError::TooLarge(_) | IpcError::Malformed(_) => Self::Message(error),
            _ => Self::Transport(error),
        }
    }
}

impl Qmgr {
    /// Starts as many deliveries as possible, the transports in turn.
    pub fn start_deliveries(self: &Rc<Self>) {
        if self.is_draining() {
            return;
        }
        for lane in self.deliveries.turn() {
            while let Some((agent, delivery)) = self.deliveries.next(lane, Instant::now()) {
                tokio::task::spawn_local(Rc::clone(self).run(lane, agent, delivery));
            }
            if self.deliveries.wants_agent(lane) {
                tokio::task::spawn_local(Rc::clone(self).add_agent(lane));
            }
        }
    }

    /// Connects to an agent and waits until it is there.
    async fn add_agent(self: Rc<Self>, lane: LaneId) {
        let name = self.deliveries.name(lane);
        match self.connect(&name).await {
            Ok(agent) => self.deliveries.connected(lane, agent),
            Err(error) => {
                if self.deliveries.not_connected(lane) {
                    logging::warning!("connect to transport private/{name}: {error}");
                    self.kill(lane, "mail transport unavailable");
                }
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

    /// The transport does not work: for transport_retry_time everything for it is deferred unseen.
    fn kill(self: &Rc<Self>, lane: LaneId, text: &str) {
        let why = HostFailure { status: Status::new(4, 3, 0), text: text.into() };
        let until = Instant::now() + self.settings.transport_retry_time;
        let returned = self.deliveries.kill(lane, why.clone(), until);
        self.reroute(returned, &why, Some(lane));
    }

    /// Has an agent deliver, and takes the consequences.
    async fn run(self: Rc<Self>, lane: LaneId, agent: Agent, delivery: Delivery) {
        let mut settling = self.ledger.settling(delivery.message, delivery.recipients.clone());
        match self.deliver(lane, agent, &delivery, &mut settling).await {
            Ok((agent, problem)) => {
                self.deliveries.free(lane, agent);
                self.finish_delivery(lane, &delivery, &verdict_of(problem.as_ref()));
                self.turn();
                self.ledger.write_down(&mut settling).await;
                self.ledger.settle(delivery.message, delivery.recipients.len());
                Rc::clone(&self).continue_message(delivery.message).await;
            }
            Err(trouble) => self.without_report(lane, delivery, settling, trouble).await,
        }
        self.turn();
    }

    /// Asks an agent, and writes down what it reports as it comes: reports may be longer than memory.
    async fn deliver(
        &self,
        lane: LaneId,
        agent: Agent,
        delivery: &Delivery,
        settling: &mut Settling,
    ) -> Result<(Agent, Option<Problem>), Trouble> {
        let (mut agent, mut piece) = self.ask(lane, agent, delivery).await?;
        loop {
            if let Piece::End(problem) = piece {
                settling.complete()?;
                return Ok((agent, problem));
            }
            settling.take(piece)?;
            if settling.is_much() {
                self.ledger.write_down(settling).await;
            }
            piece = agent.must_receive().await?;
        }
    }

    fn prepare(&self, lane: LaneId, delivery: &Delivery) -> io::Result<(Request, Rc<File>)> {
        let more_follows = self.deliveries.has_backlog(lane, delivery);
        self.ledger.request(delivery.message, &delivery.nexthop, &delivery.recipients, more_follows)
    }

    /// Sends the request and waits for the beginning of the report. An agent that ended before it read the request has
    /// done nothing, and another one is asked.
    async fn ask(&self, lane: LaneId, mut agent: Agent, delivery: &Delivery) -> Result<(Agent, Piece), Trouble> {
        let (request, file) = self.prepare(lane, delivery).map_err(Trouble::NoFile)?;
        match exchange(&mut agent, request, &file).await {
            Ok(piece) => return Ok((agent, piece)),
            Err(IpcError::Reset) => {}
            Err(error) => return Err(error.into()),
        }
        let mut agent = self.connect(&self.deliveries.name(lane)).await?;
        let (request, file) = self.prepare(lane, delivery).map_err(Trouble::NoFile)?;
        let piece = exchange(&mut agent, request, &file).await?;
        Ok((agent, piece))
    }

    /// The scheduler's part of the end of a delivery.
    fn finish_delivery(self: &Rc<Self>, lane: LaneId, delivery: &Delivery, verdict: &Verdict) {
        let dead_time = self.settings.retry.minimum; // minimal_backoff_time
        let returned = self.deliveries.finish(lane, delivery, verdict, dead_time);
        if let Verdict::Failed(why) = verdict {
            self.reroute(returned, why, None);
        }
    }

    /// What was reported stands; the other recipients wait. Where the transport itself is in trouble, it rests for a
    /// while.
    async fn without_report(
        self: &Rc<Self>,
        lane: LaneId,
        delivery: Delivery,
        mut settling: Settling,
        trouble: Trouble,
    ) {
        self.finish_delivery(lane, &delivery, &Verdict::Unknown);
        let name = self.deliveries.name(lane);
        let reason = match trouble {
            Trouble::NoFile(error) => {
                let id = self.ledger.name(delivery.message);
                let error = text::system_error(&error);
                logging::warning!(about: id, "open active file of message {id}: {error}");
                "queue file is not available"
            }
            Trouble::Message(error) => {
                logging::warning!(id: self.ledger.name(delivery.message), "private/{name} socket: {error}");
                "unknown mail transport error"
            }
            Trouble::Transport(error) => {
                logging::warning!("private/{name} socket: {error}");
                logging::warning!(
                    "transport {name} failure -- see a previous warning/fatal/panic logfile record for the problem \
                     description"
                );
                self.kill(lane, "unknown mail transport error");
                "unknown mail transport error"
            }
        };
        let left = settling.unsettled();
        self.ledger.write_down(&mut settling).await;
        self.ledger.settle(delivery.message, delivery.recipients.len() - left.len());
        Rc::clone(self).defer_unseen(delivery.message, left, Status::new(4, 3, 0), reason.to_owned()).await;
    }
}

async fn exchange(agent: &mut Agent, request: Request, file: &File) -> Result<Piece, IpcError> {
    delivery::send(agent, request, file.as_fd()).await?;
    agent.must_receive().await
}

fn verdict_of(problem: Option<&Problem>) -> Verdict {
    match problem {
        None => Verdict::Reached,
        Some(Problem { status, reason }) => {
            Verdict::Failed(HostFailure { status: *status, text: reason.clone().into_bytes() })
        }
    }
}
