//! The daemon: who wakes it, and what it does each time.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use config::Config;
use daemon::{Client, Context, Flow, Sibling, StartError};
use ipc::qmgr::{Qmgr as Protocol, Request};
use ipc::rewrite::Rewriter;
use ipc::word::Named;
use ipc::{Pool, Server};
use queue::QueueId;
use tokio::sync::Notify;

use crate::SERVICE;
use crate::deliveries::Deliveries;
use crate::ledger::{Ledger, Logs};
use crate::retry::now;
use crate::scan::{DirectoryTimes, Scanner};
use crate::settings::{Settings, check_defaults};
use crate::state::{Source, State};

/// Names read from the incoming queue at once.
/// told: nobody; the rest is found by the next scan.
const MAX_NAMES: usize = 5000;
/// How long after the end of a client the incoming queue is read.
const AFTER_CLIENT: Duration = Duration::from_secs(1);
/// Longest sleep: clocks may jump.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// The queue manager.
pub struct Qmgr {
    /// What this daemon needs of it.
    pub settings: Rc<Settings>,
    /// trivial-rewrite.
    pub rewriter: Rewriter,
    /// Looks into the queues.
    scanner: Scanner,
    /// Recipients that wait for an agent, or are with one.
    pub deliveries: Deliveries,
    /// Messages in memory, and what became of their recipients.
    pub ledger: Ledger,
    /// Everything else in memory.
    pub state: RefCell<State>,
    /// Something may be due earlier than the main loop knows.
    pub wake: Rc<Notify>,
    context: OnceCell<Rc<Context>>,
    flow: Option<Flow>,
}

impl daemon::Worker for Qmgr {
    fn start(context: &Context) -> Result<Self, StartError> {
        Qmgr::new(context.config.clone(), context.ipc_timeout(), context.take_flow())
    }

    fn background(self: &Rc<Self>, context: &Rc<Context>) {
        let _ = self.context.set(Rc::clone(context));
        tokio::task::spawn_local(Rc::clone(self).main_loop());
    }

    async fn session(self: Rc<Self>, client: Client) {
        let context = Rc::clone(&client.context);
        let Some(stream) = client.into_unix() else { return };
        let mut channel: Server<Protocol> = Server::new(stream);
        while let Some(Request::Arrived(names)) = context.next_request(&mut channel).await {
            for Named(id) in names {
                self.state.borrow_mut().arrived(id, Source::Announced);
            }
            self.turn();
        }
        // A client that ended may have left a message that it had no time to announce.
        self.look_again_in(AFTER_CLIENT);
    }

    async fn trigger(self: Rc<Self>, request: Vec<u8>) {
        let asks = |letter: u8| request.contains(&letter);
        if asks(b'F') {
            self.deliveries.revive_all();
        }
        if asks(b'I') || asks(b'W') {
            Rc::clone(&self).scan_incoming().await;
        }
        if asks(b'D') {
            let flushed = asks(b'F') || asks(b'A');
            Rc::clone(&self).scan_deferred(asks(b'A'), flushed).await;
        }
        self.turn();
    }
}

impl Qmgr {
    /// A queue manager that has not looked into its queues yet.
    pub fn new(config: Config, timeout: Duration, flow: Option<Flow>) -> Result<Self, StartError> {
        let socket = |sibling| SERVICE.socket(sibling, &config);
        check_defaults(&config)?;
        let settings = Rc::new(Settings::read(&config)?);
        let wake = Rc::new(Notify::new());
        let logs = Logs {
            bounce: Pool::new(socket(Sibling::Bounce)?, timeout),
            defer: Pool::new(socket(Sibling::Defer)?, timeout),
            trace: Pool::new(socket(Sibling::Trace)?, timeout),
        };
        Ok(Qmgr {
            scanner: Scanner::new(settings.spool.clone()),
            ledger: Ledger::new(Rc::clone(&settings), logs),
            settings,
            rewriter: Rewriter::new(socket(Sibling::Rewrite)?, timeout),
            state: RefCell::default(),
            deliveries: Deliveries::new(config, Rc::clone(&wake)),
            wake,
            context: OnceCell::new(),
            flow,
        })
    }

    /// Whether the worker shall end: nothing new is begun, because another queue manager takes over.
    pub fn is_draining(&self) -> bool {
        self.context.get().is_some_and(|context| context.is_draining())
    }

