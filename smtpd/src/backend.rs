//! What a dialogue asks, answered by the rest of the mail system.

use std::cell::Cell;
use std::rc::Rc;

use ipc::cleanup::{Flags, Message};
use ipc::flush::{Request, Status};
use logging::records::smtpd::Accepted;
use receiving::peer::is_in;
use smtp_protocol::Reply;
use smtp_protocol::keywords::discardable;
use smtp_protocol::parameters::{MailParameters, RcptParameters};
use smtp_server::{
    Attempt, BareNewline, Counted, Facts, FilterReply, Flushed, Judgement, Peer, Privileges, Refusal, Services, Stage,
    Step, TlsStart, Told, Turn, Unanswered, Unqueued,
};

use crate::authentication::Login;
use crate::client_limits::{CountedClient, Counting};
use crate::decision::{decided, sasl_sender};
use crate::envelope::{self, Head};
use crate::filters::{Filtering, Word};
use crate::incoming::Incoming;
use crate::look_ups::LookUps;
use crate::restriction::{Class, Court, Effects, Evaluation, Memory, Verdict};
use crate::settings::Settings;
use crate::worker::Smtpd;

/// The mail system as one session has it.
pub struct Backend {
    worker: Rc<Smtpd>,
    settings: Rc<Settings>,
    /// The message at hand.
    pub incoming: Incoming,
    /// The mail filters of the session.
    pub filtering: Filtering,
    /// What restrictions remember.
    memory: Memory,
    /// The client as anvil counts it.
    counted: Option<CountedClient>,
    /// Headers of the message are completed with this system's domain.
    local_rewrite: bool,
    /// What has begun at the authentication server.
    login: Login,
}

impl Backend {
    /// For a session that begins.
    pub fn new(worker: Rc<Smtpd>, settings: Rc<Settings>) -> Backend {
        Backend {
            worker,
            settings,
            incoming: Incoming::default(),
            filtering: Filtering::default(),
            memory: Memory::default(),
            counted: None,
            local_rewrite: false,
            login: Login::default(),
        }
    }

    /// The client's place is free for others.
    pub fn release(&mut self) {
        self.counted = None;
    }

    /// warn_if_reject has spared the client a rejection since the last message that was taken.
    pub fn warned(&self) -> &Cell<bool> {
        &self.memory.warned
    }

