//! Sending a message on to addresses that are not delivered on the spot: as a new message, with its own record of
//! delivery.

use delivery::submission::{Envelope, Submission, SubmitError};
use delivery::{Job, Recipient as Target};
use dsn::Return;
use ipc::Pool;
use ipc::cleanup::{Cleanup, Flags};
use ipc::rewrite::Context;
use message::{date, received};
use queue::envelope::EnvelopeError;
use queue::{QueueId, SendOptions};

use crate::settings::Settings;

/// A message that is to be sent on.
pub struct Outgoing {
    /// The envelope sender.
    pub sender: Vec<u8>,
    /// The sender is an alias's owner, whom the original recipient concerns no more.
    pub owned: bool,
    /// What the Delivered-To: header says; empty: no such header.
    pub delivered_to: Vec<u8>,
    /// Where it goes.
    pub addresses: Vec<Vec<u8>>,
}

/// Why it was not sent on.
#[derive(Debug)]
pub enum ResubmitError {
    /// cleanup does not take it.
    Submit(SubmitError),
    /// The queue file is damaged.
    Damaged(EnvelopeError),
}

impl From<SubmitError> for ResubmitError {
    fn from(error: SubmitError) -> Self {
        ResubmitError::Submit(error)
    }
}

/// Queues the message for its new recipients; gives the new queue ID when it is on stable storage.
pub async fn resubmit(
    job: &Job,
    target: &Target,
    outgoing: &Outgoing,
    cleanup: &Pool<Cleanup>,
    settings: &Settings,
) -> Result<QueueId, ResubmitError> {
    let request = job.request();
    let recipients: Vec<Target> = outgoing.addresses.iter().map(|a| recipient(a, target, outgoing.owned)).collect();
    let origin = &request.client;
    let returned = match request.message.returned {
        Return::Unset => String::new(),
        returned => returned.bits().to_string(),
    };
    let attributes: Vec<(&str, &[u8])> = vec![
        ("log_client_name", origin.name.as_bytes()),
        ("log_client_address", origin.address.as_bytes()),
        ("log_client_port", origin.port.as_bytes()),
        ("log_helo_name", origin.helo.as_bytes()),
        ("log_protocol_name", origin.protocol.as_bytes()),
        ("encoding", request.message.encoding.as_str().as_bytes()),
        ("envelope_id", request.message.envelope_id.as_bytes()),
        ("ret_flags", returned.as_bytes()),
    ];
    let envelope = Envelope {
        sender: &outgoing.sender,
        recipients: &recipients,
        attributes: &attributes,
        is_remote: request.rewrite_context == Context::Remote,
        smtputf8: request.message.send_options.has(SendOptions::SMTPUTF8_REQUESTED),
        flags: Flags::default().with_if(settings.detects_utf8, Flags::AUTO_UTF8),
    };
    let mut mail = Submission::begin(cleanup, &envelope).await?;
    let now = date::rfc5322(delivery::Timestamp::now().seconds);
    let by = received::Writer { hostname: &settings.hostname, mail_name: &settings.mail_name };
    for line in received::from_mail_system(by, mail.queue_id(), &now) {
        mail.line(line.as_bytes()).await?;
    }
    if !outgoing.delivered_to.is_empty() {
        mail.line(&[b"Delivered-To: ", address::quote(&outgoing.delivered_to).as_slice()].concat()).await?;
    }
    let mut content = job.content();
    loop {
        match content.next_text() {
            Ok(Some(text)) => mail.text(text).await?,
            Ok(None) => return Ok(mail.finish().await?),
            Err(error) => {
                mail.abort().await;
                return Err(ResubmitError::Damaged(error));
            }
        }
    }
}

fn recipient(address: &[u8], target: &Target, owned: bool) -> Target {
    if owned {
        return Target { address: address.to_vec(), notify: target.notify, ..Target::default() };
    }
    Target { address: address.to_vec(), offset: 0, ..target.clone() }
}