    /// Starts what can be started.
    pub fn turn(self: &Rc<Self>) {
        self.feed();
        self.start_deliveries();
        let tokens = std::mem::take(&mut self.state.borrow_mut().tokens);
        if tokens > 0
            && let Some(flow) = &self.flow
        {
            flow.put(tokens); // in_flow_delay
        }
    }

    /// Looks into the queues, and does from then on what is due.
    pub async fn main_loop(self: Rc<Self>) {
        self.scanner.empty_active().await;
        self.state.borrow_mut().ready = true;
        Rc::clone(&self).scan_incoming().await;
        let mut times = self.scanner.directory_times().await;
        Rc::clone(&self).scan_deferred(false, false).await;
        let mut checked = Instant::now();
        loop {
            if checked.elapsed() >= self.settings.run_delay {
                // queue_run_delay
                self.check_deferred(&mut times).await;
                checked = Instant::now();
            }
            self.take_due();
            if self.state.borrow().scan_incoming_at.is_some_and(|at| at <= Instant::now()) {
                Rc::clone(&self).scan_incoming().await;
            }
            if let Some(flow) = self.flow.as_ref().filter(|_| self.state.borrow().incoming.is_empty()) {
                flow.balance(self.settings.flow_tokens); // some were taken for messages that never came
            }
            let now = Instant::now();
            let wakes = [
                self.deliveries.pass_time(now),
                self.deliveries.close_idle(now),
                Some(checked + self.settings.run_delay),
            ];
            let next = wakes.into_iter().flatten().chain(self.next_due()).min();
            self.turn();
            let sleep = next.map_or(MAX_SLEEP, |at| at.saturating_duration_since(now)).min(MAX_SLEEP);
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Deferred messages whose time has come.
    fn take_due(&self) {
        let mut state = self.state.borrow_mut();
        // A bound, as for new mail; the rest stays in the schedule.
        while state.due.len() < MAX_NAMES {
            let Some(id) = state.schedule.take_due(now()) else { return };
            state.due.push_back((id, Source::Deferred { flushed: false }));
        }
    }

    fn next_due(&self) -> impl Iterator<Item = Instant> {
        let state = self.state.borrow();
        let room = state.due.len() < MAX_NAMES;
        let due = state.schedule.next_due().filter(|_| room).map(|at| {
            let wait = u64::try_from(at.saturating_sub(now())).unwrap_or(0);
            Instant::now() + Duration::from_secs(wait)
        });
        [due, state.scan_incoming_at].into_iter().flatten()
    }

    /// Reads the incoming queue.
    async fn scan_incoming(self: Rc<Self>) {
        self.state.borrow_mut().scan_incoming_at = None;
        let Some((names, more)) = self.scanner.incoming(MAX_NAMES).await else { return };
        {
            let mut state = self.state.borrow_mut();
            names.into_iter().for_each(|id| state.arrived(id, Source::Incoming));
            if more {
                state.scan_incoming_at = Some(Instant::now() + Duration::from_secs(1));
            }
        }
        self.wake.notify_one();
        self.turn();
    }

    /// Reads the deferred queue. `all`: what is not due is taken as well.
    async fn scan_deferred(self: Rc<Self>, all: bool, flushed: bool) {
        let Some(found) = self.scanner.deferred().await else { return };
        {
            let mut state = self.state.borrow_mut();
            state.schedule.clear();
            let now = now();
            for message in found {
                if all || (flushed && message.due <= now) {
                    state.due.push_back((message.id, Source::Deferred { flushed }));
                } else {
                    state.schedule.insert(message.id, message.due);
                }
            }
        }
        self.wake.notify_one();
    }

    /// Finds what others have put into the deferred queue, or what did not fit into memory.
    async fn check_deferred(self: &Rc<Self>, times: &mut DirectoryTimes) {
        if self.state.borrow().schedule.must_rescan(now()) {
            return Rc::clone(self).scan_deferred(false, false).await;
        }
        let current = self.scanner.directory_times().await;
        if current == *times {
            return;
        }
        *times = current;
        let Some(names) = self.scanner.deferred_names().await else { return };
        let unknown: Vec<QueueId> = {
            let state = self.state.borrow();
            let known = |id: &QueueId| state.schedule.contains(id) || state.taken.contains(id);
            names.into_iter().filter(|id| !known(id)).collect()
        };
        let Some(found) = self.scanner.due_times(unknown).await else { return };
        let mut state = self.state.borrow_mut();
        found.into_iter().for_each(|message| state.schedule.insert(message.id, message.due));
    }
}
