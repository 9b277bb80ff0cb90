//! The daemon: its clients, one message after the other.

use std::rc::Rc;
use std::time::Duration;

use config::Config;
use daemon::{Client, Context, Flow, Sibling, StartError};
use ipc::Server;
use ipc::cleanup::{Cleanup as Protocol, Flags, Reply, Request};
use ipc::qmgr::Notifier;
use queue::QueueId;

use crate::SERVICE;
use crate::handover::Handover;
use crate::incoming::Incoming;
use crate::site::Site;

/// What all messages share.
pub struct Cleanup {
    /// What is the same for all of them.
    pub site: Site,
    /// Their way out.
    pub handover: Handover,
}

impl daemon::Worker for Cleanup {
    const REFUSES: bool = true;

    fn start(context: &Context) -> Result<Self, StartError> {
        // The zone is read now: the sandbox has no /etc.
        message::date::rfc5322(0);
        Cleanup::new(&context.config, context.ipc_timeout(), context.take_flow())
    }

    fn background(self: &Rc<Self>, _: &Rc<Context>) {
        let worker = Rc::clone(self);
        tokio::task::spawn_local(async move { worker.handover.notify().await });
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
            self.handover.announce().await;
        }
    }

    fn changed_table(&self) -> Option<String> {
        self.site.tables.changed().map(str::to_owned)
    }
}

impl Cleanup {
    /// Reads the settings and opens the tables.
    pub fn new(config: &Config, timeout: Duration, flow: Option<Flow>) -> Result<Self, StartError> {
        let site = Site::new(config, timeout)?;
        let notifier = Notifier::new(SERVICE.socket(Sibling::Qmgr, config)?);
        let handover = Handover::new(notifier, flow, site.settings.flow_delay);
        Ok(Cleanup { site, handover })
    }

    /// Takes one message. `None`: the client is gone, and its message with it.
    async fn message(&self, channel: &mut Server<Protocol>, flags: Flags) -> Option<()> {
        let token = self.handover.token().await;
        let mut incoming = match Incoming::open(&self.site, token, flags) {
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
                    logging::warning!(id: incoming.id(), "cleanup client: a message within a message");
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
                logging::warning!(id: id, "cleanup client: {error}");
                None
            }
        }
    }
}
