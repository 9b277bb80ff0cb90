//! One message on its way into the queue: its records go from stage to stage.
//!
//! The message is accepted only by [`Incoming::finish`]; dropped before that, its file is removed. A failure does not
//! stop the client: the rest is read, and the outcome says what was wrong.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use dsn::Status;
use ipc::bounds::MAX_BYTES;
use ipc::cleanup::{Cause, Filter, Flags, MAX_FILTERS, Outcome};
use logging::records::qmgr::Removed;
use message::header::trim;
use queue::record::parse_number;
use queue::{QueueId, SendOptions, SizeRecord, Type};

use crate::bounced;
use crate::content::Content;
use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::handover::Token;
use crate::kept::Kept;
use crate::message::Message;
use crate::milters::{self, Failed, Filtered, Viewer};
use crate::recipients::Recipients;
use crate::site::Site;
use crate::writer::Writer;

/// Which part of the message comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Sender, recipients, attributes.
    Envelope,
    /// Header and body.
    Content,
    /// What the client found in the content, and recipients of `sendmail -t`. They stand behind it, for a client that
    /// passes the header on as it comes knows them only then.
    Extracted,
    /// The client has said that it is done: a message that is cut off in any earlier stage is not accepted.
    Complete,
}

/// One message.
pub struct Incoming<'w> {
    message: Message<'w>,
    token: Token<'w>,
    stage: Stage,
    writer: Writer,
    envelope: Envelope,
    recipients: Recipients,
    content: Content,
    /// Filters that the client has handed over.
    viewers: Vec<Viewer>,
    /// Filters have had their word: a message that they leave without recipients is accepted, and goes nowhere.
    is_filtered: bool,
}

impl<'w> Incoming<'w> {
    /// Makes the file, before the first record comes: its name is the queue id that the client logs and is told. A
    /// client that knows it already has had a file kept for it.
    ///
    /// # Errors
    /// It cannot be made; the error names it.
    pub fn open(site: &'w Site, token: Token<'w>, flags: Flags, kept: Option<Kept>) -> io::Result<Self> {
        let writer = Writer::create(site, flags, kept)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let is_emulated = flags.has(Flags::MILTER) && !site.milters.is_empty();
        Ok(Incoming {
            message: Message { site, id: writer.id().clone(), flags },
            token,
            stage: Stage::Envelope,
            writer,
            envelope: Envelope::new(created),
            recipients: Recipients::new(is_emulated),
            content: Content::new(&site.settings, flags.has(Flags::FILTER)),
            viewers: Vec::new(),
            is_filtered: false,
        })
    }

    /// Its queue identifier.
    pub fn id(&self) -> &QueueId {
        &self.message.id
    }

    /// Takes a filter that is to see the message.
    ///
    /// # Errors
    /// It cannot be one; the text for the log.
    pub fn take_filter(&mut self, filter: Filter, connection: Option<OwnedFd>) -> Result<(), String> {
        let connection = connection.ok_or("a filter without a connection")?;
        if self.viewers.len() >= MAX_FILTERS || !self.message.flags.has(Flags::FILTERED) {
            return Err("a filter too many".to_owned());
        }
        let viewer = Viewer::handed(filter, connection);
        self.viewers.push(viewer.map_err(|error| format!("a filter's connection: {}", text::system_error(&error)))?);
        Ok(())
    }

    /// Takes some records of the client. After a failure they are read and dropped, for a client that is in the middle
    /// of its message listens to nobody until it has sent all of it.
    pub async fn take(&mut self, mut bytes: &[u8]) {
        while let Some((kind, payload, rest)) = queue::record::split_first(bytes) {
            bytes = rest;
            if !self.writer.verdict.goes_on() {
                return;
            }
            let Incoming { message, writer, envelope, content, .. } = self;
            if self.stage == Stage::Content && content.take_text(message, envelope, writer, kind, payload) {
                continue;
            }
            if let Err(failure) = self.record(kind, payload).await {
                self.writer.refuse(failure);
            }
        }
        if !bytes.is_empty() && self.writer.verdict.goes_on() {
            self.writer.refuse(Failure::protocol("a record that is cut off"));
        }
    }

    async fn record(&mut self, kind: Type, data: &[u8]) -> Result<(), Failure> {
        // What fits into the file but into no request would be queued, and could never be handed to an agent.
        if data.len() > MAX_BYTES && self.stage != Stage::Content {
            return Err(Failure::telling(Cause::Content, Status::new(5, 1, 0), "Error: address too long"));
        }
        match self.stage {
            Stage::Envelope => self.envelope_record(kind, data).await,
            Stage::Content => {
                self.content_record(kind, data).await;
                Ok(())
            }
            Stage::Extracted => self.extracted_record(kind, data).await,
            Stage::Complete => Err(Failure::protocol("records behind the end")),
        }
    }

