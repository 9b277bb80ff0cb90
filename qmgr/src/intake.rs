//! What comes into the active queue: which messages wait for a place, when the deferred ones are due, and how they are
//! read.
//!
//! It knows names and times of messages; once a message is in memory it is the ledger's, and only its place in the
//! active queue is still counted here. Names may be forgotten at any moment: the directories are the truth, and are
//! read again.

mod load;
mod scan;
mod schedule;

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::rc::Rc;
use std::time::{Duration, Instant};

use queue::QueueId;
use tokio::sync::Notify;

use crate::retry::now;
use crate::settings::Settings;
use scan::{Earliest, Scanner};
use schedule::Schedule;

pub use scan::DirectoryTimes;

/// Messages that may wait by name for a place in the active queue; more are found by a scan.
/// told: nobody; a scan finds them.
const MAX_BACKLOG: usize = 10_000;
/// Names of the deferred queue that an operator has taken at once.
/// told: nobody; the others are taken then.
const PIECE: usize = 100_000;
/// Names read from the incoming queue at once.
/// told: nobody; the rest is found by the next scan.
const MAX_NAMES: usize = 5000;
/// Messages that are resolved at the same time: each is a question to trivial-rewrite.
/// told: nobody; the rest has its turn.
const MAX_RESOLVING: usize = 20;
/// Messages that may wait with their files open; others are opened when it is their turn.
/// told: nobody; see there.
const MAX_OPEN: usize = 200;
/// New mail still arrives, so long after a message has.
const ARRIVING: Duration = Duration::from_secs(1);
/// How long a message that someone else delivers is left alone.
pub const LOCKED_WAIT: Duration = Duration::from_secs(60);

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// cleanup has announced it: complete, in the incoming queue.
    Announced,
    /// Found in the incoming queue.
    Incoming,
    /// Due in the deferred queue. `flushed`: an operator wants it delivered now.
    Deferred {
        /// Its time and defer_transports do not matter.
        flushed: bool,
    },
}

/// A message that waits for a place.
#[derive(Debug)]
pub struct Arrival {
    /// Its name.
    pub id: QueueId,
    /// Where it is.
    pub source: Source,
    /// Its file, locked, if cleanup has handed it over.
    pub file: Option<File>,
}

/// What comes in.
pub struct Intake {
    waiting: RefCell<Waiting>,
    scanner: Scanner,
    settings: Rc<Settings>,
    /// Something may be due earlier than the main loop knows.
    wake: Rc<Notify>,
}

struct Waiting {
    /// What a former queue manager left in the active queue is out of it: what is there from now on is ours.
    ready: bool,
    /// Messages that occupy a place in the active queue: in memory, or on their way in or out.
    taken: HashSet<QueueId>,
    /// New messages that wait for a place.
    incoming: VecDeque<Arrival>,
    /// Deferred messages that wait for a place.
    due: VecDeque<Arrival>,
    /// An operator wants the whole deferred queue; the names behind this one are still to be read.
    go_on_behind: Option<QueueId>,
    /// Deferred messages and when they are due.
    schedule: Schedule<QueueId>,
    /// Whether the deferred queue was the last to be served.
    last_was_deferred: bool,
    /// The incoming queue has more than [`Waiting::incoming`].
    scan_incoming_at: Option<Instant>,
    /// Messages whose recipients are being resolved.
    resolving: usize,
    /// Tokens to put into the flow-control pipe.
    tokens: usize,
    /// When cleanup announced a message last.
    announced: Option<Instant>,
}

impl Intake {
    /// Nothing was looked at yet.
    pub fn new(settings: Rc<Settings>, wake: Rc<Notify>) -> Self {
        let scanner = Scanner::new(settings.spool.clone());
        Self { waiting: RefCell::default(), scanner, settings, wake }
    }

    /// Takes over from a former queue manager: what it had in the active queue is new mail.
    pub async fn take_over(&self) {
        self.scanner.empty_active().await;
        self.waiting.borrow_mut().ready = true;
    }

    /// cleanup has put a message into the incoming queue, and handed its file over.
    pub fn announced(&self, id: QueueId, file: Option<File>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.announced = Some(Instant::now());
        waiting.arrived(Arrival { id, source: Source::Announced, file });
    }

    /// Whether mail comes in at this time.
    pub fn new_mail_arrives(&self) -> bool {
        self.waiting.borrow().announced.is_some_and(|last| last.elapsed() < ARRIVING)
    }

    /// Has the incoming queue read after a while.
    pub fn look_again_in(&self, wait: Duration) {
        let at = Instant::now() + wait;
        let mut waiting = self.waiting.borrow_mut();
        if waiting.scan_incoming_at.is_none_or(|known| at < known) {
            waiting.scan_incoming_at = Some(at);
        }
        self.wake.notify_one();
    }

