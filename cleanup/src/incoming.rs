//! One message on its way into the queue: the file that is written, and what is known so far.
//!
//! The message is accepted only by [`Incoming::finish`]; dropped before that, its file is removed. A failure does not
//! stop the client: the rest is read, and the outcome says what was wrong.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use ipc::bounds::MAX_BYTES;
use ipc::cleanup::{Outcome, flags, status};
use queue::{NewFile, QueueName, SizeRecord, Type};

use crate::extracted::Findings;
use crate::header::Header;
use crate::mime::Structure;
use crate::recipients::{Pending, Recipients};
use crate::records;
use crate::service::{self, Cleanup, Token};

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
    pub encoding: Vec<u8>,
    /// ENVID, for a notification.
    pub envelope_id: Vec<u8>,
    /// RET, for a notification.
    pub ret_flags: u32,
    /// Attributes so far.
    pub attributes: usize,
}

/// Why the message is not accepted.
#[derive(Debug, Default)]
pub struct Failure {
    /// Bits of [`status`]; 0: no failure.
    pub status: u32,
    /// A text with an enhanced status code in front, or empty.
    pub reason: String,
}

/// One message.
pub struct Incoming<'w> {
    pub(crate) worker: &'w Cleanup,
    token: Token<'w>,
    pub(crate) file: NewFile,
    pub(crate) id: String,
    pub(crate) flags: u32,
    pub(crate) stage: Stage,
    pub(crate) facts: Facts,
    pub(crate) failure: Failure,
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
    pub fn open(worker: &'w Cleanup, token: Token<'w>, flags: u32) -> io::Result<Self> {
        let settings = &worker.settings;
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
            worker,
            token,
            id: file.id().as_str().to_owned(),
            file,
            flags,
            stage: Stage::Envelope,
            facts: Facts { created, ..Facts::default() },
            failure: Failure::default(),
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
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Takes some records of the client.
    pub async fn take(&mut self, mut bytes: &[u8]) {
        while let Some((kind, payload, rest)) = records::next(bytes) {
            bytes = rest;
            if !self.goes_on() {
                return;
            }
            if payload.len() > MAX_BYTES && !matches!(self.stage, Stage::Header | Stage::Body) {
                self.fail(status::CONTENT, "5.1.0 Error: address too long");
                continue;
            }
            match self.stage {
                Stage::Envelope => self.envelope_record(kind, payload).await,
                Stage::Header | Stage::Body => self.content_record(kind, payload).await,
                Stage::Extracted => self.extracted_record(kind, payload).await,
                Stage::Complete => self.fail(status::BAD, "records behind the end"),
            }
        }
        if !bytes.is_empty() && self.goes_on() {
            self.fail(status::BAD, "a record that is cut off");
        }
    }

    /// Ends the message: puts it on stable storage, or says why not.
    pub async fn finish(mut self) -> Outcome {
        if self.failure.status == 0 && self.flags & flags::DISCARD != 0 {
            self.log_removal("discarded");
            return service::accepted();
        }
        if self.failure.status == 0 && self.stage != Stage::Complete {
            self.fail(status::BAD, "no end of the message");
        }
        if self.failure.status == 0 && self.size.recipients == 0 {
            // Postfix: nobody to deliver to.
            self.fail(status::NO_RECIPIENTS, "");
        }
        if self.failure.status == 0 {
            self.miss();
        }
        if self.failure.status != 0 {
            return self.give_up().await;
        }
        if let Err(reason) = self.trace_expansions().await {
            logging::warning!("{}: trace service failure: {reason}", self.id);
            return service::refused(status::WRITE, "");
        }
        match self.commit().await {
            Ok(()) => service::accepted(),
            Err((id, error)) => {
                logging::warning!("{id}: write queue file: {error}", error = text::system_error(&error));
                service::refused(status::WRITE, "")
            }
        }
    }

    async fn commit(mut self) -> Result<(), (String, io::Error)> {
        let (worker, id) = (self.worker, std::mem::take(&mut self.id));
        let hold = self.flags & flags::HOLD != 0;
        let result = async {
            if hold {
                self.file.move_to(QueueName::Hold)?;
            }
            let complete = self.file.complete(&self.size)?;
            complete.commit(&worker.committer()?).await
        };
        result.await.map_err(|error| (id.clone(), error))?;
        if !hold {
            self.token.spend();
            worker.arrived(id);
        }
        Ok(())
    }

    /// Notes a failure; the first one counts. `reason` is for the client when it begins with a status code, else it is
    /// for the log.
    pub(crate) fn fail(&mut self, status: u32, reason: &str) {
        if status == status::BAD {
            logging::warning!("{}: cleanup client: {reason}", self.id);
        }
        if self.failure.status == 0 {
            let reason = if status == status::BAD { String::new() } else { reason.to_owned() };
            self.failure = Failure { status, reason };
        }
    }

    /// Whether records are still looked at. A message that will be bounced is completed for the notification.
    pub(crate) fn goes_on(&self) -> bool {
        self.flags & flags::DISCARD == 0 && (self.failure.status == 0 || self.will_bounce())
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
            self.fail(status::WRITE, "");
        }
    }

    /// Where the next record will be.
    pub(crate) fn offset(&self) -> u64 {
        self.file.offset()
    }
}
