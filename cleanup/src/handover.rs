//! A complete message on its way out: onto stable storage, together with others, and then to qmgr.
//!
//! qmgr must never hear of a message that is not on stable storage.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use daemon::Flow;
use ipc::qmgr::Notifier;
use queue::create::Complete;
use queue::{Committer, QueueId, Spool};
use tokio::sync::{Mutex, Notify};

/// What all messages share when they leave.
pub struct Handover {
    committer: RefCell<Option<Committer>>,
    notifier: Notifier,
    /// Messages that qmgr has not heard of.
    arrived: RefCell<Vec<QueueId>>,
    arrival: Notify,
    telling: Mutex<()>,
    /// What qmgr lets in; `None` where it cannot say.
    flow: Option<Flow>,
    flow_delay: Duration,
}

impl Handover {
    /// in_flow_delay: how long a message waits that qmgr is not ready for.
    pub fn new(notifier: Notifier, flow: Option<Flow>, flow_delay: Duration) -> Self {
        Handover {
            committer: RefCell::default(),
            notifier,
            arrived: RefCell::default(),
            arrival: Notify::new(),
            telling: Mutex::new(()),
            flow,
            flow_delay,
        }
    }

    /// in_flow_delay: when mail comes in faster than it goes out, each message waits a moment.
    pub async fn token(&self) -> Token<'_> {
        let Some(flow) = &self.flow else { return Token { handover: self, flow: None } };
        if flow.take() {
            return Token { handover: self, flow: Some(flow) };
        }
        if !self.flow_delay.is_zero() {
            tokio::time::sleep(self.flow_delay).await;
        }
        Token { handover: self, flow: None }
    }

    /// Tells qmgr of messages, those of one turn of the loop together. A notification that is lost costs time, no mail:
    /// qmgr finds the file when it looks into the incoming queue.
    pub async fn notify(&self) {
        loop {
            self.arrival.notified().await;
            // Others may have been committed together with the first.
            daemon::after_others().await;
            self.announce().await;
        }
    }

    /// Tells what waits to be told, after whoever is telling now.
    pub async fn announce(&self) {
        let _turn = self.telling.lock().await;
        let ids = self.arrived.take();
        if !ids.is_empty()
            && let Err(error) = self.notifier.arrived_all(ids).await
        {
            logging::warning!("connect to {}: {error}", self.notifier.path().display());
        }
    }

    /// The thread that waits for the disk; started with the first message, inside the sandbox.
    fn committer(&self, spool: &Spool) -> io::Result<Committer> {
        let mut committer = self.committer.borrow_mut();
        if let Some(committer) = &*committer {
            return Ok(committer.clone());
        }
        Ok(committer.insert(Committer::start(spool.storage())?).clone())
    }
}

/// The right to bring one message to qmgr. It goes back when no message comes of it; qmgr replaces those that were
/// used.
pub struct Token<'w> {
    handover: &'w Handover,
    flow: Option<&'w Flow>,
}

impl Token<'_> {
    /// Waits until a message is on stable storage.
    ///
    /// # Errors
    /// It is not, and its file is removed.
    pub async fn store(&self, message: Complete, spool: &Spool) -> io::Result<QueueId> {
        message.commit(&self.handover.committer(spool)?).await
    }

    /// The message is stored in the incoming queue: qmgr will hear of it.
    pub fn arrived(mut self, id: QueueId) {
        self.flow = None;
        self.handover.arrived.borrow_mut().push(id);
        self.handover.arrival.notify_one();
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        if let Some(flow) = self.flow {
            flow.put(1);
        }
    }
}
