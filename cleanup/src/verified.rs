//! A probe of address verification that goes no further: an address that stands for several is deliverable, whatever
//! becomes of each of them.

use dsn::{Action, Status};
use ipc::bounce::Record;
use ipc::verify::{Knowledge, Standing};
use queue::Recipient;

use crate::bounced::log_status;
use crate::envelope::Envelope;
use crate::message::Message;

/// What is told of it.
const MANY: &str = "aliased to multiple recipients";

/// Tells verify and the log that a recipient stands for several. What cannot be told is found out again when somebody
/// asks.
pub async fn is_many(message: &Message<'_>, envelope: &Envelope, original: &[u8], address: &[u8]) {
    let recipient = Recipient { original: original.to_vec(), address: address.to_vec(), ..Recipient::default() };
    let record = Record {
        recipient,
        status: Status::new(2, 0, 0),
        action: Action::Deliverable,
        diagnostic: None,
        remote_mta: String::new(),
        reason: MANY.to_owned(),
    };
    log_status(message, envelope, &record, "deliverable");
    let other = Some(original).filter(|original| !original.is_empty() && *original != address);
    for address in [Some(address), other].into_iter().flatten() {
        let told = message.site.verifier.update(address, Knowledge::new(Standing::Deliverable, MANY)).await;
        if let Err(error) = told {
            logging::warning!(id: message.id, "verify service failure: {error}");
        }
    }
}
