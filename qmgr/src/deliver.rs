//! One delivery: the request to the agent, its report, and what follows from it.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Instant;

use ipc::IpcError;
use ipc::delivery::{Problem, Report, Request, flags};

use crate::lane::Agent;
use crate::scheduler::{Delivery, HostFailure, Verdict};
use crate::service::Qmgr;

/// How an exchange with an agent ended.
enum Ending {
    /// With a report; the agent is free again.
    Reported(Agent, Report),
    /// The queue file cannot be used.
    NoFile(io::Error),
    /// Without a report.
    Broken(IpcError),
}

impl Qmgr {
    /// Has an agent deliver, and takes the consequences.
    pub async fn run(self: Rc<Self>, number: usize, agent: Agent, delivery: Delivery) {
        let ending = match self.prepare(number, &delivery) {
            Ok((request, file)) => self.exchange(number, agent, request, &file).await,
            Err(error) => Ending::NoFile(error),
        };
        match ending {
            Ending::Reported(agent, report) => {
                self.free_agent(number, agent);
                let verdict = verdict_of(report.host_problem.as_ref());
                self.finish_delivery(number, &delivery, &verdict);
                self.turn();
                self.settle(delivery.message, delivery.recipients, report).await;
            }
            Ending::NoFile(error) => {
                self.finish_delivery(number, &delivery, &Verdict::Unknown);
                logging::warning!("open active file of message {}: {error}", self.name_of(delivery.message));
                let reason = "queue file is not available".to_owned();
                Rc::clone(&self).defer_unseen(delivery.message, delivery.recipients, "4.3.0".into(), reason).await;
            }
            Ending::Broken(error) => self.broken(number, delivery, &error).await,
        }
        self.turn();
    }

    fn prepare(&self, number: usize, delivery: &Delivery) -> io::Result<(Request, Rc<File>)> {
        let backlog = self.has_backlog(number, delivery);
        let mut state = self.state.borrow_mut();
        let message = state.messages.get_mut(&delivery.message).ok_or(io::ErrorKind::NotFound)?;
        let file = message.open_file(&self.settings.spool)?;
        // A connection is worth keeping when more mail follows.
        let reuse = if backlog { flags::CACHE_LOAD | flags::CACHE_STORE } else { flags::CACHE_LOAD };
        Ok((message.request(&delivery.nexthop, &delivery.recipients, reuse), file))
    }

    /// Sends the request and waits for the report. An agent that ended before it read the request has done nothing, and
    /// another one is asked.
    async fn exchange(&self, number: usize, mut agent: Agent, request: Request, file: &File) -> Ending {
        match ask(&mut agent, &request, file).await {
            Ok(report) => return self.checked(agent, report, &request),
            Err(IpcError::Reset) => {}
            Err(error) => return Ending::Broken(error),
        }
        let mut agent = match self.connect(&self.lane_name(number)).await {
            Ok(agent) => agent,
            Err(error) => return Ending::Broken(error),
        };
        match ask(&mut agent, &request, file).await {
            Ok(report) => self.checked(agent, report, &request),
            Err(error) => Ending::Broken(error),
        }
    }

    fn checked(&self, agent: Agent, report: Report, request: &Request) -> Ending {
        if report.outcomes.len() == request.recipients.len() {
            Ending::Reported(agent, report)
        } else {
            Ending::Broken(IpcError::Malformed("a report about other recipients".to_owned()))
        }
    }

    /// The scheduler's part of the end of a delivery.
    fn finish_delivery(self: &Rc<Self>, number: usize, delivery: &Delivery, verdict: &Verdict) {
        let dead_time = self.settings.retry.minimum; // minimal_backoff_time
        let returned = {
            let mut state = self.state.borrow_mut();
            let transport = &mut state.lanes[number].transport;
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

    /// The agent died or talks nonsense: the transport rests for a while, and the recipients wait.
    async fn broken(self: &Rc<Self>, number: usize, delivery: Delivery, error: &IpcError) {
        let name = self.lane_name(number);
        match error {
            IpcError::Malformed(_) | IpcError::WrongService(_) => {
                logging::warning!("private/{name} socket: malformed response");
            }
            _ => logging::warning!("private/{name} socket: premature disconnect"),
        }
        logging::warning!(
            "transport {name} failure -- see a previous warning/fatal/panic logfile record for the problem description"
        );
        self.finish_delivery(number, &delivery, &Verdict::Unknown);
        self.kill(number, "4.3.0", "unknown mail transport error");
        let reason = "unknown mail transport error".to_owned();
        Rc::clone(self).defer_unseen(delivery.message, delivery.recipients, "4.3.0".into(), reason).await;
    }

    /// The queue identifier of a message in memory.
    pub fn name_of(&self, key: u64) -> String {
        self.state.borrow().messages.get(&key).map(|message| message.id.to_string()).unwrap_or_default()
    }
}

async fn ask(agent: &mut Agent, request: &Request, file: &File) -> Result<Report, IpcError> {
    agent.send_with(request, file.as_fd()).await?;
    agent.expect().await
}

fn verdict_of(problem: Option<&Problem>) -> Verdict {
    match problem {
        None => Verdict::Reached,
        Some(Problem { status, reason }) => {
            Verdict::Failed(HostFailure { status: status.clone().into_bytes(), text: reason.clone().into_bytes() })
        }
    }
}
