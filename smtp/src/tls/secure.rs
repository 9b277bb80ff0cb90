//! A session gets the protection that its policy asks for, or ends: STARTTLS (RFC 3207), or TLS before the first word.
//!
//! Nothing that a server said before the handshake counts after it, neither its replies nor what it offers.

use std::fmt::Write as _;

use dsn::Status;
use smtp_client::Endpoint;
use tls::{Demand, Digest, Facts, HandshakeError, Matching, Standard, Trust, Verdict, hex};

use super::level::{Feature, Features, Level, Outcome};
use super::report::{Event, Meeting, of_verdict};
use super::requiretls::{self, Strictness};
use super::terms::{Policy, REQUIRETLS};
use crate::failure::{Failure, Subject, status_of_refusal, text_of};
use crate::sasl::Purpose;
use crate::session::{Broken, Session};
use crate::settings::Settings;
use crate::stage::Stage;

/// What protects a session.
#[derive(Debug, Default)]
pub enum Shield {
    /// It is not known yet.
    #[default]
    Open,
    /// Nothing.
    Plain,
    /// TLS.
    Tls(Box<Known>),
}

/// What is known of a TLS session.
#[derive(Debug)]
pub struct Known {
    facts: Facts,
    trust: Trust,
    /// The server is what the policy asks for, and the policy asks for more than any.
    pub matched: bool,
    /// The policy asks for more than any, and any will do all the same.
    excused: bool,
}

const HANDSHAKE: &str = "Cannot start TLS: handshake failure";

impl Session {
    /// Whether a log line says something of TLS: not that of a session that goes on, where there is to be none.
    pub fn has_features(&self) -> bool {
        self.uses <= 1 || self.policy.level.may_have_tls()
    }

    /// What becomes of the level and of REQUIRETLS, as far as is known.
    pub fn features(&self) -> Features {
        let level = self.policy.level;
        let outcome = match &self.shield {
            // A session that goes on has been looked at by the delivery that began it.
            _ if self.uses > 1 && level.may_have_tls() => Outcome::Open,
            Shield::Open => Outcome::Open,
            Shield::Plain if level.may_have_tls() => Outcome::Less("none"),
            Shield::Tls(known) if known.excused => Outcome::Less(Level::Encrypt.name()),
            Shield::Plain | Shield::Tls(_) => Outcome::Met,
        };
        let wanted = self.policy.requiretls.map(|_| match &self.shield {
            Shield::Open => Outcome::Open,
            Shield::Tls(known) if self.extensions.requiretls && known.matched => Outcome::Met,
            Shield::Tls(_) if self.extensions.requiretls => Outcome::Less("nocertmatch"),
            _ => Outcome::Less("none"),
        });
        let requiretls = wanted.map(|outcome| Feature { wanted: REQUIRETLS, outcome });
        Features { level: Feature { wanted: level.name(), outcome }, requiretls }
    }

    /// Whether it is under TLS.
    pub fn is_under_tls(&self) -> bool {
        matches!(self.shield, Shield::Tls(_))
    }

    /// TLS before the greeting. smtp_tls_wrappermode
    ///
    /// # Errors
    /// There is none.
    pub async fn wrap(&mut self, settings: &Settings, purpose: &Purpose<'_>) -> Result<(), Failure> {
        if settings.tls.engine.wrapper {
            return self.secure(settings, purpose).await;
        }
        if matches!(&self.server.endpoint, Endpoint::Internet(address) if address.port() == 465) {
            let agent = settings.tls.agent;
            logging::info!(
                "SMTPS wrappermode (TCP port 465) requires setting \"{agent}_tls_wrappermode = yes\", and \
                 \"{agent}_tls_security_level = encrypt\" (or stronger)"
            );
        }
        Ok(())
    }

