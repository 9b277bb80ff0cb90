//! What all sessions of the process share: the rules of the site, and the services that are asked.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use config::{Config, MailSource, param};
use daemon::{Porter, Sibling, StartError, UnixSockets};
use delivery::postmaster::Postmaster;
use dns::{LookupError, MailExchanger, Resolver};
use ipc::Pool;
use ipc::anvil::Counter;
use ipc::cleanup::{Entrance, Flags};
use ipc::flush::Flush;
use ipc::rewrite::{Context as RewriteContext, Resolved, Rewriter};
use ipc::verify::{Knowledge, Verifier};
use lookup::{Maps, OpenFlags};
use net::{Family, Server};
use policy::Service;
use receiving::Overrides;

use crate::SERVICE;
use crate::authentication::Authentication;
use crate::filters::Milters;
use crate::look_ups::{LookUps, Unresolved};
use crate::missing::Missing;
use crate::policy::Policies;
use crate::proxy::Filter;
use crate::reach::Reach;
use crate::restriction::Rules;
use crate::tls::Tls;

/// The server.
pub struct Smtpd {
    /// What the site has to say.
    pub rules: Rules,
    /// What main.cf asks for and this server does not have.
    pub missing: Missing,
    /// Mail filters, if there are any.
    pub milters: Option<Milters>,
    /// Where clients log in.
    pub authentication: Option<Authentication>,
    /// Who has a word about clients beside the site.
    pub policies: Policies,
    /// The name service.
    pub resolver: Resolver,
    /// smtpd_dns_reply_filter.
    record_filter: Maps,
    /// Who is asked which users the system has; with `unix:passwd.byname` in local_recipient_maps.
    pub users: Option<Rc<Porter>>,
    /// Says where addresses lead.
    pub rewriter: Rewriter,
    /// Knows which addresses mail can be delivered to.
    pub verifier: Verifier,
    /// Takes messages.
    pub cleanup: Entrance,
    /// What cleanup does with the messages. receive_override_options
    pub cleanup_flags: Flags,
    /// The filter that hears messages before they are in the queue. smtpd_proxy_filter
    pub proxy: Option<Rc<Filter>>,
    /// content_filter; empty for none.
    pub content_filter: Vec<u8>,
    /// Is told of errors. notify_classes
    pub postmaster: Postmaster,
    /// Has the mail of a domain delivered now, if there are lists at all. fast_flush_domains
    pub flush: Option<Flush>,
    /// Counts clients.
    pub anvil: Rc<Counter>,
    /// The dialogue with every client goes to the log: `-v` in master.cf.
    pub verbose: bool,
    /// Name of the service in master.cf.
    pub service_name: String,
    /// TLS, unless its level is none.
    pub tls: Option<Tls>,
    /// Addresses have no case beyond ASCII either. smtputf8_enable
    utf8: bool,
    free_space: Cell<Option<(Instant, u64)>>,
    /// Messages that have begun.
    messages: Cell<u64>,
}

/// How long the free space of the queue's file system is believed.
const SPACE_MAX_AGE: Duration = Duration::from_secs(1);

/// The name service as it is asked, and the tables that say which of its records count.
fn resolver(config: &Config) -> Result<(Resolver, Maps), StartError> {
    let listed: String = config.get(param::SMTPD_DNS_REPLY_FILTER)?;
    let maps = Maps::open(config, param::SMTPD_DNS_REPLY_FILTER.name(), &listed, OpenFlags::default())?;
    let resolver = Resolver::from_system(config.protocols()?)?;
    let resolver = if maps.is_empty() { resolver } else { resolver.filtering(lookup::record_filter(maps.clone())) };
    Ok((resolver, maps))
}