    fn court(&self) -> Court<'_, Smtpd> {
        Court { rules: &self.worker.rules, settings: &self.settings, look_ups: &*self.worker, memory: &self.memory }
    }

    fn counting(&self) -> Counting<'_> {
        let Smtpd { anvil, service_name, .. } = &*self.worker;
        Counting { limits: &self.settings.limits, anvil, service: service_name }
    }

    /// Nothing is asked at this stage.
    fn is_idle(&self, stage: Stage) -> bool {
        let lists = &self.worker.rules.lists;
        // smtpd_delay_reject
        let delayed = self.settings.delay_reject;
        match stage {
            Stage::Connect | Stage::Mail => delayed,
            Stage::Helo => delayed || lists.helo.is_empty(),
            Stage::Recipient | Stage::Etrn => false,
            Stage::Data => lists.data.is_empty(),
            Stage::EndOfData => lists.end_of_data.is_empty(),
        }
    }

    /// Decides whether headers of the message are completed with this system's domain; who has logged in, or has
    /// another address by XCLIENT, may be somebody else than for the message before. local_header_rewrite_clients
    async fn decide_rewriting(&mut self, facts: Facts<'_>) -> Verdict {
        if let Some(local) = facts.forward.and_then(|forward| forward.local) {
            self.local_rewrite = local;
            return Verdict::Dunno;
        }
        let mut effects = Effects::default();
        let mut evaluation = Evaluation::new(self.court(), facts, Class::Client, &mut effects);
        evaluation.logs_permissions = false;
        let verdict = evaluation.list(&self.worker.rules.lists.local_rewrite).await;
        self.local_rewrite = verdict == Verdict::Permit;
        match verdict {
            Verdict::Permit => Verdict::Dunno,
            other => other,
        }
    }

    /// The first recipient is good: now there is a queue file.
    async fn open(&mut self, facts: Facts<'_>) -> Result<&mut Message, Unqueued> {
        let local_rewrite = self.local_rewrite;
        let cleanup = &self.worker.cleanup;
        let asks = |what: fn(&MailParameters) -> bool| facts.parameters.is_some_and(what);
        let flags = self.worker.cleanup_flags;
        let flags = flags.with_if(asks(|parameters| parameters.requiretls), Flags::REQUIRETLS);
        let flags = flags.with_if(asks(|parameters| parameters.smtputf8), Flags::SMTPUTF8);
        let flags = flags.with_if(!self.filtering.is_empty(), Flags::FILTERED);
        let message = cleanup.open(flags).await.map_err(|error| {
            logging::warning!("problem talking to service {}: {error}", cleanup.pool().path().display());
            Unqueued::NotOpened
        })?;
        let message = self.incoming.message.insert(message);
        let queue_id = message.queue_id().clone();
        logging::emit(&Accepted {
            queue_id: queue_id.as_str(),
            client: &facts.peer.label,
            login: facts.login.map(|login| (login.method.as_str(), login.user.as_str())),
            sasl_sender: sasl_sender(&facts).as_deref(),
            original_id: facts.forward.and_then(|forward| forward.ident.as_deref()),
            original_client: facts.forward.and_then(|forward| forward.label(facts.peer.shows_port)),
        });
        let head = Head { queue_id: queue_id.as_str(), local_rewrite, content_filter: &self.worker.content_filter };
        envelope::begin(message.records(), &facts, &head);
        Ok(message)
    }

    /// EHLO keywords that the client is not to see.
    fn discarded(&self, peer: &Peer) -> Option<Vec<String>> {
        // smtpd_discard_ehlo_keyword_address_maps
        let own = self.worker.rules.tables.discard_keywords.lookup(peer.address_text().as_bytes()).ok()?;
        let own = own.map(|words| String::from_utf8_lossy(&words).into_owned());
        Some(discardable(&match &own {
            Some(words) => text::split_list(words).into_iter().map(str::to_ascii_uppercase).collect(),
            // smtpd_discard_ehlo_keywords
            None => self.settings.discard_ehlo_keywords.clone(),
        }))
    }
}

impl Services for Backend {
    fn privileges(&self, peer: &Peer) -> Privileges {
        let tables = &self.worker.rules.tables;
        let may = |list| is_in(peer, list).unwrap_or(false);
        let excluded = may(&tables.bare_newline_exclusions);
        Privileges {
            xclient: may(&tables.xclient_hosts),
            verp: may(&tables.verp_clients),
            xforward: may(&tables.xforward_hosts),
            bare_newline: if excluded { BareNewline::Allow } else { self.settings.dialogue.bare_newline },
            discarded: self.discarded(peer),
        }
    }

    async fn tell_filters(&mut self, told: Told<'_>, facts: Facts<'_>) -> Option<FilterReply> {
        let milters = self.worker.milters.as_ref()?;
        // What goes nowhere is nobody's to look at.
        if self.incoming.effects.discard && facts.sender.is_some() {
            return None;
        }
        let connections = self.counted.as_ref().map_or(0, |counted| counted.connections);
        let is_about_message = !matches!(told, Told::Unknown(_));
        let told = self.filtering.tell(milters, &*self.worker, told, facts, connections);
        match Box::pin(told).await? {
            Word::Reply(reply) => {
                if is_about_message {
                    self.log("milter-reject", &reply.shown(), facts);
                }
                Some(reply)
            }
            Word::Hold(reason) if is_about_message => {
                self.log("milter-hold", &reason, facts);
                self.incoming.effects.hold = true;
                None
            }
            Word::Discard if is_about_message => {
                self.log("milter-discard", "milter triggers DISCARD action", facts);
                self.incoming.effects.discard = true;
                None
            }
            Word::Hold(_) | Word::Discard => None,
        }
    }

    fn filters_say(&self) -> Option<FilterReply> {
        self.filtering.standing()
    }

    async fn reset_filters(&mut self) {
        self.filtering.reset().await;
    }

    async fn arrive(&mut self, peer: &Peer, exempt: bool) -> bool {
        self.counted = None;
        // smtpd_client_event_limit_exceptions; what cannot be looked up is no reason to slow a client down.
        let exceptions = &self.worker.rules.tables.limit_exceptions;
        if exempt || self.settings.limits.is_empty() || is_in(peer, exceptions).unwrap_or(true) {
            return true;
        }
        let (counted, fine) = self.counting().connection(peer).await;
        self.counted = counted;
        fine
    }

