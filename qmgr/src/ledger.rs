//! The books of the messages in the active queue: which recipients nothing is known about yet, what was written into
//! the logs, and what becomes of a message in the end.
//!
//! It alone changes a message that is in memory, and writes marks into its file. It knows no transport, and does not
//! decide what is done next: who ends a delivery tells it, and then asks whether the message goes on.

mod ending;
mod logs;
mod settling;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::rc::Rc;
use std::time::Instant;

use ipc::delivery::Request;
use queue::{Limits, Recipient};

pub use ending::Ending;
pub use logs::Logs;
pub use settling::Settling;

use crate::active::Active;
use crate::deliveries::Room;
use crate::scheduler::MessageKey;
use crate::settings::Settings;
use crate::spares::Spares;

/// Recipients read at once.
/// told: nobody; the rest is read later.
const MAX_CHUNK: usize = 5000;

/// Messages in memory, and their logs.
pub struct Ledger {
    messages: RefCell<Messages>,
    logs: Logs,
    settings: Rc<Settings>,
    /// Files of messages that have ended.
    pub spares: Spares,
    /// Messages whose files may be open.
    open_limit: usize,
}

struct Messages {
    all: HashMap<MessageKey, Active>,
    /// Key of the next message.
    next: MessageKey,
    /// Recipients in memory, of all messages.
    recipients: usize,
    /// Probes of the verify service.
    probes: usize,
}

impl Ledger {
    /// No message is in memory.
    pub fn new(settings: Rc<Settings>, logs: Logs) -> Self {
        let messages = Messages { all: HashMap::new(), next: MessageKey(1), recipients: 0, probes: 0 };
        let spares = Spares::new(&settings.spool);
        Self { messages: RefCell::new(messages), logs, spares, settings, open_limit: open_limit() }
    }

    /// A message is in memory from now on.
    pub fn enter(&self, mut message: Active) -> MessageKey {
        let mut messages = self.messages.borrow_mut();
        if messages.all.len() >= self.open_limit {
            message.file = None; // opened again when it is needed
        }
        let key = messages.next;
        messages.next.0 += 1;
        messages.probes += usize::from(message.is_of_verify());
        messages.all.insert(key, message);
        key
    }

    /// Looks at a message, if it is still there.
    pub fn look<T>(&self, key: MessageKey, at: impl FnOnce(&Active) -> T) -> Option<T> {
        self.messages.borrow().all.get(&key).map(at)
    }

    /// The queue identifier of a message.
    pub fn name(&self, key: MessageKey) -> String {
        self.look(key, |message| message.id.to_string()).unwrap_or_default()
    }

    /// Recipients of a new message that are read at once.
    pub fn first_chunk(&self) -> usize {
        let room = self.settings.recipient_limit.saturating_sub(self.messages.borrow().recipients);
        room.clamp(self.settings.recipient_minimum, MAX_CHUNK)
    }

    /// The recipients that were just read; they are under way until [`Ledger::routed`].
    pub fn take_read(&self, key: MessageKey) -> Option<Vec<Recipient>> {
        let mut messages = self.messages.borrow_mut();
        let message = messages.all.get_mut(&key)?;
        let recipients = std::mem::take(&mut message.envelope.recipients);
        message.pending += recipients.len();
        message.read += recipients.len() as u64;
        message.reading = true;
        message.read_at = Instant::now();
        messages.recipients += recipients.len();
        Some(recipients)
    }

    /// The recipients that were read last have found their way.
    pub fn routed(&self, key: MessageKey) {
        self.change(key, |message| message.reading = false);
    }

    /// So many recipients of a message have an outcome, and it is written down.
    pub fn settle(&self, key: MessageKey, count: usize) {
        let mut messages = self.messages.borrow_mut();
        messages.recipients = messages.recipients.saturating_sub(count);
        if let Some(message) = messages.all.get_mut(&key) {
            message.pending = message.pending.saturating_sub(count);
        }
    }