impl Smtpd {
    /// A server for this configuration; the sockets of other services are below `queue_directory`. `sockets`: how
    /// others are reached, if there are any.
    ///
    /// # Errors
    /// A setting that the server cannot work with, or one that would make it an open relay.
    pub fn new(
        config: &Config,
        ipc_timeout: Duration,
        queue_directory: &Path,
        sockets: impl Fn() -> Result<UnixSockets, StartError>,
    ) -> Result<Smtpd, StartError> {
        // The client is still there: it is told, not sent a notification. Filters are asked by this server.
        let flags = Flags::EXTERNAL.without(Flags::MILTER);
        let overrides = Overrides::read(config, MailSource::Smtpd, flags)?;
        let socket = |sibling| SERVICE.socket(sibling, config).map(|path| queue_directory.join(path));
        let milters = if overrides.milters { Milters::read(config, queue_directory, &sockets)? } else { None };
        let (resolver, record_filter) = resolver(config)?;
        let rules = Rules::read(config)?;
        let reach = |is_far: bool| -> Result<Reach, StartError> {
            let sockets = if is_far { sockets()? } else { UnixSockets::default() };
            Ok(Reach { queue_directory: queue_directory.to_owned(), sockets, resolver: resolver.clone() })
        };
        let is_far = |server: &Server| matches!(server, Server::Unix(path) if path.is_absolute());
        let level = smtp_server::Settings::read(config)?.tls;
        Ok(Smtpd {
            missing: Missing::read(config),
            authentication: Authentication::read(config, |server| reach(is_far(server)))?,
            policies: Policies::new(reach(rules.services.all().iter().any(|service| is_far(&service.server)))?),
            proxy: Filter::read(config, |server| reach(is_far(server)))?.map(Rc::new),
            rules,
            milters,
            resolver,
            record_filter,
            users: None,
            rewriter: Rewriter::new(socket(Sibling::Rewrite)?, ipc_timeout),
            verifier: Verifier::new(socket(Sibling::Verify)?),
            cleanup: Entrance::new(Pool::new(socket(Sibling::Cleanup)?, ipc_timeout)),
            cleanup_flags: overrides.flags,
            content_filter: config.get(param::CONTENT_FILTER)?.into_bytes(),
            postmaster: Postmaster::read(config, "SMTP server")?,
            flush: match config.lookup("fast_flush_domains")?.unwrap_or_default().trim() {
                "" => None,
                _ => Some(Flush::new(socket(Sibling::Flush)?)),
            },
            anvil: Counter::new(socket(Sibling::Anvil)?),
            verbose: false,
            service_name: config.get(param::SERVICE_NAME)?,
            tls: Tls::read(config, level, queue_directory, ipc_timeout)?,
            utf8: config.get(param::SMTPUTF8_ENABLE)?,
            free_space: Cell::new(None),
            messages: Cell::new(0),
        })
    }

    /// A table that has changed on disk.
    pub fn changed_table(&self) -> Option<String> {
        let authentication = || self.authentication.as_ref().and_then(Authentication::changed_table);
        let milters = || self.milters.as_ref().and_then(Milters::changed);
        self.rules
            .changed_table()
            .or_else(milters)
            .or_else(authentication)
            .or_else(|| self.record_filter.changed().map(str::to_owned).or_else(|| self.resolver.changed()))
    }

    /// A name for the message that begins, which no other message has: process, time, number.
    pub fn instance(&self) -> String {
        let number = self.messages.replace(self.messages.get() + 1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{:x}.{:x}.{:x}.{number:x}", sys::process::id(), now.as_secs(), now.subsec_micros())
    }

    /// Bytes that are free for the queue; `None` when the system does not say.
    pub fn free_space(&self) -> Option<u64> {
        match self.free_space.get() {
            Some((since, bytes)) if since.elapsed() < SPACE_MAX_AGE => Some(bytes),
            _ => {
                let status = nix::sys::statvfs::statvfs(".").ok()?;
                let bytes = status.blocks_available().saturating_mul(status.fragment_size());
                self.free_space.set(Some((Instant::now(), bytes)));
                Some(bytes)
            }
        }
    }
}

impl LookUps for Smtpd {
    async fn resolve(&self, sender: Option<&[u8]>, address: &[u8]) -> Result<Resolved, Unresolved> {
        let failed = |error| {
            logging::warning!("problem talking to service rewrite: {error}");
            Unresolved
        };
        let sender = sender.unwrap_or_default();
        let resolved = if address::is_standard(address) {
            self.rewriter.resolve(sender, address).await
        } else {
            let standard = self.rewriter.rewrite(RewriteContext::Local, address).await.map_err(failed)?;
            self.rewriter.resolve(sender, &standard).await
        };
        match resolved {
            Ok(resolved) if resolved.failed => Err(Unresolved),
            Ok(mut resolved) => {
                resolved.recipient = lookup::fold::fold(&resolved.recipient, self.utf8);
                Ok(resolved)
            }
            Err(error) => Err(failed(error)),
        }
    }

    async fn verify(&self, address: &[u8]) -> Option<Knowledge> {
        let known = self.verifier.query(address).await;
        known.map_err(|error| logging::repeated!("verify service failure: {error}")).ok()
    }

    async fn mail_exchangers(&self, domain: &str) -> Result<Vec<MailExchanger>, LookupError> {
        self.resolver.mx(domain).await
    }

    async fn name_servers(&self, zone: &str) -> Result<Vec<String>, LookupError> {
        self.resolver.ns(zone).await
    }

    async fn addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, LookupError> {
        self.resolver.addresses(name, family).await
    }

    async fn hosts(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        self.resolver.native_hosts(name).await
    }

    async fn listed(&self, query: &str) -> Result<Vec<Ipv4Addr>, LookupError> {
        self.resolver.list_addresses(query).await
    }

    async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, LookupError> {
        self.resolver.txt(name).await
    }

    async fn policy(&self, service: &Service, request: &[u8]) -> Option<Vec<u8>> {
        self.policies.ask(service, request).await
    }

    async fn has_user(&self, name: &[u8]) -> Result<bool, String> {
        let Some(users) = &self.users else { return Err("no user database".to_owned()) };
        users.has_user(name).await.map_err(|error| error.to_string())
    }
}