    async fn envelope_record(&mut self, kind: Type, data: &[u8]) -> Result<(), Failure> {
        let Incoming { message, writer, envelope, recipients, .. } = self;
        if kind != Type::TIME {
            envelope.begin(writer);
        }
        match kind {
            Type::SENDER => {
                envelope.take_sender(message, writer, data).await?;
                recipients.copy_for_sender(message, writer, envelope.sender()).await?;
            }
            Type::RECIPIENT => recipients.take(message, envelope, writer, data).await?,
            // A file that is queued again (postsuper -r) has recipients that are done: they are not written again.
            Type::DONE | Type::CANCELED | Type::ORIGINAL | Type::DSN_RECIPIENT | Type::NOTIFY => {
                recipients.property(kind, data);
            }
            Type::ATTRIBUTE => {
                let at = data.iter().position(|b| *b == b'=');
                let at = at.ok_or_else(|| Failure::protocol("an attribute without a value"))?;
                let (name, value) = (trim(&data[..at]), &data[at + 1..]);
                if !recipients.attribute(name, value) {
                    envelope.attribute(message, writer, name, value);
                }
            }
            Type::SIZE => message.flags = asked(message.flags, SizeRecord::wishes(data)),
            Type::FLAGS => self.more_flags(data)?,
            Type::MESSAGE => {
                envelope.end(message, writer)?;
                self.stage = Stage::Content;
            }
            _ => envelope.record(message, writer, kind, data),
        }
        Ok(())
    }

    async fn content_record(&mut self, kind: Type, data: &[u8]) {
        let Incoming { message, writer, envelope, content, .. } = self;
        if kind != Type::EXTRACTED {
            return content.take(message, envelope, writer, kind, data).await;
        }
        if content.end(message, envelope, writer).await {
            self.stage = Stage::Extracted;
        }
    }

    async fn extracted_record(&mut self, kind: Type, data: &[u8]) -> Result<(), Failure> {
        let Incoming { message, writer, envelope, recipients, content, .. } = self;
        if !matches!(kind, Type::FILTER | Type::REDIRECT | Type::FLAGS) {
            content.write_found(message, envelope, writer);
        }
        match kind {
            Type::RECIPIENT => recipients.take_late(message, envelope, writer, data).await?,
            Type::DONE | Type::CANCELED | Type::ORIGINAL | Type::DSN_RECIPIENT => recipients.property(kind, data),
            Type::ATTRIBUTE => {
                let mut parts = data.splitn(2, |b| *b == b'=');
                let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                // Others were found in the content, which was looked at here.
                recipients.attribute(name, value);
            }
            Type::FILTER | Type::REDIRECT => {
                // It is about recipients that stand before it: none may be delivered before this was read.
                writer.mix();
                writer.put(kind, data);
            }
            Type::NOTIFY | Type::RETURN_RECEIPT | Type::ERRORS_TO | Type::PRIORITY | Type::INSPECTOR => {}
            Type::FLAGS => self.more_flags(data)?,
            // How an earlier file of this message was edited in place; this one is written in order.
            Type::POINTER | Type::KILLED => {}
            Type::END => self.end().await,
            _ => return Err(Failure::protocol(&format!("unexpected record type {kind:?} behind the content"))),
        }
        Ok(())
    }

    /// What the client found out after it began: access tables of smtpd say HOLD and DISCARD at any time.
    fn more_flags(&mut self, data: &[u8]) -> Result<(), Failure> {
        let bits = parse_number(data).and_then(|bits| u32::try_from(bits).ok());
        let bits = bits.ok_or_else(|| Failure::protocol("flags that are no number"))?;
        self.writer.verdict.add(Flags::of_record(bits));
        Ok(())
    }

    /// The client's last record: hidden copies, and the end of the file. Everything that the client said is in the file
    /// by now, and nothing of it is mail: who edits a message as a whole does so between the two.
    async fn end(&mut self) {
        let Incoming { message, writer, recipients, content, .. } = self;
        recipients.copies(message, writer, content.take_copies()).await;
        writer.put(Type::END, b"");
        self.stage = Stage::Complete;
    }

    /// Ends the message: puts it on stable storage, or says why not; and which filters do not work any more.
    pub async fn finish(mut self) -> (Outcome, Failed) {
        let failed = self.filter().await;
        (self.conclude().await, failed)
    }

