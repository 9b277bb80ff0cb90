//! One filter in one session: events go to it as long as it wants them, and what it says stands as long as it means.
//!
//! It must never hold up a session longer than its timeouts, and never be taken to have said anything that it has not:
//! a filter that does not work says what its default action says, for the rest of the session.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use crate::dial::Dial;
use crate::editing::Editor;
use crate::event::Event;
use crate::link::{Link, LinkError};
use crate::macros::{Macros, Stage, Values};
use crate::negotiation::{Agreement, Offer, REJECTED_RECIPIENTS};
use crate::packet::{Head, encode};
use crate::reply::{Reply, ReplyError, Said};
use crate::settings::Settings;

/// What becomes of a command, or of the message, by a filter's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has nothing against it.
    Continue,
    /// This reply.
    Say(Said),
    /// The end of the session.
    Shutdown,
    /// The message is held, for this reason.
    Hold(Vec<u8>),
    /// The message goes nowhere.
    Discard,
}

/// Why a filter is asked nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// It is asked.
    Asked,
    /// It has nothing against the session.
    Content,
    /// It has nothing against the message, or the message goes nowhere.
    ContentWithMessage,
    /// It has said this, or is taken to have said it.
    Said(Verdict),
}

/// A filter.
#[derive(Debug)]
pub struct Filter {
    settings: Rc<Settings>,
    macros: Rc<Macros>,
    pub(crate) link: Option<Link>,
    agreement: Agreement,
    standing: Standing,
    /// It has said "hold" where that ends the talk.
    holds: bool,
    /// No more pieces of this body.
    skips_body: bool,
    /// No more headers of this message.
    skips_headers: bool,
    /// No more recipients of this message.
    skips_recipients: bool,
}

/// Why an exchange has failed.
pub(crate) enum Failure {
    Exchange(LinkError),
    Reply(ReplyError),
}

impl Filter {
    /// A filter that nobody has connected to yet.
    pub fn new(settings: Rc<Settings>, macros: Rc<Macros>) -> Filter {
        Filter {
            settings,
            macros,
            link: None,
            agreement: Agreement::default(),
            standing: Standing::Asked,
            holds: false,
            skips_body: false,
            skips_headers: false,
            skips_recipients: false,
        }
    }

    /// A filter whose connection was made elsewhere, with what was agreed on there.
    ///
    /// # Errors
    /// The loop cannot watch the socket.
    pub fn resumed(
        settings: Rc<Settings>,
        macros: Rc<Macros>,
        agreement: Agreement,
        socket: OwnedFd,
    ) -> std::io::Result<Filter> {
        Ok(Filter { link: Some(Link::new(socket)?), agreement, ..Filter::new(settings, macros) })
    }

