//! The server as master runs it: which settings the next client gets.

use std::path::Path;
use std::rc::Rc;

use config::{Origin, param};
use daemon::{Client, Context, Peer as Remote, StartError, Stream, Worker};

use crate::session::Session;
use crate::worker::Smtpd;

/// A server that master may put under stress.
pub struct Server {
    calm: Rc<Smtpd>,
    /// With `stress = yes`, for clients that come while all workers of the service are full. Nothing for a service that
    /// master does not tell of stress: it gives those no `-o stress=`.
    stressed: Option<Rc<Smtpd>>,
}

impl Worker for Server {
    const REFUSES: bool = true;

    fn start(context: &Context) -> Result<Server, StartError> {
        let (config, name) = (&context.config, param::STRESS.name());
        // Relative: the working directory is the queue directory.
        let server = |config| -> Result<Smtpd, StartError> {
            let mut server = Smtpd::new(config, context.ipc_timeout(), Path::new(""))?;
            server.verbose = context.verbose > 0;
            if server.tables.addresses.system_users {
                server.users = Some(context.porter()?);
            }
            Ok(server)
        };
        if config.setting(name).is_none_or(|setting| setting.origin != Origin::Override) {
            return Ok(Server { calm: Rc::new(server(config)?), stressed: None });
        }
        let calm = server(&config.with(name, ""))?;
        let stressed = calm.with_settings(&config.with(name, "yes"))?;
        Ok(Server { calm: Rc::new(calm), stressed: Some(Rc::new(stressed)) })
    }

    /// A session keeps the settings that it began with.
    async fn session(self: Rc<Self>, client: Client) {
        let (Stream::Tcp(stream), Remote::Host { remote, local }) = (client.stream, client.peer) else {
            logging::repeated!("service {}: only clients of type inet are served", client.context.service_name);
            return;
        };
        let stressed = self.stressed.as_ref().filter(|_| client.context.stress());
        Session::run(stressed.unwrap_or(&self.calm).clone(), stream, remote, local).await;
    }

    fn changed_table(&self) -> Option<String> {
        self.calm.changed_table()
    }
}
