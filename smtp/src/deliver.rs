//! One message: server after server, until every recipient has its result.
//!
//! A recipient that a server defers goes to the next server, as long as there is one; the reason is logged then, and
//! the last reason is the one that counts.

use std::rc::Rc;

use delivery::{Connection, Finding, Job, Timestamp, flags};
use dns::Resolver;
use dsn::{Action, Status};
use net::HostPort;
use smtp_protocol::Reply;

use crate::cache::Cache;
use crate::destination::Destination;
use crate::failure::{Failure, Subject, status_of, text_of};
use crate::find;
use crate::race;
use crate::server::Server;
use crate::session::Session;
use crate::settings::{Protocol, Settings};
use crate::transaction::transact;

/// What deliveries share in one worker.
#[derive(Clone)]
pub struct Agent {
    /// What main.cf says.
    pub settings: Rc<Settings>,
    /// Asks name servers.
    pub resolver: Resolver,
    /// Sessions that wait.
    pub cache: Rc<Cache>,
    /// Address families that lost a race.
    pub families: Rc<race::Memory>,
}

impl Agent {
    /// An agent with an empty cache.
    pub fn new(settings: Settings, resolver: Resolver) -> Self {
        let settings = Rc::new(settings);
        let cache = Rc::new(Cache::new(Rc::clone(&settings)));
        Self { cache, settings, resolver, families: Rc::default() }
    }

    /// Delivers a message to all recipients of a job, or finds out why not.
    pub async fn deliver(&self, job: &mut Job) {
        let nexthops = self.nexthops(job);
        let mut last = None;
        for (at, nexthop) in nexthops.iter().enumerate() {
            let (is_busy, is_last_nexthop) = (self.cache.is_busy(nexthop), at + 1 == nexthops.len());
            let attempt = Attempt { agent: self, nexthop, is_busy, is_last_nexthop };
            last = attempt.run(job).await.or(last);
            if job.open_recipients().is_empty() {
                return;
            }
        }
        let failure = last
            .unwrap_or_else(|| Failure::of_host(Status::new(4, 3, 0), "server unavailable or unable to receive mail"));
        self.give_up(job, &failure);
    }

    /// The nexthop of the request, which may be several, and the hosts to try after them.
    fn nexthops(&self, job: &Job) -> Vec<String> {
        let nexthop = String::from_utf8_lossy(&job.request().nexthop);
        let listed = nexthop.split([',', ' ', '\t']).filter(|word| !word.is_empty()).map(str::to_owned);
        // smtp_fallback_relay
        listed.chain(self.settings.fallback.iter().cloned()).collect()
    }

    fn give_up(&self, job: &mut Job, failure: &Failure) {
        if failure.blames_host() {
            job.blame_host(failure.status, &failure.reason);
        }
        let tls = self.settings.protection.feature(false);
        job.finish_rest(&finding_of(failure, Connection { tls, ..Connection::default() }));
    }
}

/// The attempt to deliver by one nexthop.
struct Attempt<'a> {
    agent: &'a Agent,
    nexthop: &'a str,
    /// There was mail for it just before.
    is_busy: bool,
    is_last_nexthop: bool,
}

