//! One message: server after server, until every recipient has its result.
//!
//! A recipient that a server defers goes to the next server, as long as there is one; the reason is logged then, and
//! the last reason is the one that counts.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::rc::Rc;

use delivery::{Connection, Finding, Job, Timestamp};
use dns::Resolver;
use dsn::{Action, Status};
use logging::library;
use net::Family;
use smtp_client::{Destination, Endpoint};
use smtp_protocol::Reply;

use crate::appeal::{self, Refused};
use crate::cache::Cache;
use crate::candidates::Candidates;
use crate::connect::connect;
use crate::failure::{Failure, Subject, status_of, text_of};
use crate::find;
use crate::nexthop::Nexthop;
use crate::outgoing::Addresses;
use crate::race;
use crate::sasl::Purpose;
use crate::session::Session;
use crate::settings::Settings;
use crate::tls::Audience;
use crate::transaction::transact;

mod keeping;
mod opening;

/// What deliveries share in one worker.
#[derive(Clone)]
pub struct Agent {
    /// What main.cf says.
    pub settings: Rc<Settings>,
    /// Asks name servers.
    pub resolver: Resolver,
    /// Sessions that wait.
    pub cache: Rc<Cache>,
    /// What worked lately.
    pub memory: Rc<race::Memory>,
    /// The notice of an old default has been given.
    is_told: Rc<Cell<bool>>,
}

impl Agent {
    /// An agent with an empty cache.
    pub fn new(settings: Settings, resolver: Resolver) -> Self {
        let settings = Rc::new(settings);
        let cache = Rc::new(Cache::new(Rc::clone(&settings)));
        Self { cache, settings, resolver, memory: Rc::default(), is_told: Rc::default() }
    }

    /// Delivers a message to all recipients of a job, or finds out why not.
    ///
    /// # Errors
    /// What this agent is told to do makes no sense: nothing is to be said about the recipients.
    pub async fn deliver(&self, job: &mut Job) -> Result<(), String> {
        if let Some(notice) = self.settings.tls.old_default.as_ref().filter(|_| !self.is_told.replace(true)) {
            logging::info!("{notice}");
        }
        let outgoing = &self.settings.outgoing;
        let addresses = outgoing.addresses(job.request()).await.map_err(|error| error.0)?;
        if !outgoing.admit(job, &addresses) {
            return Ok(());
        }
        let nexthops = Nexthop::list(job.request(), &self.settings);
        let mut last = None;
        for (at, nexthop) in nexthops.iter().enumerate() {
            let (is_busy, is_last_nexthop) = (self.cache.is_busy(&nexthop.name), at + 1 == nexthops.len());
            let attempt = Attempt {
                agent: self,
                nexthop,
                addresses: &addresses,
                is_busy,
                is_last_nexthop,
                may_appeal: Cell::new(self.settings.families.appeal),
                audience: RefCell::default(),
                refused: RefCell::default(),
                refused_over: Cell::default(),
            };
            let tried = attempt.run(job).await;
            if job.open_recipients().is_empty() {
                return Ok(());
            }
            match tried {
                Tried::Continue(failure) => last = failure.or(last),
                Tried::Break(failure) => {
                    last = Some(failure);
                    break;
                }
            }
        }
        let failure = last
            .unwrap_or_else(|| Failure::of_host(Status::new(4, 3, 0), "server unavailable or unable to receive mail"));
        if failure.subject == Subject::Agent {
            return Err(failure.reason);
        }
        match &self.settings.best_mx {
            Some(best) if failure.is_best_home() && best.leads_on(job) => best.pass_rest(job).await,
            _ => self.give_up(job, &failure),
        }
        Ok(())
    }

    fn give_up(&self, job: &mut Job, failure: &Failure) {
        if failure.blames_host() {
            job.blame_host(failure.status, &failure.reason);
        }
        job.finish_rest(&self.finding(failure, Connection::default()));
    }

    /// A failure as the recipients have it, with what became of TLS.
    fn finding(&self, failure: &Failure, mut connection: Connection) -> Finding {
        connection.tls = connection.tls.or_else(|| self.settings.tls.shown(failure.tls.as_deref()));
        finding_of(failure, connection)
    }
}

