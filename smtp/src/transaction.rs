//! One message over one session: MAIL, RCPT, DATA, the content, and what became of each recipient.
//!
//! With PIPELINING all commands of the envelope leave in one write, and a small content with its dot in another. The
//! content's end is sent only after all of it: a message that cannot be read to its end is never half delivered.

use delivery::Job;
use delivery::transcript::Speaker;
use dsn::Status;
use smtp_client::Protocol;
use smtp_protocol::Reply;

use crate::envelope::{self, Manner};
use crate::failure::{Failure, Subject};
use crate::outgoing::Addresses;
use crate::pace::Pace;
use crate::session::{Broken, Session};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::writer::{self, Unsendable, Writer};
use crate::{checks, forward, generic};

/// Bytes of commands that may wait for their replies: less than any socket buffer, or both sides might wait for ever.
const PIPELINE_SIZE: usize = 16 << 10;
/// Bytes of content that are written at once.
const CONTENT_SIZE: usize = 32 << 10;

/// What a transaction came to.
#[derive(Debug, Default)]
pub struct Results {
    /// The recipients by index: the reply that took the message, or why it was not taken. In the order of the session.
    pub recipients: Vec<(usize, Result<Reply, Failure>)>,
    /// The session can carry another message.
    pub usable: bool,
    /// A session that had been idle was gone before it took anything: nothing was tried.
    pub stale: bool,
}

/// Offers a message to a server for some of its recipients.
pub async fn transact(
    session: &mut Session,
    settings: &Settings,
    job: &Job,
    addresses: &Addresses,
    recipients: &[usize],
) -> Results {
    let request = job.request();
    if let Some(failure) = envelope::obstacle(request, addresses.sender(request), &session.extensions, &session.server)
    {
        let refused = |index: &usize| (*index, Err(failure.clone()));
        return Results { recipients: recipients.iter().map(refused).collect(), usable: true, stale: false };
    }
    if settings.tls.engine.block_early
        && let Some(failure) = session.early_reply(settings)
    {
        let refused = |index: &usize| (*index, Err(failure.clone()));
        return Results { recipients: recipients.iter().map(refused).collect(), usable: false, stale: false };
    }
    let mut transaction = Transaction::new(settings, job, addresses);
    let mut steps = Vec::with_capacity(recipients.len() + 3);
    if session.unfinished {
        steps.push(Step::Reset);
    }
    // smtp_send_xforward_command
    if settings.dialogue.send_xforward && !session.extensions.xforward.is_empty() {
        transaction.forwards = forward::commands(request, &session.extensions.xforward);
        steps.extend((0..transaction.forwards.len()).map(Step::Forward));
    }
    steps.push(Step::Mail);
    for &index in recipients {
        match request.recipients.get(index) {
            Some(_) if envelope::is_safe(addresses.recipient(request, index)) => steps.push(Step::Rcpt(index)),
            _ => transaction.fail(index, Failure::of_message(Status::new(5, 1, 3), "bad recipient address syntax")),
        }
    }
    // smtp_address_verify_target
    if !job.is_probe() || settings.dialogue.probes_data {
        steps.push(Step::Data);
    }
    transaction.run(session, &steps).await
}

/// One command of the envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Reset,
    Forward(usize),
    Mail,
    Rcpt(usize),
    Data,
}

/// Why the envelope was not finished.
enum Stopped {
    /// The session ended.
    Broken(Broken, Stage),
    /// The server has forgotten the session: a new one may do.
    Stale,
}

struct Transaction<'a> {
    settings: &'a Settings,
    job: &'a Job,
    addresses: &'a Addresses,
    results: Vec<(usize, Result<Reply, Failure>)>,
    /// Which recipients have a result, by index.
    settled: Vec<bool>,
    /// Recipients that the server has taken so far, with its words.
    accepted: Vec<(usize, Reply)>,
    /// MAIL was refused.
    mail: Option<Failure>,
    /// The reply to DATA.
    data: Option<Reply>,
    /// XFORWARD commands.
    forwards: Vec<Vec<u8>>,
    /// Replies that came.
    heard: usize,
}

impl<'a> Transaction<'a> {
    fn new(settings: &'a Settings, job: &'a Job, addresses: &'a Addresses) -> Self {
        let settled = vec![false; job.request().recipients.len()];
        let (results, accepted, forwards) = (Vec::new(), Vec::new(), Vec::new());
        Self { settings, job, addresses, results, settled, accepted, mail: None, data: None, forwards, heard: 0 }
    }