    /// Reads more recipients when that is worth while: nothing else is under way, or much room has become free, or some
    /// room for a while. True when some were read.
    pub fn read_more(&self, key: MessageKey, room: &Room) -> bool {
        let mut messages = self.messages.borrow_mut();
        let Some(message) = messages.all.get_mut(&key) else { return false };
        if message.reading || message.envelope.resume.is_none() {
            return false;
        }
        let free = self.settings.recipient_minimum.saturating_add(room.slots).saturating_sub(message.pending);
        let is_much = message.pending == 0 || free >= room.refill_limit.max(1);
        if free == 0 || !(is_much || message.read_at.elapsed() >= room.refill_delay) {
            return false;
        }
        let limits = Limits { recipients: free.min(MAX_CHUNK), attributes: self.settings.attribute_limit };
        let result = message
            .open_file(&self.settings.spool)
            .map_err(|error| text::system_error(&error))
            .and_then(|file| message.envelope.read_more(&*file, &limits).map_err(|error| error.to_string()));
        let Err(error) = result else { return true };
        logging::warning!(id: message.id, "read recipients: {error}");
        // What was not read is tried again with the whole message.
        message.envelope.resume = None;
        message.deferred = true;
        message.logged.incomplete = true;
        false
    }

    /// Takes a message out that nothing is under way for: its attempt ends.
    pub fn take_idle(&self, key: MessageKey) -> Option<Active> {
        let mut messages = self.messages.borrow_mut();
        let is_idle = messages.all.get(&key).is_some_and(|message| message.pending == 0 && !message.reading);
        let message = if is_idle { messages.all.remove(&key) } else { None };
        messages.probes -= usize::from(message.as_ref().is_some_and(Active::is_of_verify));
        message
    }

    /// Probes of the verify service that are in memory.
    pub fn probes(&self) -> usize {
        self.messages.borrow().probes
    }

    /// The request for some recipients, and the file that goes with it.
    ///
    /// # Errors
    /// The file is gone, or someone else delivers it.
    pub fn request(
        &self,
        key: MessageKey,
        nexthop: &[u8],
        recipients: &[Recipient],
        more_follows: bool,
    ) -> io::Result<(Request, Rc<File>)> {
        let mut messages = self.messages.borrow_mut();
        let message = messages.all.get_mut(&key).ok_or(nix::errno::Errno::ENOENT)?;
        let file = message.open_file(&self.settings.spool)?;
        message.forget_former(&self.settings.spool)?;
        Ok((message.request(nexthop, recipients, more_follows), file))
    }

    /// The request for recipients that an agent shall defer. When they are all that the message waits for, its defer
    /// log stays as it is until it is replaced as a whole, or turns out to say the same.
    ///
    /// # Errors
    /// The message is gone, or its log cannot be emptied.
    pub fn suspension(&self, key: MessageKey, nexthop: &[u8], recipients: &[Recipient]) -> io::Result<Request> {
        let mut messages = self.messages.borrow_mut();
        let message = messages.all.get_mut(&key).ok_or(nix::errno::Errno::ENOENT)?;
        if !message.waits_for_no_more_than(recipients.len()) {
            message.forget_former(&self.settings.spool)?;
        }
        Ok(message.request(nexthop, recipients, false))
    }

    /// A notification about a notification, to ourselves: the recipient is done.
    pub fn discard(&self, key: MessageKey, recipient: &Recipient) {
        let why = "undeliverable postmaster notification discarded";
        self.log_outcome(key, recipient, dsn::Status::new(2, 0, 0), "sent", why);
        self.change(key, |message| {
            if let Ok(file) = message.open_file(&self.settings.spool)
                && recipient.offset > 0
                && let Err(error) = queue::mark::done(&file, recipient.offset)
            {
                logging::warning!(id: message.id, "mark recipient: {error}", error = text::system_error(&error));
            }
        });
        self.settle(key, 1);
    }

    /// A list will have something else of the message than its recipients in memory.
    pub fn is_not_listed(&self, key: MessageKey) {
        self.change(key, |message| message.listed.give_up());
    }

    fn change(&self, key: MessageKey, change: impl FnOnce(&mut Active)) {
        if let Some(message) = self.messages.borrow_mut().all.get_mut(&key) {
            change(message);
        }
    }
}

/// Descriptors that messages may keep open; the rest is for connections.
fn open_limit() -> usize {
    const DEFAULT: usize = 256;
    /// told: nobody; other messages wait.
    const MOST: usize = 1000;
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)).and_then(|text| text.parse::<usize>().ok());
    soft.map_or(DEFAULT, |soft| (soft / 3).min(MOST))
}
