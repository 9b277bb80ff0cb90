//! The daemon: its clients, and what all messages share.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use config::Config;
use daemon::{Client, Context, Flow, Sibling, StartError};
use ipc::bounce::Bounce;
use ipc::cleanup::{Cleanup as Protocol, Flags, Reply, Request};
use ipc::qmgr::Notifier;
use ipc::rewrite::Rewriter;
use ipc::{Pool, Server};
use queue::{Committer, QueueId};
use tokio::sync::{Mutex, Notify};

use crate::SERVICE;
use crate::domains::OwnDomains;
use crate::incoming::Incoming;
use crate::settings::Settings;
use crate::tables::Tables;
use crate::withheld::Missing;

/// What all messages share.
pub struct Cleanup {
    /// main.cf.
    pub settings: Settings,
    /// Lookup tables.
    pub tables: Tables,
    /// What main.cf asks for and is not there.
    pub missing: Missing,
    /// Domains that tables are also asked about without the domain.
    pub domains: OwnDomains,
    /// trivial-rewrite.
    pub rewriter: Rewriter,
    /// bounce, for messages that are returned at once.
    pub bounce: Pool<Bounce>,
    /// trace, for aliases whose senders want to hear of success.
    pub trace: Pool<Bounce>,
    committer: RefCell<Option<Committer>>,
    notifier: Notifier,
    arrived: RefCell<Vec<QueueId>>,
    arrival: Notify,
    telling: Mutex<()>,
    flow: Option<Flow>,
}

impl daemon::Worker for Cleanup {
    const REFUSES: bool = true;

    fn start(context: &Context) -> Result<Self, StartError> {
        // The zone is read now: the sandbox has no /etc.
        message::date::rfc5322(0);
        Cleanup::new(&context.config, context.ipc_timeout(), context.take_flow())
    }

    fn background(self: &Rc<Self>, _: &Rc<Context>) {
        tokio::task::spawn_local(Rc::clone(self).notify());
    }

    async fn session(self: Rc<Self>, client: Client) {
        let context = Rc::clone(&client.context);
        let Some(stream) = client.into_unix() else { return };
        let mut channel: Server<Protocol> = Server::new(stream);
        channel.set_timeout(context.ipc_timeout());
        while let Some(request) = context.next_request(&mut channel).await {
            let Request::Open { flags } = request else {
                logging::warning!("cleanup client: a message without a beginning");
                break;
            };
            if self.message(&mut channel, flags).await.is_none() {
                break;
            }
        }
        if context.is_draining() {
            // The worker may end with this session, and what waits to be told would end with it.
            self.announce().await;
        }
    }

    fn changed_table(&self) -> Option<String> {
        self.tables.changed().map(str::to_owned)
    }
}

impl Cleanup {
    /// Reads the settings and opens the tables.
    pub fn new(config: &Config, timeout: Duration, flow: Option<Flow>) -> Result<Self, StartError> {
        let socket = |sibling| SERVICE.socket(sibling, config);
        Ok(Cleanup {
            settings: Settings::read(config)?,
            tables: Tables::open(config)?,
            missing: Missing::read(config)?,
            domains: OwnDomains::read(config)?,
            rewriter: Rewriter::new(socket(Sibling::Rewrite)?, timeout),
            bounce: Pool::new(socket(Sibling::Bounce)?, timeout),
            trace: Pool::new(socket(Sibling::Trace)?, timeout),
            committer: RefCell::new(None),
            notifier: Notifier::new(socket(Sibling::Qmgr)?),
            arrived: RefCell::default(),
            arrival: Notify::new(),
            telling: Mutex::new(()),
            flow,
        })
    }

    /// Takes one message. `None`: the client is gone, and its message with it.
    async fn message(&self, channel: &mut Server<Protocol>, flags: Flags) -> Option<()> {
        let token = self.take_token().await;
        let mut incoming = match Incoming::open(self, token, flags) {
            Ok(incoming) => incoming,
            Err(error) => {
                logging::warning!("mail_queue_enter: {error}", error = text::system_error(&error));
                return None;
            }
        };
        channel.send(&Reply::Opened { queue_id: incoming.id().clone() }).await.ok()?;
        loop {
            match self.next(channel, incoming.id()).await {
                Some(Request::Records(records)) => incoming.take(&records).await,
                Some(Request::Finish) => break,
                Some(Request::Abort) => {
                    incoming.cancel();
                    return Some(());
                }
                Some(Request::Open { .. }) => {
                    logging::warning!("{}: cleanup client: a message within a message", incoming.id());
                    incoming.cancel();
                    return None;
                }
                None => {
                    incoming.cancel();
                    return None;
                }
            }
        }
        let outcome = incoming.finish().await;
        channel.send(&Reply::Done(outcome)).await.ok()
    }

    /// The next request within a message.
    async fn next(&self, channel: &mut Server<Protocol>, id: &QueueId) -> Option<Request> {
        match channel.receive().await {
            Ok(request) => request,
            Err(error) => {
                logging::warning!("{id}: cleanup client: {error}");
                None
            }
        }
    }

    /// in_flow_delay: when mail comes in faster than it goes out, each message waits a moment.
    async fn take_token(&self) -> Token<'_> {
        let delay = self.settings.flow_delay;
        let Some(flow) = self.flow.as_ref().filter(|_| !delay.is_zero()) else { return Token(None) };
        if flow.take() {
            return Token(Some(flow));
        }
        tokio::time::sleep(delay).await;
        Token(None)
    }

    /// The thread that waits for the disk; started with the first message, inside the sandbox.
    pub fn committer(&self) -> std::io::Result<Committer> {
        let mut committer = self.committer.borrow_mut();
        if let Some(committer) = &*committer {
            return Ok(committer.clone());
        }
        Ok(committer.insert(Committer::start(self.settings.spool.storage())?).clone())
    }

    /// A message is complete in the incoming queue.
    pub fn arrived(&self, id: QueueId) {
        self.arrived.borrow_mut().push(id);
        self.arrival.notify_one();
    }

    /// Tells qmgr of messages, those of one turn of the loop together. A notification that is lost costs time, no mail:
    /// qmgr finds the file when it looks into the incoming queue.
    async fn notify(self: Rc<Self>) {
        loop {
            self.arrival.notified().await;
            // Others of this turn may have been committed together with the first.
            tokio::task::yield_now().await;
            self.announce().await;
        }
    }

    /// Tells what waits to be told, after whoever is telling now.
    async fn announce(&self) {
        let _turn = self.telling.lock().await;
        let ids = self.arrived.take();
        if !ids.is_empty()
            && let Err(error) = self.notifier.arrived_all(ids).await
        {
            logging::warning!("connect to {}: {error}", self.notifier.path().display());
        }
    }
}

/// The right to bring one message to qmgr. It goes back when no message comes of it; qmgr replaces those that were used.
pub struct Token<'w>(Option<&'w Flow>);

impl Token<'_> {
    /// Nothing to give back.
    #[cfg(test)]
    pub fn none() -> Self {
        Token(None)
    }

    /// The message is on its way to qmgr.
    pub fn spend(mut self) {
        self.0 = None;
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        if let Some(flow) = self.0 {
            flow.put(1);
        }
    }
}
