//! Messages that are not accepted from a client that has nobody to tell (pickup): the sender gets a notification.
//!
//! The client's copy may be removed only when the notification is safe; until then the outcome is a failure and the
//! client tries again.

use delivery::{Stages, StatusLine};
use dsn::{Action, Return, Status};
use ipc::bounce::{Log, Message, Record, Reply, Request};
use ipc::bounds::MAX_ITEMS;
use ipc::chunks;
use ipc::cleanup::{Cause, Flags, Outcome};
use ipc::delivery::Timestamp;
use queue::{Envelope, QueueName, Recipient};

use crate::incoming::{Failure, Incoming, Stage};

impl Incoming<'_> {
    /// Whether the failure, if any, is reported to the sender and not to the client.
    pub(crate) fn will_bounce(&self) -> bool {
        self.flags.has(Flags::BOUNCE)
            && self.failure.as_ref().is_none_or(|failure| failure.cause.is_permanent())
            && !self.site.settings.log.soft_bounce
            && self.facts.sender.is_some()
    }

    /// Ends a message that is not accepted.
    pub(crate) async fn give_up(mut self, failure: Failure) -> Outcome {
        if !self.will_bounce() || self.stage != Stage::Complete || self.size.recipients == 0 {
            self.cancel();
            return Outcome::refused(failure.cause, failure.text);
        }
        match self.bounce(&failure).await {
            Ok(()) => {
                self.log_removal("discarded");
                Outcome::Accepted(self.id)
            }
            Err(reason) => {
                logging::warning!("{}: bounce message failure: {reason}", self.id);
                self.cancel();
                Outcome::refused(Cause::Write, "")
            }
        }
    }

    /// Ends a message that nobody wants any more.
    pub(crate) fn cancel(self) {
        self.log_removal("canceled");
    }

    pub(crate) fn log_removal(&self, why: &str) {
        if self.site.settings.modern {
            logging::info!("{}: removed ({why})", self.id);
        }
    }

    async fn bounce(&mut self, failure: &Failure) -> Result<(), String> {
        // The notification quotes the message: bounce reads the file, which stays invisible to qmgr.
        let size = self.size.encode();
        self.file.overwrite(0, &size).map_err(|error| text::system_error(&error))?;
        let file = self.file.flushed().map_err(|error| text::system_error(&error))?;
        // As many recipients as travel at once: a message of any number of them takes no more memory.
        let limits = queue::Limits { recipients: MAX_ITEMS, attributes: usize::MAX };
        let mut envelope = Envelope::read(file, &limits).map_err(|error| error.to_string())?;
        let sender = self.facts.sender.clone().unwrap_or_default();
        let mut begin = true;
        while !envelope.recipients.is_empty() || envelope.resume.is_some() {
            let found = std::mem::take(&mut envelope.recipients);
            let records: Vec<Record> = found.into_iter().map(|recipient| failed(recipient, failure)).collect();
            records.iter().for_each(|record| self.log_status(record));
            if !sender.is_empty() {
                self.write_down(Log::Bounce, begin, records).await?;
                begin = false;
            }
            let file = self.file.flushed().map_err(|error| text::system_error(&error))?;
            envelope.read_more(file, &limits).map_err(|error| error.to_string())?;
        }
        if sender.is_empty() {
            return Ok(()); // nobody is there to be told
        }
        // What may not pass is not returned either.
        let is_unfit = failure.cause == Cause::Content;
        let message = Message {
            queue_name: QueueName::Incoming,
            queue_id: self.id.clone(),
            encoding: self.facts.encoding,
            send_options: self.size.send_options,
            sender,
            envelope_id: text_of(&self.facts.envelope_id),
            returned: if is_unfit { Return::Headers } else { self.facts.returned },
        };
        self.ask(Request::Notify { log: Log::Bounce, keep: false, message }).await
    }

    /// The end of a recipient, as log readers look for it.
    fn log_status(&self, record: &Record) {
        let shown = |address: &[u8]| self.site.settings.log.addresses.shown(address);
        let Recipient { address, original, .. } = &record.recipient;
        let is_alias = !original.is_empty() && !original.eq_ignore_ascii_case(address);
        let (seconds, micros) = self.facts.arrival.unwrap_or((self.facts.created, 0));
        let (arrival, done) = (Timestamp { seconds, micros }, Timestamp::now());
        logging::emit(&StatusLine {
            queue_id: self.id.clone(),
            to: shown(address),
            original: is_alias.then(|| shown(original)),
            relay: "none".to_owned(),
            connection_uses: 0,
            stages: Stages { arrival, active: done, handoff: None, ready: None, done },
            delay_decimals: self.site.settings.log.delay_decimals,
            tls: None,
            dsn: record.status,
            status: "bounced",
            reason: text::printable(record.reason.as_bytes()),
        });
    }

    /// Writes down what became of aliases, before the message can be delivered: qmgr makes a report of it.
    pub(crate) async fn trace_expansions(&mut self) -> Result<(), String> {
        let records = std::mem::take(&mut self.findings.expanded);
        self.write_down(Log::Trace, true, records).await
    }

    async fn write_down(&self, log: Log, mut begin: bool, records: Vec<Record>) -> Result<(), String> {
        for records in chunks(records) {
            self.ask(Request::Append { log, queue_id: self.id.clone(), begin, records }).await?;
            begin = false;
        }
        Ok(())
    }

    async fn ask(&self, request: Request) -> Result<(), String> {
        let site = self.site;
        let trace = matches!(request, Request::Append { log: Log::Trace, .. });
        let pool = if trace { &site.trace } else { &site.bounce };
        match pool.call(&request).await {
            Ok(Reply::Done) => Ok(()),
            Ok(Reply::Failed(reason)) => Err(reason),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn failed(recipient: Recipient, failure: &Failure) -> Record {
    let Failure { cause, text } = failure;
    let (status, reason) = match Status::split_text(text, cause.status()) {
        (status, "") => (status, cause.sentence()),
        found => found,
    };
    Record {
        recipient,
        status,
        action: Action::Failed,
        diagnostic: None,
        remote_mta: String::new(),
        reason: ipc::cut(reason.to_owned()),
    }
}

fn text_of(bytes: &[u8]) -> String {
    ipc::cut(String::from_utf8_lossy(bytes).into_owned())
}
