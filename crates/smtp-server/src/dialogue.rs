//! What a server remembers of one client, from the greeting to the end.

use std::rc::Rc;

use config::ErrorClass;
use dsn::Status;
use net::peer::Peer;
use smtp_protocol::path::Rules;
use smtp_protocol::{Reply, Verb};

use crate::facts::{Facts, Login};
use crate::filters::{FilterReply, Told};
use crate::forward::Forward;
use crate::lacking::Lacking;
use crate::rejection::Rejection;
use crate::services::{Judgement, Privileges, Services, Stage};
use crate::settings::Settings;
use crate::state::{Protocol, State};
use crate::statistics::Statistics;
use crate::tls::{Secured, TlsLevel, TlsRefusal};
use crate::transaction::{Chunking, Transaction};
use crate::turn::{Answer, Next, Turn, breach};

/// A session as far as it has come.
pub struct Dialogue {
    pub(crate) settings: Rc<Settings>,
    pub(crate) lacking: Lacking,
    pub(crate) peer: Peer,
    pub(crate) may: Privileges,
    pub(crate) state: State,
    pub(crate) protocol: Protocol,
    /// The name in HELO or EHLO.
    pub(crate) helo: Option<String>,
    /// The user, by AUTH or as XCLIENT names him.
    pub(crate) login: Option<Login>,
    /// Nobody can listen to the session.
    pub(crate) tls: Option<Secured>,
    /// The mechanisms that are announced.
    pub(crate) mechanisms: String,
    /// The mechanism of a login that is on its way, to be shown.
    pub(crate) logs_in: Option<String>,
    /// Where the next message comes from.
    pub(crate) forward: Option<Forward>,
    /// Between MAIL and the end of data.
    pub(crate) transaction: Option<Box<Transaction>>,
    /// The content that comes in BDAT chunks.
    pub(crate) chunking: Chunking,
    /// The client did not wait for a reply that it has to wait for.
    pub(crate) pipelined: bool,
    /// The client was turned down when it came.
    pub(crate) denied: bool,
    /// Commands that failed since the last message.
    pub(crate) errors: u32,
    /// The command at hand has made another client of this one: that is no error of either.
    pub(crate) is_another: bool,
    /// Commands without use since the last message.
    pub(crate) junk: u32,
    /// The command whose content is on its way.
    pub(crate) awaits_content: Option<Verb>,
    pub(crate) statistics: Statistics,
}

impl Dialogue {
    /// A client that has come, and has heard nothing yet.
    pub fn new(settings: Rc<Settings>, lacking: Lacking, peer: Peer, may: Privileges) -> Dialogue {
        Dialogue {
            settings,
            lacking,
            peer,
            may,
            state: State::Connected,
            protocol: Protocol::default(),
            helo: None,
            login: None,
            tls: None,
            mechanisms: String::new(),
            logs_in: None,
            forward: None,
            transaction: None,
            chunking: Chunking::None,
            pipelined: false,
            denied: false,
            errors: 0,
            is_another: false,
            junk: 0,
            awaits_content: None,
            statistics: Statistics::default(),
        }
    }

    /// The client.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// What this client may do.
    pub fn privileges(&self) -> &Privileges {
        &self.may
    }

    /// What the session is at.
    pub fn state(&self) -> State {
        self.state
    }

    /// What the session did so far.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The queue file, once there is one.
    pub fn queue_id(&self) -> Option<&str> {
        self.transaction.as_ref().and_then(|transaction| transaction.queue_id.as_deref())
    }

    /// Every reply comes late from now on. smtpd_soft_error_limit
    pub fn is_slowed(&self) -> bool {
        self.errors >= self.settings.soft_error_limit
    }

    /// What a client is told that has made as many mistakes as it may. smtpd_hard_error_limit
    pub fn enough(&self) -> Option<Turn> {
        (self.errors >= self.settings.hard_error_limit).then(|| {
            let text = format!("{} Error: too many errors", self.settings.myhostname);
            let rejection = Rejection::new(421, Status::new(4, 7, 0), text).of(ErrorClass::Protocol);
            Turn::from(rejection).closing()
        })
    }

    /// The first word to a client. `early`: what it has said before, which it must not.
    pub async fn greet(&mut self, services: &mut impl Services, early: &[u8]) -> Turn {
        if let Some(turn) = self.tls_refusal() {
            return turn;
        }
        let waited = if early.is_empty() { Ok(()) } else { self.unauthorized_pipelining(early) };
        match waited {
            Ok(()) => self.welcome(services).await.unwrap_or_else(|turn| turn),
            Err(turn) => turn,
        }
    }

