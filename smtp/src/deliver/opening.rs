//! How a delivery comes by a session: a kept one, or a new one that is protected as the message has to be.

use delivery::{Connection, Job};
use dsn::Status;
use smtp_client::{Destination, Lookup, Server, Stream};

use super::Attempt;
use crate::candidates::Candidates;
use crate::failure::{Failure, Subject};
use crate::race;
use crate::session::Session;
use crate::tls::{Policy, Way};

impl Attempt<'_> {
    /// What a session with a server has to be.
    pub(super) async fn policy(&self, server: &Server, job: &Job) -> Result<Policy, Failure> {
        let (settings, resolver) = (&self.agent.settings, &self.agent.resolver);
        let purpose = self.purpose(job);
        let way = Way::of(&purpose, server, &settings.hostname);
        let policy = settings.tls.policy_by_dns(&way, resolver).await?;
        Ok(Policy { audience: self.audience.borrow().clone(), ..policy })
    }

    /// Finds out whether the domain wants to hear what becomes of TLS. smtp_tlsrpt_enable
    pub(super) async fn find_audience(&self, destination: &Destination, job: &Job) {
        let rules = &self.agent.settings.tls;
        let Some(reporting) = rules.reporting.as_ref().filter(|_| !rules.is_waived(job.request().message.send_options))
        else {
            return;
        };
        if let Destination::Internet { host, lookup, .. } = destination
            && !matches!(lookup, Lookup::Literal(_))
        {
            let audience = reporting.audience(&self.agent.resolver, host).await;
            *self.audience.borrow_mut() = audience;
        }
    }

    /// A session over a new connection; where TLS is as good as nothing and fails, one without it.
    pub(super) async fn begin(
        &self,
        stream: Stream,
        server: &Server,
        policy: Policy,
        job: &Job,
    ) -> Result<Session, Failure> {
        let (settings, purpose) = (&self.agent.settings, self.purpose(job));
        let plain = policy.in_the_clear();
        let failure = match Session::begin(stream, server, settings, &purpose, policy).await {
            Err(failure) if self.may_fall_back(&failure, &plain, server, job) => failure,
            result => return result,
        };
        failure.log(job);
        Session::open(server, settings, &purpose, plain).await
    }

    /// Whether mail may go in the clear because TLS has failed: not at its first attempt, and not with a password.
    pub(super) fn may_fall_back(&self, failure: &Failure, plain: &Policy, server: &Server, job: &Job) -> bool {
        let settings = &self.agent.settings;
        let request = job.request();
        let age = request.active.since(request.arrival);
        let has_login = || {
            let login = settings.sasl.as_ref().map(|sasl| sasl.login(&self.purpose(job), server));
            login.is_some_and(|login| !matches!(login, Ok(None)))
        };
        failure.subject == Subject::Tls
            && plain.may_be_in_the_clear()
            && (job.is_probe() || age >= settings.tls.minimal_backoff.as_secs_f64())
            && !has_login()
    }

    /// A session with this server, or with one of its equals that answers sooner.
    pub(super) async fn session(
        &self,
        server: Server,
        candidates: &mut Candidates,
        job: &Job,
    ) -> Result<Session, Failure> {
        if self.may_reuse()
            && let Some(session) = self.agent.cache.take_from(&server, &self.purpose(job))
        {
            return Ok(session);
        }
        let settings = &self.agent.settings;
        let policy = self.policy(&server, job).await?;
        let first = server.endpoint.clone();
        let mut race = race::connect_first(server, candidates, settings).await;
        self.agent.memory.learn(&self.nexthop.name, &race);
        race.slow.drain(..).for_each(|server| candidates.give_back(server));
        match (race.winner, race.failed.into_iter().next_back()) {
            (Some((stream, winner)), _) => {
                let policy = match winner.endpoint == first {
                    true => policy,
                    false => self.policy(&winner, job).await?,
                };
                let session = self.begin(stream, &winner, policy, job).await;
                session.map_err(|failure| {
                    for index in job.open_recipients() {
                        self.refuse(index, &failure, winner.family(), None, &Connection::default());
                    }
                    self.of_own_hello(failure, &winner, candidates, job)
                })
            }
            (None, Some((failure, _))) => Err(failure.with_tls(policy.open())),
            (None, None) => Err(candidates.loop_failure().unwrap_or_else(|| {
                let reason = "server unavailable or unable to receive mail";
                Failure::of_host(Status::new(4, 4, 1), reason).with_tls(policy.open())
            })),
        }
    }

    /// A server that has our own name is a loop of the request's nexthop, and no final one where a better server is
    /// only away.
    pub(super) fn of_own_hello(
        &self,
        failure: Failure,
        server: &Server,
        candidates: &Candidates,
        job: &Job,
    ) -> Failure {
        if failure.subject != Subject::Loop {
            return failure;
        }
        let nexthop = text::printable(&job.request().nexthop);
        Failure::of_loop(&nexthop, candidates.is_best(server)).by(server)
    }
}