impl Attempt<'_> {
    /// Tries the servers of the nexthop; gives the failure that remains for recipients that are still open.
    async fn run(&self, job: &mut Job) -> Option<Failure> {
        let settings = &self.agent.settings;
        if let Some(failure) = settings.protection.obstacle(self.nexthop, job.request().send_options) {
            return Some(failure);
        }
        let destination = match Destination::parse(self.nexthop, settings.protocol, &settings.services) {
            Ok(destination) => destination,
            Err(error) => {
                logging::warning!("{}: {error}", job.request().queue_id);
                return Some(Failure::of_message(Status::new(4, 3, 5), error.to_string()));
            }
        };
        let mut tried = Vec::new();
        let mut last = None;
        if self.may_reuse(job) {
            while let Some(session) = self.agent.cache.take(self.nexthop) {
                let endpoint = session.server.endpoint.clone();
                let (failure, stale) = self.over(session, job, false).await;
                last = failure.or(last);
                if job.open_recipients().is_empty() {
                    return None;
                }
                if !stale {
                    tried.push(endpoint);
                    break;
                }
            }
        }
        let servers = match find::servers(&self.agent.resolver, settings, &destination).await {
            Ok(servers) => servers,
            Err(failure) => return Some(failure),
        };
        let mut servers: Vec<_> = servers.into_iter().filter(|server| !tried.contains(&server.endpoint)).collect();
        self.agent.families.apply(self.nexthop, &mut servers);
        self.servers(servers, job).await.or(last)
    }

    async fn servers(&self, mut servers: Vec<Server>, job: &mut Job) -> Option<Failure> {
        let settings = &self.agent.settings;
        let mut last = None;
        let mut sessions = 0;
        while !servers.is_empty() {
            let session = match self.session(&mut servers, job).await {
                Ok(session) => session,
                // A server that does not want to talk at all speaks for its domain.
                Err(failure) if failure.is_permanent() => return Some(failure),
                Err(failure) => {
                    last = Some(failure);
                    continue;
                }
            };
            sessions += 1;
            // smtp_mx_session_limit
            let is_last = servers.is_empty() || (settings.session_limit > 0 && sessions >= settings.session_limit);
            let (server, reused) = (session.server.clone(), session.uses > 0);
            let (mut failure, stale) = self.over(session, job, is_last && self.is_last_nexthop).await;
            if stale && reused {
                failure = match Session::open(&server, settings).await {
                    Ok(session) => self.over(session, job, is_last && self.is_last_nexthop).await.0,
                    Err(failure) => Some(failure),
                };
            }
            last = failure.or(last);
            if job.open_recipients().is_empty() || is_last {
                break;
            }
        }
        last
    }

    /// A session with the first server that can be had, which leaves the list; so do those that failed. A server that
    /// only was slow stays, and its family is tried last for a while.
    async fn session(&self, servers: &mut Vec<Server>, job: &Job) -> Result<Session, Failure> {
        let server = servers.remove(0);
        if self.may_reuse(job)
            && let Some(session) = self.agent.cache.take_from(&server.endpoint)
        {
            return Ok(session);
        }
        let settings = &self.agent.settings;
        let race = race::connect_first(&server, race::rival_of(&server, servers), settings).await;
        servers.retain(|other| !race.has_tried(other));
        if !race.has_tried(&server) {
            if let Some(family) = server.family() {
                self.agent.families.lost(self.nexthop, family);
            }
            servers.push(server);
        }
        match (race.winner, race.failed.into_iter().next_back()) {
            (Some((stream, winner)), _) => Session::begin(stream, &winner, settings).await,
            (None, Some((failure, _))) => Err(failure),
            // cannot fail: a race ends with a connection or with failures
            (None, None) => Err(Failure::of_host(Status::new(4, 4, 1), "server unavailable or unable to receive mail")),
        }
    }

    /// One transaction over one session. Gives the last failure that another server may mend, and whether the session
    /// was found dead before anything was tried.
    async fn over(&self, mut session: Session, job: &mut Job, is_last: bool) -> (Option<Failure>, bool) {
        session.uses += 1;
        session.queue_id.clone_from(&job.request().queue_id);
        let connection = Connection {
            ready: Some(Timestamp::now()),
            uses: session.uses,
            tls: self.agent.settings.protection.feature(true),
        };
        let results = transact(&mut session, &self.agent.settings, job, &job.open_recipients()).await;
        if results.stale {
            return (None, true);
        }
        let relay = session.server.relay();
        let mut last: Option<Failure> = None;
        for (index, result) in results.recipients {
            match result {
                Ok(reply) => self.sent(job, index, &session, &reply, &relay, &connection),
                Err(failure) if failure.is_permanent() || is_last => {
                    if failure.blames_host() {
                        job.blame_host(failure.status, &failure.reason);
                    }
                    job.finish(index, &finding_of(&failure, connection.clone()));
                }
                Err(failure) => {
                    let known = last.as_ref().is_some_and(|known| known.reason == failure.reason);
                    if !known || failure.subject == Subject::Recipient {
                        logging::info!("{}: {}", job.request().queue_id, failure.reason);
                    }
                    last = Some(failure);
                }
            }
        }
        self.put_away(session, job, results.usable);
        (last, false)
    }

    fn sent(&self, job: &mut Job, index: usize, session: &Session, reply: &Reply, relay: &str, over: &Connection) {
        let text = text_of(reply);
        let finding = Finding::sent(status_of(reply), text.clone(), relay)
            .with_reply(text, session.server.name.clone())
            .with_action(if self.agent.settings.protocol == Protocol::Lmtp {
                Action::Delivered
            } else {
                Action::Relayed
            })
            .over(over.clone());
        // A server that takes DSN options reports the success itself (RFC 3461 5.2.2).
        let delegated = session.extensions.dsn && !job.is_probe();
        let Some(recipient) = job.request().recipients.get(index).filter(|_| delegated) else {
            job.finish(index, &finding);
            return;
        };
        job.log(&recipient.address, &recipient.original, &finding);
        let outcome = delivery::Outcome { action: String::new(), ..job.outcome(&finding) };
        job.settle(index, outcome);
    }

    fn put_away(&self, session: Session, job: &Job, usable: bool) {
        let reuse = &self.agent.settings.reuse;
        // smtp_connection_cache_on_demand, smtp_connection_cache_destinations
        let demanded = self.is_busy || job.request().flags & flags::CACHE_STORE != 0;
        let wanted = (reuse.on_demand && demanded) || self.is_listed();
        if !usable {
            drop(session);
        } else if wanted {
            self.agent.cache.put(self.nexthop, session);
        } else {
            self.agent.cache.end(session);
        }
    }

    fn may_reuse(&self, job: &Job) -> bool {
        let demanded = self.is_busy || job.request().flags & (flags::CACHE_LOAD | flags::CACHE_STORE) != 0;
        (self.agent.settings.reuse.on_demand && demanded) || self.is_listed()
    }

    /// smtp_connection_cache_destinations: domains and hosts, without brackets and port.
    fn is_listed(&self) -> bool {
        let listed = &self.agent.settings.reuse.destinations;
        if listed.is_empty() {
            return false;
        }
        let parsed = HostPort::parse_server(self.nexthop).ok().and_then(|server| server.host);
        let name = parsed.unwrap_or_else(|| self.nexthop.trim_start_matches("unix:").to_owned());
        listed.matches(name.as_bytes()).unwrap_or(false)
    }
}

fn finding_of(failure: &Failure, connection: Connection) -> Finding {
    let finding = Finding::from_status(failure.status, failure.reason.clone(), failure.relay.clone()).over(connection);
    match &failure.reply {
        Some(reply) => finding.with_reply(reply.clone(), failure.server.clone()),
        None => Finding { remote_mta: failure.server.clone(), ..finding },
    }
}