    /// How it is dealt with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What was agreed on.
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// Its socket, as long as it is to see the content. One that holds whatever comes is told of no commands any more,
    /// and sees the content all the same, as with Postfix.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        let is_asked = self.standing == Standing::Asked || self.holds;
        self.link.as_ref().filter(|_| is_asked).map(Link::descriptor)
    }

    /// It does not work any more, or has ended the talk.
    pub fn is_lost(&self) -> bool {
        self.link.is_none()
    }

    /// What it has said for good, if it has.
    pub fn standing(&self) -> Option<&Verdict> {
        match &self.standing {
            Standing::Said(verdict) => Some(verdict),
            _ => None,
        }
    }

    /// Whether it wants to hear of recipients that were turned down.
    pub fn wants_rejected_recipients(&self) -> bool {
        self.link.is_some() && self.agreement.steps & REJECTED_RECIPIENTS != 0
    }

    /// The names of the macros of a stage.
    pub fn names(&self, stage: Stage) -> &[String] {
        let own = self.agreement.macros.iter().rev().find(|(known, names)| *known == stage && !names.is_empty());
        own.map_or_else(|| self.macros.names(stage), |(_, names)| names)
    }

    /// The data of the macro packets of a stage.
    pub fn payload(&self, stage: Stage, values: &dyn Values) -> Vec<u8> {
        self.macros.payload(self.names(stage), values)
    }

    /// Connects, and agrees on what is spoken.
    pub async fn open(&mut self, dial: &dyn Dial) {
        let service = text::printable(self.settings.service.as_bytes());
        let endpoint = match &self.settings.endpoint {
            Ok(endpoint) => endpoint,
            Err(why) => {
                logging::warning!("{why}");
                return self.is_misconfigured();
            }
        };
        let offer = match Offer::parse(&self.settings.protocol) {
            Ok(offer) => offer,
            Err(why) => {
                logging::warning!("milter {service}: {why}");
                return self.is_misconfigured();
            }
        };
        let limit = self.settings.connect_timeout;
        let link = match tokio::time::timeout(limit, dial.dial(endpoint)).await {
            Ok(Ok(socket)) => Link::new(socket).map_err(|error| text::system_error(&error)),
            Ok(Err(error)) => Err(text::system_error(&error)),
            Err(_) => Err("Connection timed out".to_owned()),
        };
        match link {
            Ok(link) => match negotiate(&link, &offer, limit).await {
                Ok(agreement) => (self.link, self.agreement) = (Some(link), agreement),
                Err(why) => {
                    logging::warning!("milter {service}: {why}");
                    self.is_broken();
                }
            },
            Err(why) => {
                logging::warning!("connect to Milter service {service}: {why}");
                self.is_broken();
            }
        }
    }

    /// Tells it of an event other than the end of a message. `payload`: the macros that go before it.
    pub async fn event(&mut self, event: &Event<'_>, payload: &[u8]) -> Verdict {
        if let Some(verdict) = self.unasked(event) {
            return verdict;
        }
        let limit = self.limit(event);
        match self.exchange(event, payload, limit).await {
            Ok(reply) => self.take(event, reply),
            Err(failure) => self.fail(event, failure),
        }
    }

    /// Tells it of the end of a message, and has changed what it wants changed.
    pub async fn end_of_body(&mut self, payload: &[u8], editor: &mut impl Editor) -> Verdict {
        let event = Event::EndOfBody;
        if let Some(verdict) = self.unasked(&event) {
            return verdict;
        }
        let limit = self.settings.content_timeout;
        if let Err(failure) = self.tell(&event, payload, limit).await {
            return self.fail(&event, failure);
        }
        match self.edits(editor, limit).await {
            Ok(verdict) => verdict,
            Err(failure) => self.fail(&event, failure),
        }
    }

    /// The message that it was told of is over; it goes on to the next one.
    pub async fn abort(&mut self) {
        self.say(b'A').await;
        if self.standing == Standing::ContentWithMessage {
            self.standing = Standing::Asked;
        }
        (self.skips_body, self.skips_headers, self.skips_recipients) = (false, false, false);
    }

    /// The session is over.
    pub async fn close(&mut self) {
        self.say(b'Q').await;
        self.link = None;
    }

    /// It has failed elsewhere: what its default action says stands from now on.
    pub fn has_failed(&mut self) {
        self.is_broken();
    }

    /// A packet that is not answered. Whether it arrives is found out at the next event.
    async fn say(&mut self, command: u8) {
        if let Some(link) = &self.link {
            let mut out = Vec::new();
            encode(&mut out, command, &[]);
            let _ = link.send(&out, self.settings.command_timeout).await;
        }
    }

    /// What it says without being asked.
    fn unasked(&self, event: &Event<'_>) -> Option<Verdict> {
        match &self.standing {
            Standing::Asked if self.link.is_some() => None,
            Standing::Asked | Standing::Content | Standing::ContentWithMessage => Some(Verdict::Continue),
            Standing::Said(verdict) => {
                if self.holds {
                    let service = text::printable(self.settings.service.as_bytes());
                    let event = event.name();
                    logging::warning!("milter8_event: attempt to send event {event} to milter {service} after error");
                }
                Some(verdict.clone())
            }
        }
    }

    fn limit(&self, event: &Event<'_>) -> Duration {
        match event {
            Event::Header(..) | Event::EndOfHeader | Event::Body(_) | Event::EndOfBody => self.settings.content_timeout,
            _ => self.settings.command_timeout,
        }
    }

    /// Sends the macros and the event; false if that is not to be answered.
    async fn tell(&mut self, event: &Event<'_>, payload: &[u8], limit: Duration) -> Result<bool, Failure> {
        let is_absent =
            event.is_absent(&self.agreement) || (self.skips_recipients && matches!(event, Event::Recipient(..)));
        let (Some(link), false) = (&self.link, is_absent) else { return Ok(false) };
        let mut out = Vec::new();
        encode(&mut out, b'D', &[&[event.command()], payload]);
        let is_declined = event.is_declined(&self.agreement);
        let skipped = match event {
            Event::Body(_) => self.skips_body || is_declined,
            Event::Header(..) => self.skips_headers || is_declined,
            // Of a command that it declines a filter gets the macros all the same, as with Postfix.
            Event::EndOfHeader => is_declined,
            _ => false,
        };
        if skipped {
            return Ok(false);
        }
        if !is_declined {
            event.encode(&mut out);
        }
        link.send(&out, limit).await.map_err(Failure::Exchange)?;
        Ok(!is_declined && event.is_answered(&self.agreement))
    }

    async fn exchange(&mut self, event: &Event<'_>, payload: &[u8], limit: Duration) -> Result<Reply, Failure> {
        if !self.tell(event, payload, limit).await? {
            return Ok(Reply::Continue);
        }
        let mut hold = None;
        loop {
            let Some(link) = &self.link else { return Ok(Reply::Continue) };
            match (read(link, event, limit).await?, hold.take()) {
                (Reply::Progress, earlier) => hold = earlier,
                (Reply::Hold(reason), _) => hold = Some(reason),
                // To hold a message is no answer: one follows.
                (Reply::Continue | Reply::Accept, Some(reason)) => return Ok(Reply::Hold(reason)),
                (reply, _) => return Ok(reply),
            }
        }
    }

    pub(crate) fn take(&mut self, event: &Event<'_>, reply: Reply) -> Verdict {
        let is_early = matches!(event, Event::Connect(_) | Event::Helo(_));
        match reply {
            Reply::Continue | Reply::Progress => Verdict::Continue,
            Reply::Skip => {
                self.skips_body |= matches!(event, Event::Body(_));
                self.skips_headers |= matches!(event, Event::Header(..));
                self.skips_recipients |= matches!(event, Event::Recipient(..));
                Verdict::Continue
            }
            Reply::Accept if matches!(event, Event::Unknown(_)) => Verdict::Continue,
            Reply::Accept if is_early => {
                (self.standing, self.link) = (Standing::Content, None);
                Verdict::Continue
            }
            Reply::Accept => {
                self.standing = Standing::ContentWithMessage;
                Verdict::Continue
            }
            Reply::Discard if is_early => {
                let service = text::printable(self.settings.service.as_bytes());
                logging::warning!("milter {service}: DISCARD action is not allowed for connect or helo");
                Verdict::Continue
            }
            Reply::Discard => {
                if !matches!(event, Event::Unknown(_)) {
                    self.standing = Standing::ContentWithMessage;
                }
                Verdict::Discard
            }
            Reply::Reject => self.stands(is_early, Verdict::Say(Said::line(550, "5.7.1 Command rejected"))),
            Reply::Tempfail => {
                let said = Said::line(451, "4.7.1 Service unavailable - try again later");
                self.stands(is_early, Verdict::Say(said))
            }
            Reply::Say(said) => self.stands(is_early, Verdict::Say(said)),
            Reply::Shutdown => self.stands(true, Verdict::Shutdown),
            Reply::Hold(reason) => {
                self.holds = true;
                self.standing = Standing::Said(Verdict::Hold(reason.clone()));
                Verdict::Hold(reason)
            }
        }
    }

    /// What is said to a client before its first message is said again to each of its messages, and ends the talk.
    fn stands(&mut self, is_for_good: bool, verdict: Verdict) -> Verdict {
        if is_for_good {
            (self.standing, self.link) = (Standing::Said(verdict.clone()), None);
        }
        verdict
    }

    fn fail(&mut self, event: &Event<'_>, failure: Failure) -> Verdict {
        let service = text::printable(self.settings.service.as_bytes());
        let event = event.name();
        match failure {
            Failure::Exchange(LinkError::Length(error)) => logging::warning!("milter {service}: {error}"),
            Failure::Exchange(why) => {
                logging::warning!("milter {service}: can't read {event} reply packet header: {why}");
            }
            Failure::Reply(ReplyError::Broken(why)) => logging::warning!("milter {service}: {why}"),
            Failure::Reply(ReplyError::Misconfigured(why)) => {
                logging::warning!("milter {service}: {why}");
                self.is_misconfigured();
                return self.standing().cloned().unwrap_or(Verdict::Continue);
            }
        }
        self.is_broken();
        self.standing().cloned().unwrap_or(Verdict::Continue)
    }

    fn is_broken(&mut self) {
        let service = &self.settings.service;
        let verdict = self.settings.default_action.of_failure(service);
        self.gives_up(verdict);
    }

    fn is_misconfigured(&mut self) {
        let verdict = self.settings.default_action.of_mistake();
        self.gives_up(verdict);
    }

    fn gives_up(&mut self, verdict: Verdict) {
        self.link = None;
        self.standing = if verdict == Verdict::Continue { Standing::Content } else { Standing::Said(verdict) };
    }
}