    /// TLS after the hello, and another hello, if the policy wants it and the server can.
    ///
    /// # Errors
    /// It must be, and is not.
    pub async fn protect(&mut self, settings: &Settings, purpose: &Purpose<'_>) -> Result<(), Failure> {
        if !self.is_under_tls() {
            match self.start_tls(settings, purpose).await? {
                true => self.hello_again(settings).await?,
                false => self.shield = Shield::Plain,
            }
        }
        self.check_requiretls(purpose).await
    }

    /// True if TLS has begun.
    async fn start_tls(&mut self, settings: &Settings, purpose: &Purpose<'_>) -> Result<bool, Failure> {
        let level = self.policy.level;
        if !level.may_have_tls() || self.policy.in_the_clear {
            // smtp_tls_note_starttls_offer
            if settings.tls.engine.note_offer && self.extensions.starttls {
                logging::info!("Host offered STARTTLS: [{}]", text::printable(self.server.name.as_bytes()));
            }
            return Ok(false);
        }
        let needed = self.policy.requiretls.is_some_and(Strictness::needs_starttls);
        if !self.extensions.starttls {
            let reason = format!("TLS is required, but was not offered by host {}", self.host);
            return self.without(needed.then(|| requiretls::not_offered(&self.host)), Status::new(5, 7, 30), || {
                // As in Postfix, nothing else has to wait for it: another message may do without.
                Failure { subject: Subject::Ability, ..Failure::of_host(Status::new(4, 7, 4), reason) }
            });
        }
        if !settings.tls.engine.works || !settings.tls_client.is_ready().await {
            if !level.is_mandatory() && !needed {
                return Ok(false);
            }
            let failure = Failure::of_host(Status::new(4, 7, 5), "TLS is required, but our TLS engine is unavailable");
            return Err(self.protected_failure(failure, self.policy.open()));
        }
        let limit = settings.limits.starttls;
        self.command(&[b"STARTTLS"]);
        let reply = match self.send(limit).await {
            Ok(()) => self.reply(limit).await,
            Err(broken) => Err(broken),
        };
        let reply = reply.map_err(|broken| self.failure(&broken, Stage::StartTls))?;
        if reply.class() != 2 {
            let said = text_of(&reply);
            let reason = format!("TLS is required, but host {} refused to start TLS: {said}", self.host);
            let status = status_of_refusal(&reply);
            return self.without(needed.then(|| requiretls::refused(&self.host, &said)), Status::new(5, 7, 10), || {
                let subject = if status.is_permanent() { Subject::Ability } else { Subject::Host };
                Failure { reply: Some(said.clone()), subject, ..Failure::of_host(status, reason) }
            });
        }
        // Whoever has put something behind the reply has put it into the clear.
        self.forget();
        self.secure(settings, purpose).await?;
        Ok(true)
    }

    /// There will be no TLS: false if that will do. `required`: the reason that REQUIRETLS has for an error.
    fn without(
        &self,
        required: Option<String>,
        status: Status,
        missing: impl FnOnce() -> Failure,
    ) -> Result<bool, Failure> {
        let level = self.policy.level;
        if level.is_mandatory() || required.is_some() {
            self.tell(Event::NotOffered);
        }
        let outcome = if level.is_mandatory() { Outcome::Missed(None) } else { Outcome::Open };
        let mut features = Features { level: Feature { wanted: level.name(), outcome }, ..self.policy.open() };
        if let Some(reason) = required {
            let outcome = Outcome::Missed(Some("nostarttls"));
            features.requiretls = Some(Feature { wanted: REQUIRETLS, outcome });
            let failure = Failure { subject: Subject::Ability, ..Failure::of_host(status, reason) };
            return Err(self.protected_failure(failure, features));
        }
        if level.is_mandatory() { Err(self.protected_failure(missing(), features)) } else { Ok(false) }
    }

