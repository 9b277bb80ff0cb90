//! Mail for destinations that are known to be dead, of many messages together.
//!
//! The agent behind `retry` opens no message: it says of each recipient why it waits, and logs that. So it is asked
//! about many messages in one go, without their files, its reports come in one go, and the records for their defer
//! logs go in one go. What is logged, and by whom, is what it would be one by one.
//!
//! While new mail comes in, it goes first: after each batch the machine is left to it for some time.
//!
//! Nobody is lost with the agent: what it has not reported (it has ended, or the site has another program there, which
//! wants files) goes the way of all other mail, through the scheduler.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipc::IpcError;
use ipc::bounds::Weigh;
use ipc::delivery::{self, Piece};
use queue::Recipient;

use crate::deliveries::{Agent, LaneId};
use crate::ledger::Settling;
use crate::route::RETRY;
use crate::scheduler::MessageKey;
use crate::service::Qmgr;

/// Messages whose recipients are deferred together.
/// told: nobody; the others come next.
const TOGETHER: usize = 100;
/// Messages that may wait here before the deferred queue waits as well.
const ENOUGH: usize = 2 * TOGETHER;
/// How long other mail has the machine for itself after a batch, as a multiple of the time that the batch took.
const GIVE_WAY: u32 = 3;
/// Longest time of that.
const LONGEST_WAY: Duration = Duration::from_millis(500);
/// Bytes of their requests, roughly: the buffer of a socket takes them while nobody reads the replies.
const BYTES_TOGETHER: usize = 32 << 10;
/// Bytes of a request beside its recipients and its next hop, roughly.
const REQUEST: usize = 300;

/// Recipients of one message that wait.
pub struct Suspension {
    /// The message.
    pub message: MessageKey,
    /// Why, for the agent: status and text.
    pub reason: Rc<[u8]>,
    /// The recipients.
    pub recipients: Vec<Recipient>,
}

/// Recipients for which no agent has said yet that they wait.
#[derive(Default)]
pub struct Suspended {
    waiting: RefCell<VecDeque<Suspension>>,
    is_busy: Cell<bool>,
    /// The agent did not take requests like these; it is asked again after a while.
    rests_until: Cell<Option<Instant>>,
}

impl Suspended {
    /// Whether there is room for more deferred mail.
    pub fn has_room(&self) -> bool {
        self.waiting.borrow().len() < ENOUGH
    }

    fn rests(&self) -> bool {
        self.rests_until.get().is_some_and(|until| Instant::now() < until)
    }

    fn take(&self) -> Vec<Suspension> {
        let mut waiting = self.waiting.borrow_mut();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < TOGETHER
            && bytes < BYTES_TOGETHER
            && let Some(next) = waiting.pop_front()
        {
            bytes += next.bytes();
            batch.push(next);
        }
        batch
    }
}

impl Suspension {
    fn bytes(&self) -> usize {
        let of_recipients: usize = self.recipients.iter().map(|who| who.weight() + size_of::<Recipient>()).sum();
        REQUEST + self.reason.len() + of_recipients
    }
}

impl Qmgr {
    /// Has recipients deferred; without the scheduler, for nothing is delivered.
    pub fn suspend(self: &Rc<Self>, suspension: Suspension) {
        if self.suspended.rests() {
            return self.suspend_alone(suspension);
        }
        self.suspended.waiting.borrow_mut().push_back(suspension);
        if !self.suspended.is_busy.replace(true) {
            tokio::task::spawn_local(Rc::clone(self).suspend_all());
        }
    }

    /// The way of one message: an agent for it alone.
    fn suspend_alone(&self, suspension: Suspension) {
        let Suspension { message, reason, recipients } = suspension;
        let retry = self.deliveries.lane(RETRY.as_bytes());
        let destination = self.deliveries.reason_key(retry, &reason);
        self.enqueue(retry, message, destination, &reason, recipients);
    }

    /// Takes what waits, batch after batch. While one is written down, the next one is with the agent.
    async fn suspend_all(self: Rc<Self>) {
        let retry = self.deliveries.lane(RETRY.as_bytes());
        loop {
            // Those of one turn of the loop go together.
            daemon::after_others().await;
            let (mut batch, begin) = (self.suspended.take(), Instant::now());
            if batch.is_empty() || self.is_draining() {
                break;
            }
            self.wake.notify_one(); // for what has room now
            let reports = self.explained(retry, &batch).await;
            let left = batch.split_off(reports.len());
            let counts: Vec<usize> = batch.iter().map(|suspension| suspension.recipients.len()).collect();
            let written = tokio::task::spawn_local(Rc::clone(&self).write_down_together(reports, counts));
            if self.intake.new_mail_arrives() {
                let _ = written.await;
                tokio::time::sleep((begin.elapsed() * GIVE_WAY).min(LONGEST_WAY)).await;
            }
            if !left.is_empty() {
                self.suspended.rests_until.set(Some(Instant::now() + self.settings.transport_retry_time));
                left.into_iter().chain(self.suspended.waiting.take()).for_each(|one| self.suspend_alone(one));
                self.turn();
            }
        }
        self.suspended.is_busy.set(false);
    }

    /// The agent's reports about the first of some messages: all of them, as a rule. An agent that has ended before it
    /// has reported anything is none.
    async fn explained(&self, retry: LaneId, batch: &[Suspension]) -> Vec<Settling> {
        let mut reports = Vec::new();
        let mut kept = self.deliveries.take_idle(retry);
        loop {
            let was_kept = kept.is_some();
            let agent = match kept.take() {
                Some(agent) => Ok(agent),
                None => self.connect(RETRY).await,
            };
            let result = match agent {
                Ok(agent) => self.exchange_all(agent, batch, &mut reports).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(agent) => self.deliveries.free(retry, agent),
                Err(_) if was_kept && reports.is_empty() => continue,
                Err(error) => logging::warning!("private/{RETRY} socket: {error}"),
            }
            return reports;
        }
    }

    async fn exchange_all(
        &self,
        mut agent: Agent,
        batch: &[Suspension],
        reports: &mut Vec<Settling>,
    ) -> Result<Agent, IpcError> {
        for Suspension { message, reason, recipients } in batch {
            delivery::queue(&mut agent, self.ledger.suspension(*message, reason, recipients)?).await?;
        }
        agent.flush().await?;
        for Suspension { message, recipients, .. } in batch {
            let mut report = self.ledger.settling(*message, recipients.clone());
            loop {
                match agent.must_receive().await? {
                    Piece::End(_) => break report.complete()?,
                    piece => report.take(piece)?,
                }
            }
            reports.push(report);
        }
        Ok(agent)
    }

    async fn write_down_together(self: Rc<Self>, mut reports: Vec<Settling>, counts: Vec<usize>) {
        self.ledger.write_down_all(&mut reports).await;
        for (report, count) in reports.iter().zip(counts) {
            self.ledger.settle(report.message(), count);
        }
        // Some of them may have to wait for a notification.
        for report in &reports {
            tokio::task::spawn_local(Rc::clone(&self).continue_message(report.message()));
        }
    }
}