    /// Greets a client, or turns it down, which counts as an error of the client.
    pub(crate) async fn welcome(&mut self, services: &mut impl Services) -> Answer {
        let settings = Rc::clone(&self.settings);
        let hostname = &settings.myhostname;
        // smtpd_client_connection_count_limit, smtpd_client_connection_rate_limit
        if !services.arrive(&self.peer, self.may.xclient).await {
            let text = format!("{hostname} Error: too many connections from {}", self.peer.address_text());
            return Err(Turn::say(Reply::with_status(421, Status::new(4, 7, 0), text)).closing());
        }
        self.learn_mechanisms(services).await?;
        let filters = services.tell_filters(Told::Connect, self.facts(None, None)).await;
        if filters.as_ref().is_some_and(FilterReply::ends_session) {
            let text = format!("{hostname} Service unavailable - try again later");
            return Err(Turn { error: Some(ErrorClass::Policy), ..Turn::say(Reply::plain(421, text)).closing() });
        }
        match services.judge(Stage::Connect, self.facts(None, None)).await {
            Judgement::Accept => {}
            Judgement::Reject(rejection) => {
                self.denied = true;
                self.errors = self.errors.saturating_add(1);
                return Err(rejection.into());
            }
            Judgement::HangUp => return Err(Turn::close()),
        }
        Ok(Turn::say(match filters {
            Some(reply) if reply.is_permanent() => {
                self.errors = self.errors.saturating_add(1);
                Reply::plain(554, format!("{hostname} ESMTP not accepting connections"))
            }
            _ => Reply::plain(220, &settings.banner),
        }))
    }

    /// Whether nobody can listen to the session.
    pub(crate) fn is_under_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the client can log in. Where it cannot, nothing that has to do with it is looked at.
    pub(crate) fn may_log_in(&self) -> bool {
        let settings = &self.settings;
        // smtpd_tls_auth_only
        settings.sasl_enabled && (!self.needs_tls_to_log_in() || self.is_under_tls()) && !self.discards("AUTH")
    }

    /// smtpd_tls_auth_only, and a level that lets nothing else be done without TLS.
    fn needs_tls_to_log_in(&self) -> bool {
        self.settings.auth_only || self.settings.tls == TlsLevel::Encrypt
    }

    /// The handshake that STARTTLS or the beginning of the session has asked for has succeeded. What was said before it
    /// is forgotten, for somebody else may have said it.
    pub async fn secured(&mut self, services: &mut impl Services, secured: Secured) -> Turn {
        if let Some(verb) = self.awaits_content.take() {
            self.statistics.count(verb, secured.refusal != Some(TlsRefusal::TooMany));
        }
        self.forget_helo(services).await;
        self.login = None;
        services.forget_login();
        self.forget_transaction(services).await;
        let refusal = secured.refusal;
        self.tls = Some(secured);
        match refusal {
            // As in Postfix, who comes too often is told at once, and who has no certificate at its next command.
            Some(TlsRefusal::TooMany) if !self.settings.tls_wrapper => {
                return self.tls_refusal().unwrap_or_else(Turn::close);
            }
            Some(refusal) => {
                self.log_tls_refusal(refusal);
                return Turn::silence(Next::Command);
            }
            None => {}
        }
        match self.learn_mechanisms(services).await {
            // A session that begins under TLS finds out with its greeting.
            Err(turn) if !self.settings.tls_wrapper => turn,
            _ => Turn::silence(Next::Command),
        }
    }

    fn log_tls_refusal(&self, refusal: TlsRefusal) {
        let why = match refusal {
            TlsRefusal::NoCertificate => "No client certificate presented",
            TlsRefusal::NotTrusted => "Client certificate not trusted",
            // Who counts has said it.
            TlsRefusal::TooMany => return,
        };
        logging::info!("NOQUEUE: abort: TLS from {}: {why}", self.peer.label);
    }

    /// What a client is told that is let go after its handshake, whatever it says next.
    pub(crate) fn tls_refusal(&self) -> Option<Turn> {
        let refusal = self.tls.as_ref()?.refusal?;
        let hostname = &self.settings.myhostname;
        let (status, text) = match refusal {
            TlsRefusal::NoCertificate => (Status::new(4, 7, 1), "No client certificate presented".to_owned()),
            TlsRefusal::NotTrusted => (Status::new(4, 7, 1), "Client certificate not trusted".to_owned()),
            TlsRefusal::TooMany => {
                (Status::new(4, 7, 0), format!("too many new TLS sessions from {}", self.peer.label))
            }
        };
        Some(Turn::from(Rejection::new(421, status, format!("{hostname} Error: {text}"))).closing())
    }

    /// Finds out by which mechanisms clients can log in; to be called when a session begins, and anew under TLS.
    /// Without any the session ends: the client shall come again, and not take this for a server without users.
    async fn learn_mechanisms(&mut self, services: &mut impl Services) -> Result<(), Turn> {
        let waits_for_tls = self.settings.tls == TlsLevel::Encrypt && !self.is_under_tls();
        if self.may_log_in() && !waits_for_tls {
            self.mechanisms = services.mechanisms(self.is_under_tls()).await.ok_or_else(Turn::close)?;
        }
        Ok(())
    }

    /// The connection has broken. Content that was on its way was no success.
    pub fn broken(&mut self) {
        if let Some(verb) = self.awaits_content.take() {
            self.statistics.count(verb, false);
        }
    }

