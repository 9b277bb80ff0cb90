//! The server as master runs it: settings, lists of clients, and the way into cleanup, for all sessions.

use std::rc::Rc;

use config::{Config, MailSource, param};
use daemon::{Client, Context, Peer as Remote, Sibling, StartError, Stream, Worker};
use dns::Resolver;
use ipc::Pool;
use ipc::cleanup::{Entrance, Flags};
use lookup::{MatchList, ParentStyle};
use receiving::Overrides;

use crate::session::Session;
use crate::settings::Settings;

/// The server.
pub struct Qmqpd {
    /// main.cf
    pub settings: Settings,
    /// qmqpd_authorized_clients
    pub clients: MatchList,
    /// debug_peer_list
    pub debug_peers: MatchList,
    /// What is said goes to the log, whoever the client is: `-v` in master.cf.
    pub verbose: bool,
    /// The name service.
    pub resolver: Resolver,
    /// Takes messages.
    pub cleanup: Entrance,
    /// What cleanup does with the messages.
    pub flags: Flags,
}

impl Worker for Qmqpd {
    fn start(context: &Context) -> Result<Qmqpd, StartError> {
        let config = &context.config;
        // receive_override_options; there is no client for no_unknown_recipient_checks, which would be told.
        let overrides = Overrides::read(config, MailSource::Qmqpd, Flags::EXTERNAL)?;
        Ok(Qmqpd {
            settings: Settings::read(config)?,
            clients: hosts(config, param::QMQPD_AUTHORIZED_CLIENTS.name())?,
            debug_peers: hosts(config, param::DEBUG_PEER_LIST.name())?,
            verbose: context.verbose > 0,
            resolver: Resolver::from_system(context.protocols)?,
            cleanup: Entrance::new(Pool::new(context.socket(Sibling::Cleanup)?, context.ipc_timeout())),
            flags: overrides.flags,
        })
    }

    async fn session(self: Rc<Self>, client: Client) {
        let (Stream::Tcp(stream), Remote::Host { remote, local }) = (client.stream, client.peer) else {
            logging::repeated!("service {}: only clients of type inet are served", client.context.service_name);
            return;
        };
        Session::run(&self, stream, remote, local).await;
    }

    fn changed_table(&self) -> Option<String> {
        self.clients.changed().or_else(|| self.debug_peers.changed()).or_else(|| self.resolver.changed())
    }
}

fn hosts(config: &Config, name: &str) -> Result<MatchList, StartError> {
    let list = config.lookup(name)?.unwrap_or_default();
    Ok(MatchList::open(config, name, &list, ParentStyle::in_config(config, name))?)
}
