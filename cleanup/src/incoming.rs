//! One message on its way into the queue: the file that is written, and what is known so far.
//!
//! The message is accepted only by [`Incoming::finish`]; dropped before that, its file is removed. A failure does not
//! stop the client: the rest is read, and the outcome says what was wrong.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use dsn::Return;
use ipc::bounds::MAX_BYTES;
use ipc::cleanup::{Cause, Flags, Outcome};
use queue::{Encoding, NewFile, QueueId, QueueName, SizeRecord, Type};

use crate::extracted::Findings;
use crate::handover::Token;
use crate::header::Header;
use crate::mime::Structure;
use crate::recipients::{Pending, Recipients};
use crate::site::Site;

/// Which part of the message comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Sender, recipients, attributes.
    Envelope,
    /// Header of the content.
    Header,
    /// The rest of the content.
    Body,
    /// What the client found in the content.
    Extracted,
    /// Nothing more.
    Complete,
}

/// What the envelope says, for headers and log lines.
#[derive(Debug, Default)]
pub struct Facts {
    /// Arrival time; `None` before the first record.
    pub arrival: Option<(i64, u32)>,
    /// When the queue file was made.
    pub created: i64,
    /// Sender in standard form.
    pub sender: Option<Vec<u8>>,
    /// Full name of a local user.
    pub full_name: Vec<u8>,
    /// rewrite_context is remote: headers are completed with remote_header_rewrite_domain or not at all.
    pub remote: bool,
    /// log_message_origin, log_protocol_name, log_helo_name.
    pub origin: Vec<u8>,
    /// log_protocol_name.
    pub protocol: Vec<u8>,
    /// log_helo_name.
    pub helo: Vec<u8>,
    /// `encoding`: what the client said of the body.
    pub encoding: Encoding,
    /// ENVID, for a notification.
    pub envelope_id: Vec<u8>,
    /// RET, for a notification.
    pub returned: Return,
    /// Attributes so far.
    pub attributes: usize,
}

/// Why the message is not accepted.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What was wrong.
    pub cause: Cause,
    /// For the client: a text with an enhanced status code in front, or empty where the cause says it all.
    pub text: String,
}

/// One message.
pub struct Incoming<'w> {
    pub(crate) site: &'w Site,
    token: Token<'w>,
    pub(crate) file: NewFile,
    pub(crate) id: QueueId,
    pub(crate) flags: Flags,
    pub(crate) stage: Stage,
    pub(crate) facts: Facts,
    /// The first thing that was wrong.
    pub(crate) failure: Option<Failure>,
    pub(crate) pending: Pending,
    pub(crate) recipients: Recipients,
    pub(crate) header: Header,
    pub(crate) structure: Structure,
    pub(crate) findings: Findings,
    pub(crate) size: SizeRecord,
    /// Bytes of content records.
    pub(crate) content: u64,
    /// Bytes of the body that were checked.
    pub(crate) checked: u64,
}

impl<'w> Incoming<'w> {
    /// Makes the file.
    ///
    /// # Errors
    /// It cannot be made; the error names it.
    pub fn open(site: &'w Site, token: Token<'w>, flags: Flags) -> io::Result<Self> {
        let settings = &site.settings;
        let mode = queue::create::INCOMPLETE;
        let mut file = NewFile::create(&settings.spool, QueueName::Incoming, mode, settings.long_ids)?;
        let size = SizeRecord::default();
        file.push_encoded(&size.encode())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let mut structure = Structure::default();
        if settings.plain_input {
            structure.turn_off(); // disable_mime_input_processing
        }
        Ok(Incoming {
            site,
            token,
            id: file.id().clone(),
            file,
            flags,
            stage: Stage::Envelope,
            facts: Facts { created, ..Facts::default() },
            failure: None,
            pending: Pending::default(),
            recipients: Recipients::default(),
            header: Header::default(),
            structure,
            findings: Findings::default(),
            size,
            content: 0,
            checked: 0,
        })
    }

    /// Its queue identifier.
    pub fn id(&self) -> &QueueId {
        &self.id
    }