    /// What is known now. `sender` where there is no transaction yet; `recipient` is the one at hand.
    pub fn facts<'a>(&'a self, sender: Option<&'a [u8]>, recipient: Option<&'a [u8]>) -> Facts<'a> {
        let transaction = self.transaction.as_deref();
        Facts {
            peer: &self.peer,
            helo: self.helo.as_deref(),
            protocol: self.protocol,
            login: self.login.as_ref(),
            tls: self.tls.as_ref(),
            forward: self.forward.as_ref(),
            state: self.state,
            pipelined: self.pipelined,
            sender: sender.or(transaction.map(|transaction| transaction.sender.as_slice())),
            mail: transaction.map(|transaction| transaction.mail.as_slice()),
            parameters: transaction.map(|transaction| &transaction.parameters),
            recipient,
            recipients: transaction.map_or(0, |transaction| transaction.recipients),
            queue_id: self.queue_id(),
            size: transaction.and_then(|transaction| transaction.parameters.size).unwrap_or(0),
            etrn_domain: None,
        }
    }

    /// The same where the recipients are known: the recipient is the only one, or none.
    pub(crate) fn facts_of_message(&self) -> Facts<'_> {
        self.facts(None, self.transaction.as_deref().and_then(Transaction::only_recipient))
    }

    /// What is known when a command has its answer: behind the recipients, the only one is, and before, the first one.
    pub fn facts_at_end(&self) -> Facts<'_> {
        match self.state {
            State::Command(Verb::Data | Verb::Bdat) | State::EndOfMessage => self.facts_of_message(),
            _ => self.facts(None, self.transaction.as_deref().and_then(Transaction::first)),
        }
    }

    /// The site's word: nothing when it is yes.
    pub(crate) async fn judge(&self, services: &mut impl Services, stage: Stage, facts: Facts<'_>) -> Result<(), Turn> {
        match services.judge(stage, facts).await {
            Judgement::Accept => Ok(()),
            Judgement::Reject(rejection) => Err(rejection.into()),
            Judgement::HangUp => Err(Turn::close()),
        }
    }

    /// A table without which nothing can be said to the client fails.
    pub(crate) fn data_error(&self, services: &impl Services) -> Turn {
        let text = format!("{} Server local data error", self.settings.myhostname);
        let rejection = Rejection::new(421, Status::new(4, 3, 0), text).of(ErrorClass::Data);
        services.log("reject", &rejection.shown(), self.facts_of_message());
        Turn::from(rejection).closing()
    }

    /// What a client that sends bare LF is told. smtpd_forbid_bare_newline_reject_code
    pub(crate) fn bare_newline_rejection(&self) -> Rejection {
        let text = format!("{} Error: bare <LF> received", self.settings.myhostname);
        Rejection::new(self.settings.bare_newline_code, Status::new(5, 5, 2), text).of(ErrorClass::Protocol)
    }

    /// Forgets the name that the client gave itself.
    pub(crate) async fn forget_helo(&mut self, services: &mut impl Services) {
        if self.helo.take().is_some() {
            services.reset_filters().await;
        }
    }

    /// The session ends: filters hear of it.
    pub async fn leave(&mut self, services: &mut impl Services) {
        self.forget_helo(services).await;
    }

    /// Why nobody logs in, and no TLS begins: a filter has turned the client down.
    pub(crate) fn filters_refusal(&self, services: &impl Services) -> Result<(), Turn> {
        match services.filters_say() {
            Some(reply) if reply.is_permanent() => Err(reply.into()),
            Some(_) => {
                let later = Rejection::new(454, Status::new(4, 3, 0), "Try again later");
                Err(later.of(ErrorClass::Software).into())
            }
            None => Ok(()),
        }
    }

    /// Forgets the transaction; a message that was begun is removed.
    pub(crate) async fn forget_transaction(&mut self, services: &mut impl Services) {
        self.chunking = Chunking::None;
        self.forward = None;
        self.transaction = None;
        services.abort().await;
    }

    /// smtpd_helo_required
    pub(crate) fn needs_helo(&self) -> bool {
        self.helo.is_none() && self.settings.helo_required
    }

    /// Whether the client may ask for SMTPUTF8. RFC 6531
    pub(crate) fn offers_utf8(&self) -> bool {
        self.settings.smtputf8 && !self.discards("SMTPUTF8")
    }

    /// What is taken for an address, from a client that has asked for SMTPUTF8 or not.
    pub(crate) fn path_rules(&self, utf8: bool) -> Rules {
        Rules { strict: self.settings.strict_envelopes, utf8 }
    }

    /// strict_smtputf8: an address outside ASCII needs a client that has asked for SMTPUTF8.
    pub(crate) fn may_say(&self, address: &[u8], utf8: bool) -> Result<(), Turn> {
        if utf8 || address.is_ascii() || !self.settings.strict_utf8 {
            return Ok(());
        }
        let text = "Must declare SMTPUTF8 to send unicode address";
        Err(breach(553, Status::new(5, 6, 7), text))
    }

    /// This client is not to see a keyword, nor what it stands for.
    pub(crate) fn discards(&self, keyword: &str) -> bool {
        self.may.discarded.iter().flatten().any(|word| word == keyword)
    }
}