    async fn exceeds(&mut self, counted: Counted, peer: &Peer) -> bool {
        match &self.counted {
            Some(client) => self.counting().exceeds(counted, client, peer).await,
            None => false,
        }
    }

    async fn may_start_tls(&mut self, peer: &Peer) -> TlsStart {
        let Some(tls) = &self.worker.tls else { return TlsStart::Broken };
        if !tls.server.is_ready().await {
            return TlsStart::Broken;
        }
        // smtpd_client_new_tls_session_rate_limit
        match &self.counted {
            Some(client) if self.counting().has_too_many_tls_sessions(client, peer).await => TlsStart::TooMany,
            _ => TlsStart::Ready,
        }
    }

    async fn mechanisms(&mut self, secured: bool) -> Option<String> {
        match &self.worker.authentication {
            Some(authentication) => self.login.mechanisms(authentication, secured).await,
            None => Some(String::new()),
        }
    }

    fn is_not_for_auth(&self, peer: &Peer) -> Result<bool, Unanswered> {
        let Some(authentication) = &self.worker.authentication else { return Ok(true) };
        is_in(peer, &authentication.exceptions).map_err(|_| Unanswered)
    }

    async fn log_in(&mut self, attempt: Attempt<'_>) -> Step {
        match &self.worker.authentication {
            Some(authentication) => self.login.begin(authentication, attempt).await,
            None => Step::Unavailable(Refusal::default()),
        }
    }

    async fn respond(&mut self, response: &[u8]) -> Step {
        self.login.respond(response).await
    }

    fn forget_login(&mut self) {
        self.login.forget();
    }

    fn replacement(&self, line: &[u8]) -> Result<Option<Vec<u8>>, Unanswered> {
        let filter = &self.worker.rules.tables.command_filter;
        if filter.is_empty() { Ok(None) } else { filter.lookup(line).map_err(|_| Unanswered) }
    }

    fn means_nothing(&self, word: &[u8]) -> bool {
        self.worker.rules.tables.noop_commands.matches(word).unwrap_or(false)
    }

    fn is_forbidden(&self, word: &[u8]) -> bool {
        self.worker.rules.tables.forbidden_commands.matches(word).unwrap_or(false)
    }

    async fn is_malformed(&mut self, sender: Option<&[u8]>, address: &[u8]) -> bool {
        self.worker.resolve(sender, address).await.is_ok_and(|resolved| resolved.bad_syntax)
    }

    fn free_space(&self) -> Option<u64> {
        self.worker.free_space()
    }

    async fn judge(&mut self, stage: Stage, facts: Facts<'_>) -> Judgement {
        // A message that begins has effects of its own, what is said behind the content comes too late for the
        // envelope, and VRFY outside of a message is about none.
        let of_message = matches!(stage, Stage::Recipient | Stage::Data) && facts.sender.is_some();
        let mut effects = match stage {
            _ if of_message => std::mem::take(&mut self.incoming.effects),
            // What is held is not held, and logged, once more.
            Stage::EndOfData => Effects { hold: self.incoming.effects.hold, ..Effects::default() },
            _ => Effects::default(),
        };
        let verdict = if self.is_idle(stage) {
            Verdict::Dunno
        } else {
            let evaluation = |class, effects| Evaluation::new(self.court(), facts, class, effects);
            match stage {
                Stage::Connect => evaluation(Class::Client, &mut effects).connect().await,
                Stage::Helo => evaluation(Class::Helo, &mut effects).helo().await,
                Stage::Mail => evaluation(Class::Sender, &mut effects).mail().await,
                Stage::Recipient => evaluation(Class::Recipient, &mut effects).rcpt().await,
                Stage::Data => evaluation(Class::Data, &mut effects).data().await,
                Stage::EndOfData => evaluation(Class::EndOfData, &mut effects).end_of_data().await,
                Stage::Etrn => evaluation(Class::Etrn, &mut effects).etrn().await,
            }
        };
        let verdict = match verdict {
            Verdict::Permit | Verdict::Dunno if stage == Stage::Mail => self.decide_rewriting(facts).await,
            other => other,
        };
        match stage {
            _ if of_message || stage == Stage::Mail => self.incoming.effects = effects,
            Stage::EndOfData => self.incoming.late_effects = effects,
            _ => {}
        }
        verdict.into()
    }