/// The attempt to deliver by one nexthop.
struct Attempt<'a> {
    agent: &'a Agent,
    nexthop: &'a Nexthop,
    /// Those of the message, as they leave.
    addresses: &'a Addresses,
    /// There was mail for it just before.
    is_busy: bool,
    is_last_nexthop: bool,
    /// smtp_retry_other_family_on_policy_reject: whether a refusal because of our address may be appealed against
    /// still.
    may_appeal: Cell<bool>,
    /// Who hears what becomes of TLS with the servers of the nexthop.
    audience: RefCell<Option<Rc<Audience>>>,
    /// Who was refused because of our address, and of which family that is.
    refused: RefCell<Vec<Refused>>,
    refused_over: Cell<Option<Family>>,
}

/// What is known when a nexthop has been tried: the last failure; `Break` when no other nexthop may take the mail.
type Tried = ControlFlow<Failure, Option<Failure>>;

/// What came of one transaction.
#[derive(Default)]
struct Ended {
    /// The last failure that another server may mend.
    failure: Option<Failure>,
    /// The session was found dead before anything was tried.
    stale: bool,
    /// Somebody has got the message.
    sent: bool,
    /// It was lost under TLS, and may be tried without.
    without_tls: bool,
}

impl Attempt<'_> {
    /// Tries the servers of the nexthop; gives the failure that remains for recipients that are still open.
    async fn run(&self, job: &mut Job) -> Tried {
        let settings = &self.agent.settings;
        let destination = match Destination::parse(&self.nexthop.name, settings.protocol, &settings.services) {
            Ok(destination) => destination,
            Err(error) => {
                logging::warning!(id: job.request().message.queue_id, "{error}");
                return Tried::Continue(Some(Failure::of_message(Status::new(4, 3, 5), error.to_string())));
            }
        };
        let (mut last, tried) = self.over_kept_sessions(job).await;
        if job.open_recipients().is_empty() {
            return Tried::Continue(None);
        }
        last = go_on(last)?;
        let mut candidates = match find::servers(&self.agent.resolver, settings, &destination).await {
            Ok(candidates) => candidates,
            Err(failure) => {
                self.accept_refusals(job, self.refused.take());
                // Mail that has come where it was to go must not leave by another way: it would come back.
                let is_loop = failure.subject == Subject::Loop;
                let failure = self.judge(failure);
                return if is_loop { Tried::Break(failure) } else { Tried::Continue(Some(failure)) };
            }
        };
        candidates.without(&tried);
        self.find_audience(&destination, job).await;
        self.agent.memory.apply(&self.nexthop.name, &mut candidates);
        last = self.appeal(&mut candidates, job).await.or(last);
        Tried::Continue(self.servers(candidates, job).await?.or(last))
    }

    fn purpose<'a>(&'a self, job: &'a Job) -> Purpose<'a> {
        let (message, arrival) = (&job.request().message, job.request().arrival);
        Purpose {
            sender: &message.sender,
            nexthop: &self.nexthop.name,
            queue_id: &message.queue_id,
            options: message.send_options,
            age: Timestamp::now().since(arrival),
        }
    }

    fn judge(&self, failure: Failure) -> Failure {
        self.nexthop.judge(failure, self.agent.settings.protocol)
    }

    /// Sessions that wait for more mail to this nexthop. Gives the last failure, and the server that was tried.
    async fn over_kept_sessions(&self, job: &mut Job) -> (Option<Failure>, Vec<Endpoint>) {
        let mut last = None;
        while self.may_reuse()
            && let Some(session) = self.agent.cache.take(&self.purpose(job))
        {
            let endpoint = session.server.endpoint.clone();
            let ended = self.over(session, job, false).await;
            last = ended.failure.or(last);
            if !ended.stale {
                return (last, vec![endpoint]);
            }
        }
        (last, Vec::new())
    }

    async fn servers(&self, mut candidates: Candidates, job: &mut Job) -> Tried {
        let limit = self.agent.settings.session_limit;
        let mut last = None;
        let mut sessions = 0;
        while !job.open_recipients().is_empty()
            && let Some(server) = candidates.next().await
        {
            match self.session(server, &mut candidates, job).await {
                Ok(session) => {
                    sessions += 1;
                    // smtp_mx_session_limit
                    let is_last = candidates.is_empty() || (limit > 0 && sessions >= limit);
                    last = self.transaction(session, &candidates, job, is_last).await?.or(last);
                    last = go_on(self.appeal(&mut candidates, job).await)?.or(last);
                    if is_last {
                        break;
                    }
                }
                Err(failure) => {
                    last = self.no_session(failure, &candidates, job)?;
                    last = self.appeal(&mut candidates, job).await.or(last);
                }
            }
        }
        // A late look-up has found this machine.
        match candidates.loop_failure().filter(|failure| last.is_none() || failure.is_permanent()) {
            Some(failure) => Tried::Break(self.judge(failure)),
            None => Tried::Continue(last),
        }
    }

    /// One transaction over a session, or over a new one with the same server if a kept one was found dead, or if TLS
    /// is what it was lost by.
    async fn transaction(&self, session: Session, candidates: &Candidates, job: &mut Job, is_last: bool) -> Tried {
        let is_last = is_last && self.is_last_nexthop;
        let (server, policy, reused) = (session.server.clone(), session.policy.clone(), session.uses > 0);
        let ended = self.over(session, job, is_last).await;
        let policy = match &ended.failure {
            _ if ended.stale && reused => policy,
            Some(failure) if ended.without_tls => {
                failure.log(job);
                policy.in_the_clear()
            }
            _ => return go_on(ended.failure),
        };
        let connected = connect(&server, &self.agent.settings).await;
        let connected = connected.map_err(|failure| failure.with_tls(policy.open()));
        let session = match connected {
            Ok(stream) => self.begin(stream, &server, policy, job).await,
            Err(failure) => Err(failure),
        };
        match session {
            Ok(session) => go_on(self.over(session, job, is_last).await.failure),
            Err(failure) => self.no_session(self.of_own_hello(failure, &server, candidates, job), candidates, job),
        }
    }

    /// There is no session with a server. One that will have nothing to do with us speaks for its domain; any other
    /// reason is logged, because the next server may hide it from the status line.
    fn no_session(&self, failure: Failure, candidates: &Candidates, job: &Job) -> Tried {
        let speaks_for_all = failure.is_permanent() && failure.subject != Subject::Ability;
        if speaks_for_all && self.refused.borrow().is_empty() {
            return Tried::Break(self.judge(failure));
        }
        let is_last = candidates.is_empty() && self.is_last_nexthop;
        match failure.subject {
            _ if is_last => {}
            Subject::Agent => logging::warning!(about: job.request().message.queue_id, "{}", failure.reason),
            // A failed connection has been logged.
            _ if failure.server.is_empty() => {}
            _ => failure.log(job),
        }
        Tried::Continue(Some(failure))
    }

    /// One transaction over one session.
    async fn over(&self, mut session: Session, job: &mut Job, is_last: bool) -> Ended {
        session.carry(&job.request().message);
        if session.uses > 1 {
            session.log_reuse(&self.agent.settings);
        }
        let features = session.features();
        let connection = Connection {
            ready: Some(Timestamp::now()),
            uses: session.uses,
            tls: self.agent.settings.tls.shown(session.has_features().then_some(&features)),
        };
        let plain = session.policy.in_the_clear();
        let (is_debugged, open) = (session.is_debugged(), job.open_recipients());
        let results =
            library::of_peer(is_debugged, transact(&mut session, &self.agent.settings, job, self.addresses, &open))
                .await;
        let mut ended = Ended { stale: results.stale, ..Ended::default() };
        if ended.stale {
            return ended;
        }
        let relay = session.server.relay();
        let family = session.server.family();
        for (index, result) in results.recipients {
            let failure = match result {
                Ok(reply) => {
                    ended.sent = true;
                    self.sent(job, index, &session, &reply, &relay, &connection);
                    continue;
                }
                // Nothing is said of its recipients.
                Err(failure) if failure.subject == Subject::Agent => {
                    ended.failure = Some(failure);
                    continue;
                }
                Err(failure) => failure,
            };
            let refused = self.refuse(index, &failure, family, session.own_address(), &connection);
            let without_tls = self.may_fall_back(&failure, &plain, &session.server, job);
            ended.without_tls |= without_tls;
            let is_final = is_last || (failure.is_permanent() && failure.subject != Subject::Ability);
            let is_final = is_final && !without_tls;
            if !refused && is_final {
                if failure.blames_host() {
                    job.blame_host(failure.status, &failure.reason);
                }
                job.finish(index, &finding_of(&failure, connection.clone()));
                continue;
            }
            let failure = failure.with_tls(features);
            let known = ended.failure.as_ref().is_some_and(|known| known.reason == failure.reason);
            if !without_tls && (!known || failure.subject == Subject::Recipient) {
                failure.log(job);
            }
            ended.failure = Some(failure);
        }
        self.put_away(session, job, results.usable).await;
        ended
    }

    /// Takes note of a refusal that may be appealed against; false when it is as final as any other.
    fn refuse(
        &self,
        index: usize,
        failure: &Failure,
        family: Option<Family>,
        own: Option<IpAddr>,
        connection: &Connection,
    ) -> bool {
        if family.is_none() || !self.may_appeal.get() || !appeal::is_worth_it(failure, own) {
            return false;
        }
        self.refused_over.set(family);
        self.refused.borrow_mut().push(Refused { index, finding: self.agent.finding(failure, connection.clone()) });
        true
    }

    /// Offers what was refused because of our address once to a server of the other family.
    async fn appeal(&self, candidates: &mut Candidates, job: &mut Job) -> Option<Failure> {
        let refused = self.refused.take();
        let family = self.refused_over.take()?;
        self.may_appeal.set(false);
        while let Some(server) = candidates.of_other_family(family).await {
            let session = match self.policy(&server, job).await {
                Ok(policy) => Session::open(&server, &self.agent.settings, &self.purpose(job), policy).await,
                Err(failure) => Err(failure),
            };
            let session = match session {
                Ok(session) => session,
                // Another server that cannot be reached, or has no time, has not judged.
                Err(failure) => {
                    if !failure.server.is_empty() {
                        failure.log(job);
                    }
                    continue;
                }
            };
            let ended = self.over(session, job, false).await;
            if ended.sent {
                self.agent.memory.keep(&self.nexthop.name, &server, Some(family));
            }
            return ended.failure;
        }
        self.accept_refusals(job, refused);
        None
    }

    /// There is no other way for these.
    fn accept_refusals(&self, job: &mut Job, refused: Vec<Refused>) {
        let open = job.open_recipients();
        for one in refused.into_iter().filter(|one| open.contains(&one.index)) {
            job.finish(one.index, &one.finding);
        }
    }

    fn sent(&self, job: &mut Job, index: usize, session: &Session, reply: &Reply, relay: &str, over: &Connection) {
        let text = text_of(reply);
        let finding = Finding::sent(status_of(reply), text.clone(), relay)
            .with_reply(text, session.server.name.clone())
            .with_action(if self.agent.settings.outgoing.flags.is_final { Action::Delivered } else { Action::Relayed })
            .over(over.clone());
        // A server that takes DSN options reports the success itself (RFC 3461 5.2.2).
        let delegated = session.extensions.dsn && !job.is_probe();
        let Some(recipient) = job.request().recipients.get(index).filter(|_| delegated) else {
            job.finish(index, &finding);
            return;
        };
        let finding = job.filtered(&finding);
        job.log(&recipient.address, &recipient.original, &finding);
        let outcome = delivery::Outcome { action: None, ..job.outcome(&finding) };
        job.settle(index, outcome);
    }
}

/// A failure of the agent is the last word: no other server changes it.
fn go_on(failure: Option<Failure>) -> Tried {
    match failure {
        Some(failure) if failure.subject == Subject::Agent => Tried::Break(failure),
        failure => Tried::Continue(failure),
    }
}

fn finding_of(failure: &Failure, connection: Connection) -> Finding {
    let finding = Finding::from_status(failure.status, failure.reason.clone(), failure.relay.clone()).over(connection);
    match &failure.reply {
        Some(reply) => finding.with_reply(reply.clone(), failure.server.clone()),
        None => finding,
    }
}
