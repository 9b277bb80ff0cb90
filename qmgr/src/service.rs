//! The daemon: who wakes it, and what it does each time.

use std::cell::OnceCell;
use std::fs::File;
use std::rc::Rc;
use std::time::{Duration, Instant};

use config::Config;
use daemon::{Client, Context, Flow, Sibling, StartError};
use ipc::qmgr::{Moment, Qmgr as Protocol, Reply, Request, Style as ListStyle};
use ipc::rewrite::Rewriter;
use ipc::verify::Verifier;
use ipc::word::Named;
use ipc::{IpcError, Pool, Server};
use tokio::sync::Notify;

use crate::SERVICE;
use crate::deliveries::Deliveries;
use crate::index::Index;
use crate::intake::Intake;
use crate::ledger::{Ledger, Logs};
use crate::settings::{Settings, check_defaults};
use crate::suspended::Suspended;

/// How long after the end of a client the incoming queue is read.
const AFTER_CLIENT: Duration = Duration::from_secs(1);
/// Longest sleep: clocks may jump.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// The queue manager: three parts, each with a memory of its own, and the ways of a message from one to the next, which
/// are methods of this type. A part is asked by short calls and never keeps a borrow while it waits, and none calls
/// another: whoever has waited (for an agent, a log) looks things up again.
pub struct Qmgr {
    /// What this daemon needs of main.cf.
    pub settings: Rc<Settings>,
    /// trivial-rewrite.
    pub rewriter: Rewriter,
    /// Messages that wait for a place in the active queue.
    pub intake: Intake,
    /// Recipients that wait for an agent, or are with one.
    pub deliveries: Deliveries,
    /// Messages in memory, and what became of their recipients.
    pub ledger: Ledger,
    /// What is known of the deferred queue.
    pub index: Index,
    /// Recipients that wait because their destination is dead.
    pub suspended: Suspended,
    /// Something may be due earlier than the main loop knows.
    pub wake: Rc<Notify>,
    /// Messages were taken.
    taken: Notify,
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
        tokio::task::spawn_local(Rc::clone(self).refill());
    }

    async fn session(self: Rc<Self>, client: Client) {
        let context = Rc::clone(&client.context);
        let Some(stream) = client.into_unix() else { return };
        let mut channel: Server<Protocol> = Server::new(stream);
        while let Some(request) = context.next_request(&mut channel).await {
            match request {
                Request::Arrived(names) => {
                    for Named(id) in names {
                        let file = channel.take_descriptor().map(File::from);
                        self.intake.announced(id, file);
                    }
                    self.turn();
                }
                Request::Deferred(moment, style) => {
                    if self.tell(&mut channel, moment, &style).await.is_err() {
                        break;
                    }
                }
            }
        }
        // A client that ended may have left a message that it had no time to announce.
        self.intake.look_again_in(AFTER_CLIENT);
    }

    async fn trigger(self: Rc<Self>, request: Vec<u8>) {
        let asks = |letter: u8| request.contains(&letter);
        if asks(b'F') {
            self.deliveries.revive_all();
        }
        if asks(b'I') || asks(b'W') {
            self.intake.scan_incoming().await;
            self.turn();
        }
        if asks(b'D') {
            let flushed = asks(b'F') || asks(b'A');
            self.intake.scan_deferred(asks(b'A'), flushed).await;
        }
        self.turn();
    }
}

impl Qmgr {
    /// A queue manager that has not looked into its queues yet.
    pub fn new(config: Config, timeout: Duration, flow: Option<Flow>) -> Result<Self, StartError> {
        let socket = |sibling| SERVICE.socket(sibling, &config);
        check_defaults(&config)?;
        let settings = Rc::new(Settings::read(&config)?.adjusted());
        let wake = Rc::new(Notify::new());
        let logs = Logs {
            bounce: Pool::new(socket(Sibling::Bounce)?, timeout),
            defer: Pool::new(socket(Sibling::Defer)?, timeout),
            trace: Pool::new(socket(Sibling::Trace)?, timeout),
            verify: Verifier::new(socket(Sibling::Verify)?),
            remembers_failures: settings.log.remembers_failures,
        };
        Ok(Qmgr {
            rewriter: Rewriter::new(socket(Sibling::Rewrite)?, timeout),
            intake: Intake::new(Rc::clone(&settings), Rc::clone(&wake)),
            deliveries: Deliveries::new(config, Rc::clone(&wake)),
            ledger: Ledger::new(Rc::clone(&settings), logs),
            index: Index::new(),
            suspended: Suspended::default(),
            settings,
            wake,
            taken: Notify::new(),
            context: OnceCell::new(),
            flow,
        })
    }

    /// Tells what is known of messages that were deferred later.
    async fn tell(
        &self,
        channel: &mut Server<Protocol>,
        mut moment: Moment,
        style: &ListStyle,
    ) -> Result<(), IpcError> {
        let own = &self.settings.list_style;
        let is_known = style.modern == own.modern && style.null_address == own.null_address;
        while let (Some(messages), next) = self.index.after(moment)
            && is_known
        {
            channel.send(&Reply::Deferred(messages)).await?;
            moment = next;
        }
        channel.send(&Reply::End(moment)).await
    }

    /// Whether the worker shall end: nothing new is begun, because another queue manager takes over.
    pub fn is_draining(&self) -> bool {
        self.context.get().is_some_and(|context| context.is_draining())
    }

    /// Starts what can be started.
    pub fn turn(self: &Rc<Self>) {
        self.feed();
        self.start_deliveries();
        self.taken.notify_one();
    }

    /// Puts tokens into the flow-control pipe for messages that were taken, those of a turn of the loop together.
    async fn refill(self: Rc<Self>) {
        loop {
            self.taken.notified().await;
            let tokens = self.intake.take_tokens();
            if tokens > 0
                && let Some(flow) = &self.flow
            {
                flow.put(tokens); // in_flow_delay
            }
        }
    }

    /// Sees to it that there are default_process_limit tokens: some were taken for messages that never came.
    fn balance(&self) {
        let Some((flow, count)) = self.flow.as_ref().and_then(|flow| Some((flow, flow.count()?))) else { return };
        let wanted = self.settings.flow_tokens;
        if count > wanted {
            flow.take(count - wanted); // told: nobody; no message belongs to them
        } else if count < wanted {
            flow.put(wanted - count);
        }
    }

    /// Looks into the queues, and does from then on what is due.
    pub async fn main_loop(self: Rc<Self>) {
        self.settings.spool.sort_out_spares();
        self.intake.take_over().await;
        self.intake.scan_incoming().await;
        self.turn();
        let mut times = self.intake.directory_times().await;
        self.intake.scan_deferred(false, false).await;
        let mut checked = Instant::now();
        loop {
            if checked.elapsed() >= self.settings.run_delay {
                // queue_run_delay
                self.intake.check_deferred(&mut times).await;
                checked = Instant::now();
            }
            self.intake.take_due();
            self.intake.go_on().await;
            if self.intake.must_scan_incoming() {
                self.intake.scan_incoming().await;
                self.turn();
            }
            if self.intake.has_no_new_mail() {
                self.balance();
            }
            let now = Instant::now();
            let paused = self.deliveries.pass_time(now);
            let idle = self.deliveries.close_idle(now);
            let wakes = [paused, idle, self.intake.next_due(), Some(checked + self.settings.run_delay)];
            let next = wakes.into_iter().flatten().min();
            self.turn();
            let sleep = next.map_or(MAX_SLEEP, |at| at.saturating_duration_since(now)).min(MAX_SLEEP);
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }
}