    /// Takes some records of the client.
    pub async fn take(&mut self, mut bytes: &[u8]) {
        while let Some((kind, payload, rest)) = queue::record::split_first(bytes) {
            bytes = rest;
            if !self.goes_on() {
                return;
            }
            if payload.len() > MAX_BYTES && !matches!(self.stage, Stage::Header | Stage::Body) {
                self.fail(Cause::Content, "5.1.0 Error: address too long");
                continue;
            }
            match self.stage {
                Stage::Envelope => self.envelope_record(kind, payload).await,
                Stage::Header | Stage::Body => self.content_record(kind, payload).await,
                Stage::Extracted => self.extracted_record(kind, payload).await,
                Stage::Complete => self.fail_protocol("records behind the end"),
            }
        }
        if !bytes.is_empty() && self.goes_on() {
            self.fail_protocol("a record that is cut off");
        }
    }

    /// Ends the message: puts it on stable storage, or says why not.
    pub async fn finish(mut self) -> Outcome {
        if self.failure.is_none() && self.flags.has(Flags::DISCARD) {
            self.log_removal("discarded");
            return Outcome::Accepted(self.id);
        }
        if self.failure.is_none() && self.stage != Stage::Complete {
            self.fail_protocol("no end of the message");
        }
        if self.failure.is_none() && self.size.recipients == 0 {
            // Postfix: nobody to deliver to.
            self.fail(Cause::NoRecipients, "");
        }
        if self.failure.is_none() {
            self.miss();
        }
        if let Some(failure) = self.failure.clone() {
            return self.give_up(failure).await;
        }
        if let Err(reason) = self.trace_expansions().await {
            logging::warning!("{}: trace service failure: {reason}", self.id);
            return Outcome::refused(Cause::Write, "");
        }
        match self.commit().await {
            Ok(id) => Outcome::Accepted(id),
            Err((id, error)) => {
                logging::warning!("{id}: write queue file: {error}", error = text::system_error(&error));
                Outcome::refused(Cause::Write, "")
            }
        }
    }

    async fn commit(mut self) -> Result<QueueId, (QueueId, io::Error)> {
        let hold = self.flags.has(Flags::HOLD);
        let stored = async {
            if hold {
                self.file.move_to(QueueName::Hold)?;
            }
            let complete = self.file.complete(&self.size)?;
            self.token.store(complete, &self.site.settings.spool).await
        };
        match stored.await {
            Err(error) => Err((self.id, error)),
            Ok(id) => {
                if !hold {
                    self.token.arrived(id.clone());
                }
                Ok(id)
            }
        }
    }

    /// Notes a failure with a text for the client, which may be empty; the first one counts.
    pub(crate) fn fail(&mut self, cause: Cause, text: &str) {
        self.failure.get_or_insert_with(|| Failure { cause, text: text.to_owned() });
    }

    /// Notes that the client does not keep to the protocol: what it did is for the log.
    pub(crate) fn fail_protocol(&mut self, what: &str) {
        logging::warning!("{}: cleanup client: {what}", self.id);
        self.fail(Cause::Protocol, "");
    }

    /// Whether this is what was wrong first.
    pub(crate) fn has_failed_for(&self, cause: Cause) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.cause == cause)
    }

    /// Whether records are still looked at. A message that will be bounced is completed for the notification.
    pub(crate) fn goes_on(&self) -> bool {
        !self.flags.has(Flags::DISCARD) && (self.failure.is_none() || self.will_bounce())
    }

    /// Appends a record to the file.
    pub(crate) fn put(&mut self, kind: Type, payload: &[u8]) {
        let result = self.file.push(kind, payload);
        self.written(result);
    }

    /// Appends an attribute to the file.
    pub(crate) fn put_attribute(&mut self, name: &str, value: &[u8]) {
        let result = self.file.push_attribute(name, value);
        self.written(result);
    }

    fn written(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            logging::warning!("{}: write queue file: {error}", self.id, error = text::system_error(&error));
            self.fail(Cause::Write, "");
        }
    }

    /// Where the next record will be.
    pub(crate) fn offset(&self) -> u64 {
        self.file.offset()
    }
}