    async fn run(mut self, session: &mut Session, steps: &[Step]) -> Results {
        let usable = match self.envelope(session, steps).await {
            Ok(()) => self.after_envelope(session, steps).await && !session.closing,
            Err(Stopped::Stale) => return Results { stale: true, ..Results::default() },
            Err(Stopped::Broken(broken, stage)) => {
                // Who was refused with MAIL has that answer, whatever became of the session afterwards.
                let failure = self.mail.take().unwrap_or_else(|| session.failure(&broken, stage));
                self.fail_rest(steps, &failure);
                false
            }
        };
        Results { recipients: self.results, usable, stale: false }
    }

    /// All commands before the content.
    async fn envelope(&mut self, session: &mut Session, steps: &[Step]) -> Result<(), Stopped> {
        // A session that had been idle may be gone: as long as nothing was said on it, nothing was tried.
        let idle = session.uses > 1;
        let mut at = 0;
        while at < steps.len() {
            if steps[at] == Step::Data && self.accepted.is_empty() {
                break;
            }
            let end = self.write_group(session, steps, at);
            let stage = steps[at].stage();
            // Replies may have come though the rest could not be sent; where there are none, reading says so.
            if let Err(Broken::TimedOut) = session.send(stage.limit(self.settings)).await {
                return Err(Stopped::Broken(Broken::TimedOut, stage));
            }
            session.unfinished = true;
            for step in &steps[at..end] {
                let stage = step.stage();
                let reply = session.reply(stage.limit(self.settings)).await;
                let reply = reply.map_err(|broken| self.stopped(broken, stage, idle))?;
                let forgotten = *step == Step::Reset && reply.class() != 2;
                if idle && (forgotten || (self.heard == 0 && session.closing)) {
                    return Err(Stopped::Stale);
                }
                self.heard += 1;
                // A reply is about its command alone, 421 too: what was asked before and after has answers of its own.
                self.take(session, *step, reply);
            }
            if self.mail.is_some() {
                break;
            }
            at = end;
        }
        Ok(())
    }

    fn stopped(&self, broken: Broken, stage: Stage, idle: bool) -> Stopped {
        match broken {
            Broken::Lost if idle && self.heard == 0 => Stopped::Stale,
            broken => Stopped::Broken(broken, stage),
        }
    }

    /// Puts the commands into the output that may leave together, and says where they end.
    fn write_group(&self, session: &mut Session, steps: &[Step], start: usize) -> usize {
        for (count, step) in steps[start..].iter().enumerate() {
            let alone = !session.extensions.pipelining || session.output.len() > PIPELINE_SIZE;
            if alone && count > 0 {
                return start + count;
            }
            self.write(session, *step);
        }
        steps.len()
    }

    fn write(&self, session: &mut Session, step: Step) {
        let request = self.job.request();
        // smtp_quote_rfc821_envelope
        let quote = self.settings.dialogue.quote_envelope;
        let start = session.output.len();
        let (extensions, out) = (&session.extensions, &mut session.output);
        match step {
            Step::Reset => out.extend_from_slice(b"RSET"),
            Step::Forward(at) => out.extend_from_slice(&self.forwards[at]),
            Step::Mail => {
                let converts = writer::converts(self.settings, request, extensions);
                let manner = Manner { quote, requires_tls: session.policy.requiretls.is_some(), converts };
                envelope::mail(request, self.addresses.sender(request), extensions, manner, out);
                // smtp_send_dummy_mail_auth
                if session.authenticated && self.settings.sasl.as_ref().is_some_and(|sasl| sasl.says_nobody) {
                    out.extend_from_slice(b" AUTH=<>");
                }
            }
            Step::Rcpt(index) => {
                if let Some(recipient) = request.recipients.get(index) {
                    envelope::rcpt(recipient, self.addresses.recipient(request, index), extensions, quote, out);
                }
            }
            Step::Data => out.extend_from_slice(b"DATA"),
        }
        session.log_sent(start);
        session.output.extend_from_slice(b"\r\n");
    }

    fn take(&mut self, session: &mut Session, step: Step, reply: Reply) {
        session.note_strange(&reply, if step == Step::Data { 3 } else { 2 });
        let refused = || Failure::refused(&session.server, &reply, step.stage().command());
        match step {
            Step::Reset => {}
            Step::Forward(_) if reply.class() == 2 => {}
            // The message is worth more than where it came from.
            Step::Forward(_) => logging::warning!(id: self.job.request().message.queue_id, "{}", refused().reason),
            Step::Mail if reply.class() == 2 => {}
            Step::Mail => self.mail = Some(refused()),
            // What the server says of recipients of a message that it refused does not matter.
            Step::Rcpt(_) if self.mail.is_some() => {}
            Step::Rcpt(index) if reply.class() == 2 => self.accepted.push((index, reply)),
            Step::Rcpt(index) => self.fail(index, refused().of_recipient()),
            Step::Data => self.data = Some(reply),
        }
    }