    /// The next message to take, when it can be taken now; a deferred one only where that is said.
    pub fn next(&self, may_be_deferred: bool) -> Option<Arrival> {
        let mut waiting = self.waiting.borrow_mut();
        // Goes on when some are resolved.
        if !waiting.ready || waiting.resolving >= MAX_RESOLVING {
            return None;
        }
        waiting.next_message(self.settings.active_limit, may_be_deferred)
    }

    /// Takes a place in the active queue. False: the message has one.
    pub fn claim(&self, id: &QueueId) -> bool {
        self.waiting.borrow_mut().taken.insert(id.clone())
    }

    /// The message has no place in the active queue any more.
    pub fn leave(&self, id: &QueueId) {
        self.waiting.borrow_mut().taken.remove(id);
    }

    /// The message has left the active queue, and is due again at this time.
    pub fn put_off(&self, id: QueueId, at: i64) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.taken.remove(&id);
        waiting.schedule.insert(id, at);
        self.wake.notify_one();
    }

    /// The recipients of one more message are being resolved, until [`Intake::resolved`].
    pub fn resolving(&self) {
        self.waiting.borrow_mut().resolving += 1;
    }

    /// They are.
    pub fn resolved(&self) {
        self.waiting.borrow_mut().resolving -= 1;
    }

    /// Tokens for the messages that were announced and taken since the last call.
    pub fn take_tokens(&self) -> usize {
        std::mem::take(&mut self.waiting.borrow_mut().tokens)
    }

    /// Whether no new message waits for a place.
    pub fn has_no_new_mail(&self) -> bool {
        self.waiting.borrow().incoming.is_empty()
    }

    /// Deferred messages whose time has come wait for a place from now on.
    pub fn take_due(&self) {
        let mut waiting = self.waiting.borrow_mut();
        // A bound, as for new mail; the rest stays in the schedule.
        while waiting.due.len() < MAX_NAMES {
            let Some(id) = waiting.schedule.take_due(now()) else { return };
            waiting.due.push_back(Arrival::of(id, Source::Deferred { flushed: false }));
        }
    }

    /// When there is something to do next.
    pub fn next_due(&self) -> Option<Instant> {
        let waiting = self.waiting.borrow();
        let room = waiting.due.len() < MAX_NAMES;
        let due = waiting.schedule.next_due().filter(|_| room).map(|at| {
            let wait = u64::try_from(at.saturating_sub(now())).unwrap_or(0);
            Instant::now() + Duration::from_secs(wait)
        });
        [due, waiting.scan_incoming_at].into_iter().flatten().min()
    }

    /// Whether the incoming queue has to be read now.
    pub fn must_scan_incoming(&self) -> bool {
        self.waiting.borrow().scan_incoming_at.is_some_and(|at| at <= Instant::now())
    }

    /// Reads the incoming queue.
    pub async fn scan_incoming(&self) {
        self.waiting.borrow_mut().scan_incoming_at = None;
        let Some((names, more)) = self.scanner.incoming(MAX_NAMES).await else { return };
        let mut waiting = self.waiting.borrow_mut();
        names.into_iter().for_each(|id| waiting.arrived(Arrival::of(id, Source::Incoming)));
        if more {
            waiting.scan_incoming_at = Some(Instant::now() + Duration::from_secs(1));
        }
        self.wake.notify_one();
    }

    /// Reads the deferred queue. `all`: what is not due is taken as well.
    pub async fn scan_deferred(&self, all: bool, flushed: bool) {
        if all {
            return self.take_behind(None).await;
        }
        let Some(Earliest { messages, horizon }) = self.scanner.deferred(schedule::MOST).await else { return };
        let mut waiting = self.waiting.borrow_mut();
        waiting.schedule.begin_anew(horizon);
        let now = now();
        for message in messages {
            if flushed && message.due <= now {
                waiting.due.push_back(Arrival::of(message.id, Source::Deferred { flushed }));
            } else {
                waiting.schedule.insert(message.id, message.due);
            }
        }
        self.wake.notify_one();
    }

    /// Takes the deferred queue as a whole, piece by piece in the order of names: the piece behind this one.
    async fn take_behind(&self, last: Option<QueueId>) {
        let Some(names) = self.scanner.deferred_behind(last, PIECE).await else { return };
        let mut waiting = self.waiting.borrow_mut();
        waiting.go_on_behind = names.last().filter(|_| names.len() == PIECE).cloned();
        waiting.due.extend(names.into_iter().map(|id| Arrival::of(id, Source::Deferred { flushed: true })));
        self.wake.notify_one();
    }

    /// The next piece, once the last one is taken.
    pub async fn go_on(&self) {
        let last = {
            let mut waiting = self.waiting.borrow_mut();
            if waiting.due.is_empty() { waiting.go_on_behind.take() } else { None }
        };
        if last.is_some() {
            self.take_behind(last).await;
        }
    }

    /// Finds what others have put into the deferred queue, or what did not fit into memory.
    pub async fn check_deferred(&self, times: &mut DirectoryTimes) {
        if self.waiting.borrow().schedule.must_rescan(now()) {
            return self.scan_deferred(false, false).await;
        }
        let current = self.directory_times().await;
        if current == *times {
            return;
        }
        *times = current;
        // Of a queue that is not remembered as a whole nobody can say what is new in it.
        let is_partial = self.waiting.borrow().schedule.is_partial();
        let names = if is_partial { None } else { self.scanner.deferred_names(2 * schedule::MOST).await };
        let Some(names) = names else { return self.scan_deferred(false, false).await };
        let unknown: Vec<QueueId> = {
            let waiting = self.waiting.borrow();
            let known = |id: &QueueId| waiting.schedule.contains(id) || waiting.taken.contains(id);
            names.into_iter().filter(|id| !known(id)).collect()
        };
        let Some(found) = self.scanner.due_times(unknown).await else { return };
        let mut waiting = self.waiting.borrow_mut();
        found.into_iter().for_each(|message| waiting.schedule.insert(message.id, message.due));
    }

    /// What the deferred queue looks like, for [`Intake::check_deferred`].
    pub async fn directory_times(&self) -> DirectoryTimes {
        self.scanner.directory_times().await
    }
}

