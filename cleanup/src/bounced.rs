//! Messages that are not accepted from a client that has nobody to tell (pickup): the sender gets a notification.
//!
//! The client's copy may be removed only when the notification is safe; until then the outcome is a failure and the
//! client tries again.

use delivery::Stages;
use dsn::{Action, Return};
use ipc::bounce::{self, Log, Record, Reply, Request};
use ipc::bounds::MAX_ITEMS;
use ipc::chunks;
use ipc::cleanup::Cause;
use ipc::delivery::Timestamp;
use logging::records;
use lookup::fold;
use queue::{QueueName, Recipient};

use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::message::Message;
use crate::site::Site;
use crate::writer::Writer;

/// Writes down what became of the recipients, and has the sender told.
///
/// # Errors
/// Nobody is told, for this reason.
pub async fn notify(
    message: &Message<'_>,
    envelope: &Envelope,
    writer: &mut Writer,
    failure: &Failure,
) -> Result<(), String> {
    // The notification quotes the message: bounce reads the file, which stays invisible to qmgr.
    let file = writer.readable().map_err(|error| text::system_error(&error))?;
    // As many recipients as travel at once: a message of any number of them takes no more memory.
    let limits = queue::Limits { recipients: MAX_ITEMS, attributes: usize::MAX };
    let mut stored = queue::Envelope::read(file, &limits).map_err(|error| error.to_string())?;
    let sender = envelope.sender.clone().unwrap_or_default();
    let mut begin = true;
    while !stored.recipients.is_empty() || stored.resume.is_some() {
        let found = std::mem::take(&mut stored.recipients);
        let records: Vec<Record> = found.into_iter().map(|recipient| failed(recipient, failure)).collect();
        records.iter().for_each(|record| log_status(message, envelope, record, "bounced"));
        if !sender.is_empty() {
            write_down(message, Log::Bounce, begin, records).await?;
            begin = false;
        }
        let file = writer.readable().map_err(|error| text::system_error(&error))?;
        stored.read_more(file, &limits).map_err(|error| error.to_string())?;
    }
    if sender.is_empty() {
        return Ok(()); // nobody is there to be told
    }
    // What may not pass is not returned either.
    let is_unfit = failure.cause == Cause::Content;
    let report = bounce::Message {
        queue_name: QueueName::Incoming,
        queue_id: message.id.clone(),
        encoding: envelope.encoding,
        send_options: writer.send_options(),
        sender,
        envelope_id: text_of(&envelope.envelope_id),
        returned: if is_unfit { Return::Headers } else { envelope.returned },
    };
    ask(message.site, Request::Notify { log: Log::Bounce, keep: false, message: report }).await
}

/// The end of a recipient, as log readers look for it; `status` is their word for it.
pub fn log_status(message: &Message<'_>, envelope: &Envelope, record: &Record, status: &'static str) {
    let shown = |address: &[u8]| message.site.settings.log.addresses.shown(address);
    let Recipient { address, original, .. } = &record.recipient;
    let is_alias = !original.is_empty() && !fold::same(original, address, message.site.settings.utf8);
    let (seconds, micros) = envelope.arrival.unwrap_or((envelope.created, 0));
    let (arrival, done) = (Timestamp { seconds, micros }, Timestamp::now());
    let stages = Stages { arrival, active: done, handoff: None, ready: None, done };
    logging::emit(&records::delivery::Status {
        queue_id: message.id.as_str(),
        to: shown(address),
        original: is_alias.then(|| shown(original)),
        relay: "none",
        connection_uses: 0,
        delays: stages.delays(message.site.settings.log.delay_decimals),
        tls: None,
        dsn: record.status.to_string(),
        status,
        reason: &text::printable(record.reason.as_bytes()),
    });
}

/// Writes down what became of aliases, before the message can be delivered: qmgr makes a report of it.
///
/// # Errors
/// It is not written down, for this reason.
pub async fn trace(message: &Message<'_>, expansions: Vec<Record>) -> Result<(), String> {
    write_down(message, Log::Trace, true, expansions).await
}

async fn write_down(message: &Message<'_>, log: Log, mut begin: bool, records: Vec<Record>) -> Result<(), String> {
    for records in chunks(records) {
        ask(message.site, Request::Append { log, queue_id: message.id.clone(), begin, records }).await?;
        begin = false;
    }
    Ok(())
}

async fn ask(site: &Site, request: Request) -> Result<(), String> {
    let trace = matches!(request, Request::Append { log: Log::Trace, .. });
    let pool = if trace { &site.trace } else { &site.bounce };
    match pool.call(&request).await {
        Ok(Reply::Done) => Ok(()),
        Ok(Reply::Failed(reason)) => Err(reason),
        Err(error) => Err(error.to_string()),
    }
}

fn failed(recipient: Recipient, failure: &Failure) -> Record {
    let (status, reason) = failure.notice();
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