    /// The content, if somebody is to get it; true when the session is in order afterwards.
    async fn after_envelope(&mut self, session: &mut Session, steps: &[Step]) -> bool {
        let takes_content = self.data.as_ref().is_some_and(|reply| reply.class() == 3);
        if let Some(failure) = self.mail.take() {
            self.fail_rest(steps, &failure);
            // A server that took DATA after all waits for a content that must not come.
            return !takes_content;
        }
        match self.data.take() {
            // A probe: the reply to RCPT is the result.
            None => {
                for (index, reply) in std::mem::take(&mut self.accepted) {
                    self.settle(index, Ok(reply));
                }
                !self.job.is_probe() || reset(session, self.settings).await
            }
            // The result is that the server wants the content, which it does not get: there is no other way out.
            Some(data) if takes_content && self.job.is_probe() && !self.accepted.is_empty() => {
                for (index, _) in std::mem::take(&mut self.accepted) {
                    self.settle(index, Ok(data.clone()));
                }
                session.closing = true;
                false
            }
            Some(_) if takes_content && self.accepted.is_empty() => end_of_nothing(session, self.settings).await,
            Some(_) if takes_content => match self.send_content(session).await {
                Ok(()) => self.outcome(session).await,
                Err(failure) => {
                    self.take_early_refusals(session);
                    self.fail_rest(steps, &failure);
                    false
                }
            },
            Some(data) => {
                let refused = if data.class() == 2 { Failure::confused } else { Failure::refused };
                self.fail_rest(steps, &refused(&session.server, &data, Stage::Data.command()));
                data.class() != 2 && (!self.job.is_probe() || reset(session, self.settings).await)
            }
        }
    }

    async fn send_content(&mut self, session: &mut Session) -> Result<(), Failure> {
        let mut pace = Pace::new(&self.settings.limits);
        let request = self.job.request();
        let mut content = self.job.content();
        let mut writer = Writer::new(self.settings, request, &session.extensions);
        // Those for whom headings differ come alone.
        let recipient = self.accepted.first().map_or(0, |(index, _)| *index);
        for line in self.settings.outgoing.heading(request, self.addresses, recipient) {
            let written = writer.text(&line, true, &mut session.output).await;
            written.map_err(|error| self.unsendable(session, error))?;
        }
        let is_plain = writer.is_plain();
        while let Some(text) = content.next_text().map_err(|error| self.unreadable(session, &error))? {
            if is_plain {
                writer.plain(text.data, text.ends_line, &mut session.output);
            } else {
                let written = writer.text(text.data, text.ends_line, &mut session.output).await;
                written.map_err(|error| self.unsendable(session, error))?;
            }
            if session.output.len() >= CONTENT_SIZE {
                self.send_body(session, &mut pace).await?;
            }
        }
        let ended = writer.end(&mut session.output).await;
        ended.map_err(|error| self.unsendable(session, error))?;
        if writer.broke_lines() {
            // smtp_line_length_limit
            let limit = self.settings.dialogue.line_limit.unwrap_or(0);
            logging::info!(id: self.job.request().message.queue_id, "breaking line > {limit} bytes with <CR><LF>SPACE");
        }
        session.transcript.say(Speaker::Us, b".");
        session.log_dialogue('>', b".");
        if let Some(delay) = session.pix.delay {
            // The end of data, with its dot.
            let end = session.output.split_off(session.output.len().saturating_sub(3));
            self.send_body(session, &mut pace).await?;
            tokio::time::sleep(delay).await;
            session.output = end;
        }
        self.send_body(session, &mut pace).await
    }

    async fn send_body(&self, session: &mut Session, pace: &mut Pace) -> Result<(), Failure> {
        let limit = pace.limit(session.output.len());
        session.send(limit).await.map_err(|broken| session.failure(&broken, Stage::Body))
    }