    /// The handshake, and what is made of the server.
    async fn secure(&mut self, settings: &Settings, purpose: &Purpose<'_>) -> Result<(), Failure> {
        let engine = &settings.tls.engine;
        if !engine.works || !settings.tls_client.is_ready().await {
            let failure = Failure::of_host(Status::new(4, 7, 5), "TLS is required, but our TLS engine is unavailable");
            return Err(self.protected_failure(failure, self.policy.open()));
        }
        let peer = self.server.peer();
        let policy = &self.policy;
        let raw_key = policy.raw_keys && settings.tls_client.may_have_raw_key(&peer);
        let key = self.key(settings, purpose, raw_key);
        for word in &policy.misnamed {
            logging::warning!("{peer}: ignoring invalid match name: \"{}\"", text::printable(word.as_bytes()));
        }
        let demand = Demand {
            peer: &peer,
            protocols: &policy.offer.protocols,
            grade: &policy.offer.grade,
            exclude: &policy.offer.exclude,
            mandatory: policy.level.is_mandatory(),
            sni: policy.sni.as_deref(),
            grades: &engine.grades,
            groups: &engine.groups,
            raw_key,
            standard: Standard {
                matching: &policy.matching,
                anchors: &policy.anchors,
                limit: engine.depth,
                digest: engine.digest,
                failure: policy.external.as_ref().and_then(|external| external.failure),
            },
            must_match: policy.level.is_matching(),
            resumable: engine.resumable.map(|lifetime| (key.as_str(), lifetime)),
            log: engine.log,
            agent: settings.tls.agent,
        };
        let secured = self.stream.secure(&settings.tls_client, &demand, settings.limits.starttls).await;
        let connected = match secured {
            Ok(connected) => connected,
            Err(error) => {
                // The connection is of no use, not even for a farewell.
                self.closing = true;
                let subject = if error == HandshakeError::NoRawKey { Subject::RawKey } else { Subject::Tls };
                if subject == Subject::Tls {
                    self.tell(Event::Handshake);
                }
                let failure = Failure { subject, ..Failure::of_host(Status::new(4, 7, 5), HANDSHAKE) };
                return Err(self.protected_failure(failure, self.policy.open()));
            }
        };
        self.stream.seal(connected.session);
        let is_matching = self.policy.level.is_matching();
        if !connected.facts.resumed || !self.policy.audience.as_ref().is_some_and(|it| it.skips_resumed()) {
            self.tell(of_verdict(&connected.verdict, is_matching));
        }
        let Verdict { trust, fault, excused, .. } = connected.verdict;
        let matched = is_matching && fault.is_none() && !excused;
        self.shield = Shield::Tls(Box::new(Known { facts: connected.facts, trust, matched, excused }));
        // REQUIRETLS wants to know who it is, whatever the zone has.
        let is_excused = excused && self.policy.requiretls != Some(Strictness::Enforce);
        if is_matching && !matched && !is_excused { Err(self.mismatch(trust)) } else { Ok(()) }
    }

    /// Tells the domain what has become of TLS, if it wants to hear.
    fn tell(&self, event: Event<'_>) {
        let Some(audience) = &self.policy.audience else { return };
        let address = match &self.server.endpoint {
            Endpoint::Internet(address) => Some(address.ip()),
            Endpoint::Unix(_) => None,
        };
        let (own, external) = (self.own_address(), self.policy.external.as_ref());
        let (host, hello) = (self.server.name.as_str(), self.said.as_slice());
        let records = match (&self.policy.matching, &self.policy.sni) {
            (Matching::Dane(proof), Some(base)) => Some((base.as_str(), proof.records.as_slice())),
            _ => None,
        };
        audience.tell(event, &Meeting { host, shown: &self.host, address, own, hello, external, records });
    }

    /// Somebody else has answered.
    fn mismatch(&self, trust: Trust) -> Failure {
        let level = Feature { wanted: self.policy.level.name(), outcome: Outcome::Missed(None) };
        let enforced = self.policy.requiretls == Some(Strictness::Enforce);
        let nocertmatch = Some("nocertmatch");
        let outcome = if enforced { Outcome::Missed(nocertmatch) } else { Outcome::Less("nocertmatch") };
        let requiretls = self.policy.requiretls.map(|_| Feature { wanted: REQUIRETLS, outcome });
        let failure = if enforced {
            let reason = requiretls::wrong_certificate(trust == Trust::Trusted, &self.host);
            Failure { subject: Subject::Ability, ..Failure::of_host(Status::new(5, 7, 10), reason) }
        } else {
            Failure::of_host(Status::new(4, 7, 5), "Server certificate not verified")
        };
        self.protected_failure(failure, Features { level, requiretls })
    }

