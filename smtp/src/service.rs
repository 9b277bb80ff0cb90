//! The worker: settings before the sandbox, then deliveries, many at the same time.

use std::rc::Rc;

use config::Parameter;
use config::param::twin;
use daemon::{Client, Context, Sibling, StartError};
use delivery::postmaster::Postmaster;
use dns::Resolver;
use ipc::Pool;
use ipc::cleanup::Cleanup;
use smtp_client::Protocol;

use crate::configure;
use crate::deliver::Agent;
use crate::notices::Notices;

/// An agent, and the settings that all agents share.
pub struct Worker {
    agent: Agent,
    delivery: Rc<delivery::Settings>,
    cleanup: Pool<Cleanup>,
    postmaster: Postmaster,
}

impl daemon::Worker for Worker {
    const REFUSES: bool = true;

    fn start(context: &Context) -> Result<Self, StartError> {
        let protocol = Protocol::of_program(context.program)
            .ok_or_else(|| StartError::new(format!("{}: neither smtp nor lmtp", context.program)))?;
        let mut settings = configure::settings(context, protocol)?;
        let postmaster = Postmaster::read(&context.config, protocol.client())?;
        settings.notices = Rc::new(Notices::of(&postmaster));
        let cleanup = Pool::new(context.socket(Sibling::Cleanup)?, context.ipc_timeout());
        let mut resolver =
            Resolver::of_instance(context.config.directory(), context.protocols)?.searching(settings.lookup.searching);
        if let Some(probe) = configure::probe(context, settings.lookup)? {
            resolver = resolver.probing(probe);
        }
        if !settings.record_filter.is_empty() {
            resolver = resolver.filtering(lookup::record_filter(settings.record_filter.clone()));
        }
        let filter = twin::DELIVERY_STATUS_FILTER.of(protocol.into());
        let delivery = delivery::Settings::read(&context.config)?.filtered_by(&context.config, filter)?;
        let delivery = Rc::new(delivery.without(configure::withheld(context, protocol)));
        Ok(Self { agent: Agent::new(settings, resolver), delivery, cleanup, postmaster })
    }

    /// One connection of qmgr: one delivery after the other.
    async fn session(self: Rc<Self>, client: Client) {
        let Some(mut session) = delivery::Session::new(client, Rc::clone(&self.delivery)) else { return };
        while let Some(mut job) = session.next().await {
            if let Err(why) = self.agent.deliver(&mut job).await {
                // As if this process had ended, for qmgr and for who reads the log; other deliveries go on.
                logging::emit_text(logging::Severity::Fatal, format_args!("{why}"));
                self.tell_postmaster().await;
                return;
            }
            let reported = session.report(job).await;
            self.tell_postmaster().await;
            if reported.is_none() {
                return;
            }
        }
    }

    fn changed_table(&self) -> Option<String> {
        let settings = &self.agent.settings;
        let changed = settings.tls.changed().map(str::to_owned);
        let changed = changed.or_else(|| settings.sasl.as_ref().and_then(|sasl| sasl.changed()));
        let changed = changed.or_else(|| settings.outgoing.changed().map(str::to_owned));
        let changed = changed.or_else(|| settings.quirks.changed().map(str::to_owned));
        let changed = changed.or_else(|| settings.record_filter.changed().map(str::to_owned));
        let changed = changed.or_else(|| self.delivery.filter.changed());
        changed.or_else(|| settings.reuse.destinations.changed()).or_else(|| self.agent.resolver.changed())
    }

    fn finish(&self) {
        self.agent.cache.close();
    }
}

impl Worker {
    /// notify_classes
    async fn tell_postmaster(&self) {
        for notice in self.agent.settings.notices.take() {
            self.postmaster.tell(&self.cleanup, &notice).await;
        }
    }
}