impl Arrival {
    /// One whose file has to be opened.
    fn of(id: QueueId, source: Source) -> Self {
        Arrival { id, source, file: None }
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            ready: false,
            taken: HashSet::new(),
            incoming: VecDeque::new(),
            due: VecDeque::new(),
            go_on_behind: None,
            schedule: Schedule::new(),
            last_was_deferred: false,
            scan_incoming_at: None,
            resolving: 0,
            tokens: 0,
            announced: None,
        }
    }
}

impl Waiting {
    /// A message waits in the incoming queue. Beyond the bound only the fact is kept.
    fn arrived(&mut self, mut arrival: Arrival) {
        if self.incoming.len() >= MAX_OPEN {
            arrival.file = None;
        }
        if self.incoming.len() < MAX_BACKLOG {
            self.incoming.push_back(arrival);
        } else if self.scan_incoming_at.is_none() {
            self.scan_incoming_at = Some(Instant::now());
        }
    }

    /// The next message to take: new and deferred mail in turn; new mail first when the active queue is nearly full.
    fn next_message(&mut self, limit: usize, may_be_deferred: bool) -> Option<Arrival> {
        let room = limit.saturating_sub(self.taken.len());
        if room == 0 {
            return None;
        }
        if !may_be_deferred {
            return self.incoming.pop_front();
        }
        let deferred_first = !self.last_was_deferred && room > 1;
        self.last_was_deferred = deferred_first;
        if deferred_first {
            self.due.pop_front().or_else(|| self.incoming.pop_front())
        } else {
            self.incoming.pop_front().or_else(|| self.due.pop_front())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> QueueId {
        QueueId::parse(name.as_bytes()).unwrap()
    }

    #[test]
    fn new_and_deferred_mail_is_taken_in_turn() {
        let mut waiting = Waiting::default();
        for name in ["N1", "N2"] {
            waiting.arrived(Arrival::of(id(name), Source::Announced));
        }
        for name in ["D1", "D2"] {
            waiting.due.push_back(Arrival::of(id(name), Source::Deferred { flushed: false }));
        }
        let names: Vec<String> =
            std::iter::from_fn(|| waiting.next_message(100, true)).map(|next| next.id.to_string()).collect();
        assert_eq!(names, ["D1", "N1", "D2", "N2"]);
    }

    #[test]
    fn new_mail_passes_deferred_mail_that_has_to_wait() {
        let mut waiting = Waiting::default();
        waiting.due.push_back(Arrival::of(id("D1"), Source::Deferred { flushed: false }));
        assert!(waiting.next_message(100, false).is_none());
        waiting.arrived(Arrival::of(id("N1"), Source::Announced));
        assert_eq!(waiting.next_message(100, false).map(|next| next.id.to_string()), Some("N1".to_owned()));
        assert_eq!(waiting.next_message(100, true).map(|next| next.id.to_string()), Some("D1".to_owned()));
    }

    #[test]
    fn a_full_active_queue_takes_nothing_and_a_nearly_full_one_new_mail() {
        let mut waiting = Waiting::default();
        waiting.arrived(Arrival::of(id("N1"), Source::Announced));
        waiting.due.push_back(Arrival::of(id("D1"), Source::Deferred { flushed: false }));
        waiting.taken.insert(id("A1"));
        assert!(waiting.next_message(1, true).is_none());
        assert_eq!(waiting.next_message(2, true).map(|next| next.id.to_string()), Some("N1".to_owned()));
    }

    #[test]
    fn names_beyond_the_bound_become_a_scan() {
        let mut waiting = Waiting::default();
        for number in 0..=MAX_BACKLOG {
            waiting.arrived(Arrival::of(id(&format!("N{number}")), Source::Announced));
        }
        assert_eq!(waiting.incoming.len(), MAX_BACKLOG);
        assert!(waiting.scan_incoming_at.is_some());
    }
}