    async fn flush(&mut self, domain: &[u8]) -> Flushed {
        let Some(flush) = &self.worker.flush else { return Flushed::NotServed };
        match flush.ask(&Request::SendSite(domain.to_vec())).await {
            Ok(Status::Done) => Flushed::Begun,
            Ok(Status::Denied) => Flushed::NotServed,
            Ok(Status::Bad) => Flushed::Bad,
            Ok(Status::Failed) | Err(_) => {
                logging::warning!("unable to talk to fast flush service");
                Flushed::Unable
            }
        }
    }

    fn log(&self, action: &str, text: &str, facts: Facts<'_>) {
        let soft = self.settings.soft_bounce && action == "reject";
        let text = if soft { softened(text) } else { text.to_owned() };
        logging::emit(&decided(&facts, self.settings.log_addresses, action, &text));
    }

    fn note(&self, what: &str, address: &[u8], peer: &Peer) {
        self.settings.old.note_utf8(what, address, &peer.label);
    }

    fn begin(&mut self) {
        self.memory.instance = self.worker.instance();
    }

    async fn open_early(&mut self, facts: Facts<'_>) -> Result<Option<String>, Unqueued> {
        if self.worker.proxy.is_some() {
            return Ok(None);
        }
        Ok(Some(self.open(facts).await?.queue_id().as_str().to_owned()))
    }

    async fn take(
        &mut self,
        facts: Facts<'_>,
        parameters: &RcptParameters,
        argument: &[u8],
    ) -> Result<Option<String>, Unqueued> {
        if let Some(filter) = &self.worker.proxy {
            self.incoming.proxy(filter, &facts, argument, self.local_rewrite).await?;
            return Ok(None);
        }
        if self.incoming.message.is_none() {
            self.open(facts).await?;
        }
        let Some(message) = &mut self.incoming.message else { return Err(Unqueued::NotOpened) };
        smtp_server::encode_recipient(message.records(), facts.recipient.unwrap_or_default(), parameters, argument);
        match message.flow().await {
            Ok(()) => Ok(Some(message.queue_id().as_str().to_owned())),
            Err(error) => {
                logging::warning!("problem talking to service cleanup: {error}");
                Err(Unqueued::Lost)
            }
        }
    }

    async fn begin_content(&mut self, facts: Facts<'_>) -> Result<(), Turn> {
        self.incoming.begin_content(&facts, &self.settings).await
    }

    async fn finish(&mut self, facts: Facts<'_>) -> Result<Option<Reply>, Turn> {
        if self.incoming.proxied.is_some() {
            let said = self.incoming.finish_proxied(&facts, self.settings.log_addresses).await?;
            self.memory.warned.set(false);
            return Ok(Some(said));
        }
        let hostname = &self.settings.dialogue.myhostname;
        self.incoming.finish(&self.worker.cleanup, &mut self.filtering, hostname).await?;
        // The errors before a message that was taken are none for the postmaster.
        self.memory.warned.set(false);
        Ok(None)
    }

    async fn abort(&mut self) {
        self.memory.instance.clear();
        self.incoming.abort(self.worker.cleanup.pool()).await;
        self.filtering.end_message().await;
    }
}

/// A rejection as it is under soft_bounce: its code and its status are of the class that passes.
fn softened(text: &str) -> String {
    let Some(rest) = text.strip_prefix('5') else { return text.to_owned() };
    match rest.split_once(" 5.") {
        Some((digits, words)) if digits.len() == 2 => format!("4{digits} 4.{words}"),
        _ => format!("4{rest}"),
    }
}

#[cfg(test)]
mod soft_bounce {
    use super::softened;

    #[test]
    fn a_rejection_loses_its_finality_in_code_and_status() {
        let texts = ["552 5.3.4 Message of 5.0", "554 no status 5.1", "450 4.1.1 x", ""];
        let expected = ["452 4.3.4 Message of 5.0", "454 no status 5.1", "450 4.1.1 x", ""];
        assert_eq!(texts.map(softened), expected);
    }
}
