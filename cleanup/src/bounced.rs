//! Messages that are not accepted from a client that has nobody to tell (pickup): the sender gets a notification.
//!
//! The client's copy may be removed only when the notification is safe; until then the outcome is a failure and the
//! client tries again.

use ipc::bounce::{Log, Message, Record, Reply, Request};
use ipc::cleanup::{Outcome, flags, status};
use ipc::delivery::Recipient;
use queue::Envelope;

use crate::incoming::{Incoming, Stage};
use crate::service;

/// Reasons that will be the same next time.
const PERMANENT: u32 = status::CONTENT | status::HOPS | status::SIZE;

impl Incoming<'_> {
    /// Whether the failure, if any, is reported to the sender and not to the client.
    pub(crate) fn will_bounce(&self) -> bool {
        self.flags & flags::BOUNCE != 0 && self.failure.status & !PERMANENT == 0 && self.facts.sender.is_some()
    }

    /// Ends a message that is not accepted.
    pub(crate) async fn give_up(mut self) -> Outcome {
        let failed = service::refused(self.failure.status, self.failure.reason.clone());
        if !self.will_bounce() || self.stage != Stage::Complete || self.size.recipients == 0 {
            return failed;
        }
        match self.bounce().await {
            Ok(()) => service::accepted(),
            Err(reason) => {
                logging::warning!("{}: bounce message: {reason}", self.id);
                service::refused(status::WRITE, "")
            }
        }
    }

    async fn bounce(&mut self) -> Result<(), String> {
        // The notification quotes the message: bounce reads the file, which stays invisible to qmgr.
        let size = self.size.encode();
        self.file.overwrite(0, &size).map_err(|error| error.to_string())?;
        let file = self.file.flushed().map_err(|error| error.to_string())?;
        let limits = queue::Limits { recipients: usize::MAX, attributes: usize::MAX };
        let envelope = Envelope::read(file, &limits).map_err(|error| error.to_string())?;
        let (code, text) = self.failure_text();
        let record = |recipient: queue::Recipient| Record {
            recipient: Recipient {
                original: recipient.original,
                address: recipient.address,
                offset: recipient.offset,
                dsn_orig_rcpt: recipient.dsn_original,
                notify: recipient.notify,
            },
            status: code.clone(),
            action: "failed".to_owned(),
            diagnostic: Default::default(),
            remote_mta: String::new(),
            reason: text.clone(),
        };
        let records = envelope.recipients.into_iter().map(record).collect();
        self.ask(Request::Append { log: Log::Bounce, queue_id: self.id.clone(), records }).await?;
        let message = Message {
            queue_name: "incoming".to_owned(),
            queue_id: self.id.clone(),
            encoding: String::from_utf8_lossy(&self.facts.encoding).into_owned(),
            send_options: self.size.send_options,
            sender: self.facts.sender.clone().unwrap_or_default(),
            envelope_id: String::from_utf8_lossy(&self.facts.envelope_id).into_owned(),
            ret_flags: self.facts.ret_flags,
        };
        self.ask(Request::Notify { log: Log::Bounce, keep: false, message }).await
    }

    /// Writes down what became of aliases, before the message can be delivered: qmgr makes a report of it.
    pub(crate) async fn trace_expansions(&mut self) -> Result<(), String> {
        let records = std::mem::take(&mut self.findings.expanded);
        if records.is_empty() {
            return Ok(());
        }
        self.ask(Request::Append { log: Log::Trace, queue_id: self.id.clone(), records }).await
    }

    async fn ask(&self, request: Request) -> Result<(), String> {
        let worker = self.worker;
        let trace = matches!(request, Request::Append { log: Log::Trace, .. });
        let pool = if trace { &worker.trace } else { &worker.bounce };
        match pool.call(&request).await {
            Ok(Reply::Done) => Ok(()),
            Ok(Reply::Failed(reason)) => Err(reason),
            Err(error) => Err(error.to_string()),
        }
    }

    fn failure_text(&self) -> (String, String) {
        let text = match self.failure.status {
            _ if !self.failure.reason.is_empty() => &self.failure.reason,
            code if code & status::HOPS != 0 => "5.4.0 too many hops",
            code if code & status::SIZE != 0 => "5.3.4 message file too big",
            _ => "5.7.1 message content rejected",
        };
        let (code, text) = text.split_once(' ').unwrap_or(("5.7.1", text));
        (code.to_owned(), text.to_owned())
    }
}
