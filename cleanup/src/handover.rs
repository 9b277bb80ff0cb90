//! A complete message on its way out: onto stable storage, together with others, and then to qmgr.
//!
//! qmgr must never hear of a message that is not on stable storage.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

use daemon::Flow;
use ipc::qmgr::Notifier;
use queue::create::{Complete, Stored};
use queue::{Committer, Spool};
use tokio::sync::{Mutex, Notify};

use crate::settings::Settings;

/// What all messages share when they leave.
pub struct Handover {
    committer: RefCell<Option<Committer>>,
    notifier: Notifier,
    /// Messages that qmgr has not heard of.
    arrived: RefCell<Vec<Stored>>,
    arrival: Notify,
    telling: Mutex<()>,
    /// What qmgr lets in; `None` where it cannot say.
    tokens: Option<Tokens>,
}

impl Handover {
    /// Messages are announced by `notifier`.
    pub fn new(notifier: Notifier, tokens: Option<Tokens>) -> Self {
        Handover {
            committer: RefCell::default(),
            notifier,
            arrived: RefCell::default(),
            arrival: Notify::new(),
            telling: Mutex::new(()),
            tokens,
        }
    }

    /// in_flow_delay: when mail comes in faster than it goes out, each message waits a moment.
    pub async fn token(&self) -> Token<'_> {
        let Some(tokens) = &self.tokens else { return Token { handover: self, held: None } };
        if tokens.take() {
            return Token { handover: self, held: Some(tokens) };
        }
        if !tokens.delay.is_zero() {
            tokio::time::sleep(tokens.delay).await;
        }
        Token { handover: self, held: None }
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
        let messages = self.arrived.take();
        if !messages.is_empty()
            && let Err(error) = self.notifier.arrived(&messages).await
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

/// Tokens of the flow control, taken some at a time.
pub struct Tokens {
    flow: Flow,
    delay: Duration,
    at_once: usize,
    /// Those that were taken for messages to come.
    stock: Cell<usize>,
}

impl Tokens {
    /// Of this pipe.
    pub fn new(flow: Flow, settings: &Settings) -> Self {
        Tokens { flow, delay: settings.flow_delay, at_once: settings.flow_tokens, stock: Cell::new(0) }
    }

    fn take(&self) -> bool {
        let stock = if self.stock.get() == 0 { self.flow.take(self.at_once) } else { self.stock.get() };
        self.stock.set(stock.saturating_sub(1));
        stock > 0
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        if self.stock.get() > 0 {
            self.flow.put(self.stock.get());
        }
    }
}

/// The right to bring one message to qmgr. It goes back when no message comes of it; qmgr replaces those that were
/// used.
pub struct Token<'w> {
    handover: &'w Handover,
    held: Option<&'w Tokens>,
}

impl Token<'_> {
    /// Waits until a message is on stable storage.
    ///
    /// # Errors
    /// It is not, and its file is removed.
    pub async fn store(&self, message: Complete, spool: &Spool) -> io::Result<Stored> {
        message.commit(&self.handover.committer(spool)?).await
    }

    /// The message is stored in the incoming queue: qmgr will hear of it.
    pub fn arrived(mut self, message: Stored) {
        self.held = None;
        self.handover.arrived.borrow_mut().push(message);
        self.handover.arrival.notify_one();
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        if let Some(tokens) = self.held {
            tokens.stock.set(tokens.stock.get() + 1);
        }
    }
}