    /// Shows the message to its filters; one that a check has sent to somebody else, without its content.
    async fn filter(&mut self) -> Failed {
        let is_whole = self.stage == Stage::Complete && self.writer.recipients() > 0;
        if !is_whole || self.writer.verdict.failure().is_some() || self.writer.verdict.discard {
            return Failed::new();
        }
        let is_emulated = self.message.flags.has(Flags::MILTER) && !self.message.site.milters.is_empty();
        let is_shown = !self.content.is_redirected();
        let mut viewers = std::mem::take(&mut self.viewers);
        let Incoming { message, writer, envelope, recipients, .. } = self;
        let mut filtered = Filtered { message, writer, envelope, recipients };
        if is_emulated {
            viewers = filtered.emulate().await;
        }
        if !is_shown {
            milters::end(&mut viewers).await;
            return Failed::new();
        }
        let failed = Box::pin(filtered.run(viewers)).await;
        self.is_filtered = true;
        failed
    }

    async fn conclude(mut self) -> Outcome {
        if self.writer.verdict.failure().is_none() {
            // The client is told that all is well: that is what DISCARD is for.
            if self.writer.verdict.discard {
                self.log_removal("discarded");
                return Outcome::Accepted(self.message.id);
            }
            self.judge();
        }
        if let Some(failure) = self.writer.verdict.failure().cloned() {
            return self.give_up(failure).await;
        }
        // Before the commit: afterwards the client could not be told any more that it has to come again.
        if let Err(reason) = bounced::trace(&self.message, self.recipients.expansions).await {
            logging::warning!(id: self.message.id, "trace service failure: {reason}");
            return Outcome::refused(Cause::Write, "");
        }
        let Incoming { message, token, writer, .. } = self;
        match commit(&message, token, writer).await {
            Ok(id) => Outcome::Accepted(id),
            Err(error) => {
                logging::warning!(id: message.id, "write queue file: {error}", error = text::system_error(&error));
                Outcome::refused(Cause::Write, "")
            }
        }
    }

    /// What can be said only at the end: that nothing came which would have made the message whole.
    fn judge(&mut self) {
        let Incoming { message, writer, content, envelope, .. } = self;
        if self.stage != Stage::Complete {
            writer.refuse(Failure::protocol("no end of the message"));
        } else if writer.recipients() == 0 && !self.is_filtered && !envelope.is_probe {
            writer.refuse(Failure::new(Cause::NoRecipients)); // Postfix: nobody to deliver to
        } else {
            // A message that was redirected is not looked at any more.
            let filter = if content.is_checked() { Flags::default() } else { Flags::FILTER };
            message.site.missing.judge(message.flags.without(filter), writer);
        }
    }

    /// Ends a message that is not accepted. A client that has nobody to tell (pickup) has the sender notified instead;
    /// a message without its end or without recipients is left to it.
    async fn give_up(mut self, failure: Failure) -> Outcome {
        let writer = &mut self.writer;
        if !writer.verdict.will_bounce() || self.stage != Stage::Complete || writer.recipients() == 0 {
            self.cancel();
            return Outcome::refused(failure.cause, failure.reply.into_text());
        }
        match bounced::notify(&self.message, &self.envelope, writer, &failure).await {
            Ok(()) => {
                self.log_removal("discarded");
                Outcome::Accepted(self.message.id)
            }
            Err(reason) => {
                logging::warning!(id: self.message.id, "bounce message failure: {reason}");
                self.cancel();
                Outcome::refused(Cause::Write, "")
            }
        }
    }

    /// Ends a message that nobody wants any more: dropping it removes the file.
    pub fn cancel(self) {
        self.log_removal("canceled");
    }

    fn log_removal(&self, why: &str) {
        if self.message.site.settings.modern {
            logging::emit(&Removed { queue_id: self.message.id.as_str(), why: Some(why) });
        }
    }
}

/// What the sender of a message that is handed in, or queued again, has asked for.
fn asked(flags: Flags, wishes: SendOptions) -> Flags {
    flags
        .with_if(wishes.has(SendOptions::SMTPUTF8_REQUESTED), Flags::SMTPUTF8)
        .with_if(wishes.has(SendOptions::REQUIRETLS), Flags::REQUIRETLS)
}

/// Stable storage first; qmgr hears of what is in its queue, and not of what is on hold.
async fn commit(message: &Message<'_>, token: Token<'_>, writer: Writer) -> io::Result<QueueId> {
    let is_held = writer.verdict.hold;
    let stored = token.store(writer.complete()?, &message.site.settings.spool).await?;
    let id = stored.id().clone();
    if !is_held {
        token.arrived(stored);
    }
    Ok(id)
}