    /// The message cannot be put into the form in which it is to leave.
    fn unsendable(&self, session: &Session, error: Unsendable) -> Failure {
        match error {
            // The form that the server takes.
            Unsendable::Unreadable(error) => {
                Failure::of_message(Status::new(5, 6, 0), error.to_string()).by(&session.server)
            }
            Unsendable::Unchecked(checks::NoAnswer(class)) => {
                self.unreadable(session, &format_args!("smtp {class} checks lookup error"))
            }
            Unsendable::Unmapped(generic::NoAnswer(text)) => Failure::of_agent(text),
        }
    }

    fn unreadable(&self, session: &Session, error: &dyn std::fmt::Display) -> Failure {
        logging::warning!(id: self.job.request().message.queue_id, "{error}");
        let reason = format!("local data error while talking to {}", session.host);
        Failure::of_message(Status::new(4, 3, 0), reason).by(&session.server)
    }

    /// A server may refuse a content before it has all of it, and hang up. Its refusal is the answer that counts; a
    /// promise about a message that it has not got is none.
    fn take_early_refusals(&mut self, session: &mut Session) {
        let each = self.settings.protocol == Protocol::Lmtp;
        let mut waiting = std::mem::take(&mut self.accepted).into_iter();
        while let Some((index, _)) = waiting.next() {
            let Some(reply) = session.reply_at_hand().filter(|reply| matches!(reply.class(), 4 | 5)) else { return };
            let failure = Failure::refused(&session.server, &reply, Stage::End.command());
            self.fail(index, failure.clone());
            if !each {
                waiting.by_ref().for_each(|(other, _)| self.fail(other, failure.clone()));
            }
        }
    }

    /// What the server makes of the content: one reply, or with LMTP one a recipient (RFC 2033 4.2), each for itself.
    /// True when the session is in order.
    async fn outcome(&mut self, session: &mut Session) -> bool {
        let each = self.settings.protocol == Protocol::Lmtp;
        let mut waiting = std::mem::take(&mut self.accepted).into_iter();
        while let Some((index, _)) = waiting.next() {
            let said = session.reply(Stage::End.limit(self.settings)).await;
            said.iter().for_each(|reply| session.note_strange(reply, 2));
            let result = match said {
                Ok(reply) if reply.class() == 2 => Ok(reply),
                Ok(reply) => Err(Failure::refused(&session.server, &reply, Stage::End.command())),
                Err(broken) => Err(session.failure(&broken, Stage::End)),
            };
            let broken = result.as_ref().is_err_and(|failure| failure.subject == Subject::Host);
            if !each || broken {
                self.settle(index, result.clone());
                waiting.for_each(|(other, _)| self.settle(other, result.clone()));
                session.unfinished = false;
                return !broken;
            }
            self.settle(index, result);
        }
        session.unfinished = false;
        true
    }

    fn fail(&mut self, index: usize, failure: Failure) {
        self.settle(index, Err(failure));
    }

    fn settle(&mut self, index: usize, result: Result<Reply, Failure>) {
        if let Some(settled) = self.settled.get_mut(index)
            && !std::mem::replace(settled, true)
        {
            self.results.push((index, result));
        }
    }

    /// The failure of every recipient that has no result yet.
    fn fail_rest(&mut self, steps: &[Step], failure: &Failure) {
        for step in steps {
            if let Step::Rcpt(index) = step {
                self.fail(*index, failure.clone());
            }
        }
    }
}

/// Takes the envelope of a probe back, of which the server is not to wait for the rest; true when the session is in
/// order.
async fn reset(session: &mut Session, settings: &Settings) -> bool {
    let start = session.output.len();
    session.output.extend_from_slice(b"RSET");
    session.log_sent(start);
    session.output.extend_from_slice(b"\r\n");
    let limit = Stage::Reset.limit(settings);
    let replied = match session.send(limit).await {
        Ok(()) => session.reply(limit).await,
        Err(broken) => Err(broken),
    };
    session.unfinished = false;
    replied.is_ok_and(|reply| reply.class() == 2)
}

/// The server took DATA, though it took no recipient: it gets an empty content, and its answer does not matter.
async fn end_of_nothing(session: &mut Session, settings: &Settings) -> bool {
    session.command(&[b"."]);
    let limit = Stage::End.limit(settings);
    if session.send(limit).await.is_err() {
        return false;
    }
    session.unfinished = false;
    settings.protocol == Protocol::Lmtp || session.reply(limit).await.is_ok()
}

impl Step {
    fn stage(self) -> Stage {
        match self {
            Self::Reset => Stage::Reset,
            Self::Forward(_) => Stage::Forward,
            Self::Mail => Stage::Mail,
            Self::Rcpt(_) => Stage::Rcpt,
            Self::Data => Stage::Data,
        }
    }
}