async fn read(link: &Link, event: &Event<'_>, limit: Duration) -> Result<Reply, Failure> {
    let head = link.head(limit).await.map_err(Failure::Exchange)?;
    finished(link, head, event, limit).await
}

/// The rest of an answer. What has no data is not read on: the answer is wrong then.
pub(crate) async fn finished(link: &Link, head: Head, event: &Event<'_>, limit: Duration) -> Result<Reply, Failure> {
    let has_data = matches!(head.command, b'y' | b'q');
    let data = if has_data { link.data(head, limit).await.map_err(Failure::Exchange)? } else { Vec::new() };
    Reply::parse(head.command, head.length, &data, event.name()).map_err(Failure::Reply)
}

async fn negotiate(link: &Link, offer: &Offer, limit: Duration) -> Result<Agreement, String> {
    let mut out = Vec::new();
    offer.encode(&mut out);
    let said = async {
        link.send(&out, limit).await?;
        let head = link.head(limit).await?;
        // An answer of another kind is not read on.
        let data = if head.command == b'O' { link.data(head, limit).await? } else { Vec::new() };
        Ok::<_, LinkError>((head.command, data))
    };
    match said.await {
        Ok((b'O', data)) => offer.accept(&data),
        Ok((command, _)) => Err(format!("unexpected reply \"{}\" in initial handshake", text::printable(&[command]))),
        Err(LinkError::Length(error)) => Err(error.to_string()),
        Err(_) => Err("read error in initial handshake".to_owned()),
    }
}