    /// A server that has to keep up REQUIRETLS, and cannot.
    async fn check_requiretls(&mut self, purpose: &Purpose<'_>) -> Result<(), Failure> {
        let Some(strictness) = self.policy.requiretls.filter(|_| !self.extensions.requiretls) else { return Ok(()) };
        if strictness == Strictness::Enforce {
            let outcome = Outcome::Missed(Some("none"));
            let features = Features { requiretls: Some(Feature { wanted: REQUIRETLS, outcome }), ..self.features() };
            let reason = requiretls::unsupported(&self.host);
            let failure = Failure { subject: Subject::Ability, ..Failure::of_host(Status::new(5, 7, 30), reason) };
            return Err(self.protected_failure(failure, features));
        }
        if self.is_under_tls() {
            logging::info!(id: purpose.queue_id, "{}", requiretls::without_support(&self.host));
        }
        Ok(())
    }

    fn protected_failure(&self, failure: Failure, features: Features) -> Failure {
        failure.by(&self.server).with_tls(features)
    }

    /// A server that has answered before it was asked: under TLS somebody may have put words into the session.
    pub fn early_reply(&mut self, settings: &Settings) -> Option<Failure> {
        if !self.is_under_tls() || !self.has_unread() {
            return None;
        }
        let (host, agent) = (&self.host, settings.tls.agent);
        logging::warning!("server {host} violates {agent}_tls_block_early_mail_reply policy");
        let failure = Failure::of_host(Status::new(4, 7, 0), "unexpected server message");
        Some(failure.by(&self.server))
    }

    /// Whether it may carry another message: under TLS where that was asked for, and never where TLS has failed.
    pub fn may_be_kept(&self) -> bool {
        match self.shield {
            Shield::Tls(_) => self.policy.reuse,
            _ => !self.policy.in_the_clear || matches!(self.server.endpoint, Endpoint::Unix(_)),
        }
    }

    /// The line about a session that carries another message.
    pub fn log_reuse(&self, settings: &Settings) {
        if let Shield::Tls(known) = &self.shield
            && settings.tls.engine.log.summary
        {
            tls::Connected::log_summary(known.trust, &known.facts, &self.server.peer(), "reused");
        }
    }

    /// What is the same where a session may go on with the secrets of another one.
    fn key(&self, settings: &Settings, purpose: &Purpose<'_>, raw_key: bool) -> String {
        let policy = &self.policy;
        let Policy { offer, sni, misnamed, requiretls, .. } = policy;
        let mut terms = format!("{offer:?} {sni:?} {misnamed:?} {requiretls:?} {raw_key}");
        // Writing to a text does not fail.
        let _ = match &policy.matching {
            Matching::Anything => Ok(()),
            Matching::Names(names) => write!(terms, " {names:?} {:p}", std::rc::Rc::as_ptr(&policy.anchors)),
            Matching::Fingerprints(known) | Matching::Keys(known) => write!(terms, " {known:?}"),
            Matching::Dane(proof) => write!(terms, " {proof:?}"),
        };
        let digest = hex(&Digest::Sha256.of(terms.as_bytes()));
        let (agent, nexthop, server) = (settings.tls.agent, purpose.nexthop, &self.server);
        format!("{agent}&{nexthop}&{}&{}&{}&&&{digest}", server.name, server.endpoint, policy.level.name())
    }
}

/// Why a session that was lost may do without TLS: TLS itself may be what it was lost by.
pub fn subject_of(broken: &Broken, session: &Session) -> Subject {
    let is_lost = matches!(broken, Broken::Lost | Broken::TimedOut);
    if is_lost && session.is_under_tls() { Subject::Tls } else { Subject::Host }
}
