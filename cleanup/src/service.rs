//! The daemon: its clients, one message after the other.

use std::rc::Rc;
use std::time::Duration;

use config::Config;
use daemon::{Client, Context, Flow, Sibling, StartError, UnixSockets};
use ipc::Server;
use ipc::cleanup::{Cause, Cleanup as Protocol, Flags, Outcome, Place, Reply, Request};
use ipc::qmgr::Notifier;
use queue::QueueId;

use crate::SERVICE;
use crate::handover::{Handover, Tokens};
use crate::incoming::Incoming;
use crate::kept::Kept;
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
        let sockets = || context.sockets_and_servers();
        Cleanup::new(&context.config, context.ipc_timeout(), context.take_flow(), sockets)
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
        let mut kept = None;
        while let Some(request) = context.next_request(&mut channel).await {
            let ended = match request {
                Request::Open { flags, place } => self.message(&mut channel, flags, place, kept.take()).await,
                Request::Whole { flags, place, records } => {
                    let outcome = self.whole(flags, place, kept.take(), &records).await;
                    Some(Ended { outcome: Some(outcome), more: true })
                }
                Request::Records(_) | Request::Filter(_) | Request::Finish { .. } | Request::Abort => {
                    logging::warning!("cleanup client: a message without a beginning");
                    None
                }
            };
            let Some(Ended { outcome, more }) = ended else { break };
            let Some(outcome) = outcome else { continue };
            kept = if more && !context.is_draining() { Kept::new(&self.site) } else { None };
            let next = kept.as_ref().map(|kept| kept.place().clone());
            if channel.send(&Reply::Done { outcome, next }).await.is_err() {
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

/// What became of a message, unless the client has given it up, and whether another one will follow.
struct Ended {
    outcome: Option<Outcome>,
    more: bool,
}

impl Cleanup {
    /// Reads the settings and opens the tables. `sockets`: how filters are reached, if there are any.
    pub fn new(
        config: &Config,
        timeout: Duration,
        flow: Option<Flow>,
        sockets: impl FnOnce() -> Result<UnixSockets, StartError>,
    ) -> Result<Self, StartError> {
        let site = Site::new(config, timeout, sockets)?;
        let notifier = Notifier::new(SERVICE.socket(Sibling::Qmgr, config)?);
        let handover = Handover::new(notifier, flow.map(|flow| Tokens::new(flow, &site.settings)));
        Ok(Cleanup { site, handover })
    }

    /// Takes one message. `None`: the client is gone, and its message with it.
    async fn message(
        &self,
        channel: &mut Server<Protocol>,
        flags: Flags,
        place: Option<Place>,
        kept: Option<Kept>,
    ) -> Option<Ended> {
        let mut incoming = self.open(flags, place, kept).await?;
        channel.send(&Reply::Opened { queue_id: incoming.id().clone() }).await.ok()?;
        let more = loop {
            match self.next(channel, incoming.id()).await {
                Some(Request::Records(records)) => incoming.take(&records).await,
                Some(Request::Filter(filter)) => {
                    let connection = channel.take_descriptor();
                    if let Err(why) = incoming.take_filter(*filter, connection) {
                        logging::warning!(id: incoming.id(), "cleanup client: {why}");
                        incoming.cancel();
                        return None;
                    }
                }
                Some(Request::Finish { more }) => break more,
                Some(Request::Abort) => {
                    incoming.cancel();
                    return Some(Ended { outcome: None, more: true });
                }
                Some(Request::Open { .. } | Request::Whole { .. }) => {
                    logging::warning!(id: incoming.id(), "cleanup client: a message within a message");
                    incoming.cancel();
                    return None;
                }
                None => {
                    incoming.cancel();
                    return None;
                }
            }
        };
        let (outcome, failed) = incoming.finish().await;
        for number in failed {
            channel.queue(&Reply::FilterFailed { number }).ok()?;
        }
        Some(Ended { outcome: Some(outcome), more })
    }

    /// Takes a message that comes as a whole.
    async fn whole(&self, flags: Flags, place: Place, kept: Option<Kept>, records: &[u8]) -> Outcome {
        let Some(mut incoming) = self.open(flags, Some(place), kept).await else {
            return Outcome::refused(Cause::Write, "");
        };
        incoming.take(records).await;
        // A message that comes at once brings no filters along.
        incoming.finish().await.0
    }

    /// Begins a message. `None` (logged): there is no file for it.
    async fn open(&self, flags: Flags, place: Option<Place>, kept: Option<Kept>) -> Option<Incoming<'_>> {
        let token = self.handover.token().await;
        let kept = place.map(|place| Kept::find(&self.site, kept, place)).transpose();
        match kept.and_then(|kept| Incoming::open(&self.site, token, flags, kept)) {
            Ok(incoming) => Some(incoming),
            Err(error) => {
                logging::warning!("mail_queue_enter: {error}", error = text::system_error(&error));
                None
            }
        }
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
