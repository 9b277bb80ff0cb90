//! One delivery: the request to the agent, its report, and what follows from it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Instant;

use dsn::Status;
use ipc::IpcError;
use ipc::delivery::{self, Piece, Problem, Request, flags};

use crate::lane::{Agent, Delivery, LaneId};
use crate::records::Settling;
use crate::scheduler::{HostFailure, MessageKey, Verdict};
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
    /// Has an agent deliver, and takes the consequences.
    pub async fn run(self: Rc<Self>, lane: LaneId, agent: Agent, delivery: Delivery) {
        let mut settling = Settling::new(&self, &delivery);
        match self.deliver(lane, agent, &delivery, &mut settling).await {
            Ok((agent, problem)) => {
                self.free_agent(lane, agent);
                self.finish_delivery(lane, &delivery, &verdict_of(problem.as_ref()));
                self.turn();
                self.settled(settling).await;
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
        let (request, file) = self.prepare(lane, delivery).map_err(Trouble::NoFile)?;
        let (mut agent, mut piece) = self.ask(lane, agent, request, &file).await?;
        loop {
            if let Piece::End(problem) = piece {
                settling.complete()?;
                return Ok((agent, problem));
            }
            settling.take(piece)?;
            if settling.is_much() {
                self.write_down(settling).await;
            }
            piece = agent.expect().await?;
        }
    }

    fn prepare(&self, lane: LaneId, delivery: &Delivery) -> io::Result<(Request, Rc<File>)> {
        let backlog = self.has_backlog(lane, delivery);
        let mut state = self.state.borrow_mut();
        let message = state.messages.get_mut(&delivery.message).ok_or(nix::errno::Errno::ENOENT)?;
        let file = message.open_file(&self.settings.spool)?;
        // A connection is worth keeping when more mail follows.
        let reuse = if backlog { flags::CACHE_LOAD | flags::CACHE_STORE } else { flags::CACHE_LOAD };
        Ok((message.request(&delivery.nexthop, &delivery.recipients, reuse), file))
    }

    /// Sends the request and waits for the beginning of the report. An agent that ended before it read the request has
    /// done nothing, and another one is asked.
    async fn ask(
        &self,
        lane: LaneId,
        mut agent: Agent,
        request: Request,
        file: &File,
    ) -> Result<(Agent, Piece), IpcError> {
        match exchange(&mut agent, request.clone(), file).await {
            Ok(piece) => return Ok((agent, piece)),
            Err(IpcError::Reset) => {}
            Err(error) => return Err(error),
        }
        let mut agent = self.connect(&self.lane_name(lane)).await?;
        let piece = exchange(&mut agent, request, file).await?;
        Ok((agent, piece))
    }

    /// The scheduler's part of the end of a delivery.
    fn finish_delivery(self: &Rc<Self>, lane: LaneId, delivery: &Delivery, verdict: &Verdict) {
        let dead_time = self.settings.retry.minimum; // minimal_backoff_time
        let returned = {
            let mut state = self.state.borrow_mut();
            let transport = &mut state.lanes[lane].transport;
            let returned = transport.finish(delivery, verdict, dead_time, Instant::now());
            if transport.next_wake().is_some() {
                self.wake.notify_one();
            }
            returned
        };
        if let Verdict::Failed(why) = verdict {
            self.reroute(returned, why, None);
        }
    }

    /// What was reported stands; the other recipients wait. Where the transport itself is in trouble, it rests for a while.
    async fn without_report(
        self: &Rc<Self>,
        lane: LaneId,
        delivery: Delivery,
        mut settling: Settling,
        trouble: Trouble,
    ) {
        self.finish_delivery(lane, &delivery, &Verdict::Unknown);
        let name = self.lane_name(lane);
        let reason = match trouble {
            Trouble::NoFile(error) => {
                logging::warning!(
                    "open active file of message {}: {error}",
                    self.name_of(delivery.message),
                    error = text::system_error(&error)
                );
                "queue file is not available"
            }
            Trouble::Message(error) => {
                logging::warning!("{}: private/{name} socket: {error}", self.name_of(delivery.message));
                "unknown mail transport error"
            }
            Trouble::Transport(error) => {
                logging::warning!("private/{name} socket: {error}");
                logging::warning!(
                    "transport {name} failure -- see a previous warning/fatal/panic logfile record for the problem \
                     description"
                );
                self.kill(lane, Status::new(4, 3, 0), "unknown mail transport error");
                "unknown mail transport error"
            }
        };
        let left = settling.unsettled();
        self.write_down(&mut settling).await;
        self.done_with(delivery.message, delivery.recipients.len() - left.len());
        Rc::clone(self).defer_unseen(delivery.message, left, Status::new(4, 3, 0), reason.to_owned()).await;
    }

    /// The queue identifier of a message in memory.
    pub fn name_of(&self, key: MessageKey) -> String {
        self.state.borrow().messages.get(&key).map(|message| message.id.to_string()).unwrap_or_default()
    }
}

async fn exchange(agent: &mut Agent, request: Request, file: &File) -> Result<Piece, IpcError> {
    delivery::send(agent, request, file.as_fd()).await?;
    agent.expect().await
}

fn verdict_of(problem: Option<&Problem>) -> Verdict {
    match problem {
        None => Verdict::Reached,
        Some(Problem { status, reason }) => {
            Verdict::Failed(HostFailure { status: *status, text: reason.clone().into_bytes() })
        }
    }
}
