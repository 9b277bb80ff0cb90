//! Recipients: from what the client says to the recipient records of the queue file.

use std::collections::HashSet;

use dsn::{Action, Notify, OriginalRecipient, Status};
use ipc::bounce::Record;
use ipc::cleanup::{Cause, Flags};
use lookup::Maps;
use queue::{Recipient, Type};

use crate::canonical::{Failed, Place};
use crate::incoming::{Incoming, Stage};

/// Expansions of one message that its sender can hear of: they are kept until the message is complete.
/// told: the client, whose message is refused.
const MAX_EXPANSIONS: usize = 100_000;

/// What was said about the recipient that comes next.
#[derive(Debug, Default)]
pub struct Pending {
    /// The address before aliasing.
    pub original: Option<Vec<u8>>,
    /// ORCPT.
    pub dsn: OriginalRecipient,
    /// NOTIFY.
    pub notify: Notify,
}

/// The recipients so far.
#[derive(Debug, Default)]
pub struct Recipients {
    /// The time of the delay warning was written.
    pub warned: bool,
    /// The last recipient, as the client gave it, for log lines.
    pub last: Vec<u8>,
    /// The client has given recipients: what follows them is mixed with them.
    pub given: bool,
    /// Hidden copies, added at the end.
    pub copies: Vec<Vec<u8>>,
    seen: HashSet<Vec<u8>>,
}

/// One recipient as it is written.
struct Written<'a> {
    address: &'a [u8],
    original: &'a [u8],
    dsn: &'a OriginalRecipient,
    notify: Notify,
}

impl Incoming<'_> {
    /// Takes a recipient of the client.
    pub(crate) async fn recipient(&mut self, data: &[u8]) {
        let pending = std::mem::take(&mut self.pending);
        if self.facts.sender.is_none() {
            return self.fail_protocol("a recipient before the sender");
        }
        let given = pending.original.unwrap_or_else(|| data.to_vec());
        self.recipients.last = given.clone();
        let Ok(address) = self.standard_form(Place::EnvelopeRecipient, data).await else { return };
        let dsn = if pending.dsn.is_unset() { OriginalRecipient::of(&address) } else { pending.dsn };
        let Ok(copy) = self.copy_for(&self.site.tables.recipient_bcc, &address) else { return };
        let mut notify = pending.notify;
        let Ok(expanded) = self.expand(&address).await else { return };
        if notify.wants_success() && expanded != [address.clone()] {
            // RFC 3461 5.2.7: the sender hears of the expansion, not of each delivery.
            if self.findings.expanded.len() >= MAX_EXPANSIONS {
                return self.fail(Cause::Content, "5.5.3 Error: too many aliases with NOTIFY=SUCCESS");
            }
            self.findings.expanded.push(expanded_record(&given, &address, &dsn, notify));
            notify = notify.without_success();
        }
        self.size.add_notify(pending.notify);
        self.warning_time();
        for address in &expanded {
            self.write(&Written { address, original: &given, dsn: &dsn, notify });
        }
        if self.stage == Stage::Envelope {
            self.recipients.given = self.size.recipients > 0;
        }
        if let Some(copy) = copy {
            self.copy(&copy).await;
        }
    }

    /// sender_bcc_maps: behind the sender.
    pub(crate) async fn copy_for_sender(&mut self, sender: &[u8]) {
        if let Ok(Some(copy)) = self.copy_for(&self.site.tables.sender_bcc, sender) {
            self.copy(&copy).await;
        }
    }

    /// always_bcc and BCC actions: behind everything else.
    pub(crate) async fn copies(&mut self) {
        let mut copies = std::mem::take(&mut self.recipients.copies);
        let always = &self.site.settings.always_bcc;
        if self.flags.has(Flags::BCC) && !always.is_empty() {
            copies.push(always.clone().into_bytes());
        }
        for copy in copies {
            self.copy(&copy).await;
        }
    }

    /// Adds the receiver of a hidden copy. The setting is one address in internal form, whatever it looks like.
    async fn copy(&mut self, copy: &[u8]) {
        let Ok(address) = self.standard_form(Place::EnvelopeRecipient, copy).await else { return };
        let Ok(expanded) = self.expand(&address).await else { return };
        // Nobody is told about copies that the sender knows nothing of.
        let (dsn, notify) = (OriginalRecipient::default(), Notify::NEVER);
        for receiver in &expanded {
            self.write(&Written { address: receiver, original: &address, dsn: &dsn, notify });
        }
    }

    /// Who gets a copy by a table.
    fn copy_for(&mut self, maps: &Maps, address: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        if !self.flags.has(Flags::BCC) || address.is_empty() {
            return Ok(None);
        }
        Ok(self.find(maps, address)?.map(|found| found.value))
    }

    fn write(&mut self, recipient: &Written<'_>) {
        if self.is_duplicate(recipient) {
            return;
        }
        if recipient.notify != Notify::UNSET {
            self.put_attribute("notify_flags", recipient.notify.bits().to_string().as_bytes());
        }
        if !recipient.dsn.is_unset() {
            self.put_attribute("dsn_orig_rcpt", recipient.dsn.as_stored());
        }
        self.put(Type::ORIGINAL, recipient.original);
        self.put(Type::RECIPIENT, recipient.address);
        self.size.recipients += 1;
    }

    /// duplicate_filter_limit: the same recipient for the same reason gets one copy; without enable_original_recipient,
    /// for any reason.
    fn is_duplicate(&mut self, recipient: &Written<'_>) -> bool {
        let notify = recipient.notify.bits().to_le_bytes();
        let reasons = [recipient.original, recipient.dsn.as_stored(), &notify];
        let mut key = recipient.address.to_vec();
        if self.site.settings.original_recipient {
            // No part has a newline in it but by malice, which gains nothing here.
            reasons.iter().for_each(|part| key.extend_from_slice(&[b"\n", *part].concat()));
        }
        key.make_ascii_lowercase();
        if self.recipients.seen.contains(&key) {
            return true;
        }
        let limit = self.site.settings.duplicate_limit;
        if limit == 0 || self.recipients.seen.len() < limit {
            self.recipients.seen.insert(key);
        }
        false
    }
}

/// What the trace log says about an alias.
fn expanded_record(original: &[u8], address: &[u8], dsn: &OriginalRecipient, notify: Notify) -> Record {
    Record {
        recipient: Recipient {
            original: original.to_vec(),
            address: address.to_vec(),
            offset: 0,
            dsn: dsn.clone(),
            notify,
        },
        status: Status::new(2, 0, 0),
        action: Action::Expanded,
        diagnostic: None,
        remote_mta: String::new(),
        reason: "alias expanded".to_owned(),
    }
}
