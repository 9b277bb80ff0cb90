//! Recipients: from what the client says to the recipient records of the queue file.

use std::collections::HashSet;

use dsn::{Action, Notify, OriginalRecipient, Status};
use ipc::bounce::Record;
use ipc::cleanup::{Cause, Flags};
use ipc::rewrite::Context;
use lookup::{Maps, fold};
use queue::{Recipient, Type};
use smtp_protocol::parameters::RcptParameters;

use crate::alias::expand;
use crate::canonical::{Place, find, standard_form};
use crate::envelope::{Envelope, number};
use crate::failure::Failure;
use crate::message::Message;
use crate::utf8;
use crate::verified;
use crate::writer::Writer;

/// Expansions of one message that its sender can hear of: they are kept until the message is complete.
/// told: the client, whose message is refused.
const MAX_EXPANSIONS: usize = 100_000;

/// The recipients so far.
#[derive(Debug, Default)]
pub struct Recipients {
    /// What was said about the one that comes next.
    next: Next,
    /// Those that were written, for the duplicate filter.
    seen: HashSet<Vec<u8>>,
    /// They are those that filters have added.
    is_rewritten: bool,
    /// They stand behind the content.
    is_late: bool,
    /// Aliases whose senders want to hear of success.
    pub expansions: Vec<Record>,
    /// Those of the client in standard form, for filters that are told of them; `None` where there are no such filters.
    given: Option<Vec<Vec<u8>>>,
}

/// What was said about the recipient that comes next.
#[derive(Debug, Default)]
struct Next {
    /// The address before aliasing.
    original: Option<Vec<u8>>,
    /// ORCPT.
    dsn: OriginalRecipient,
    /// NOTIFY.
    notify: Notify,
}

/// One recipient as it is written.
struct Written<'a> {
    address: &'a [u8],
    original: &'a [u8],
    dsn: &'a OriginalRecipient,
    notify: Notify,
}

impl Recipients {
    /// None yet. `keeps`: filters are told of them when the message is complete.
    pub fn new(keeps: bool) -> Recipients {
        Recipients { given: keeps.then(Vec::new), ..Recipients::default() }
    }

    /// Those of the client in standard form.
    pub fn take_given(&mut self) -> Vec<Vec<u8>> {
        self.given.take().unwrap_or_default()
    }

    /// Takes a recipient that a filter adds, in standard form: that is its original address, too, and nobody gets a
    /// copy for it. One that is there already gets the message once more, as with Postfix, unless it was added in the
    /// same way.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub async fn add(
        &mut self,
        message: &Message<'_>,
        envelope: &mut Envelope,
        writer: &mut Writer,
        address: &[u8],
        parameters: &RcptParameters,
    ) -> Result<(), Failure> {
        if !self.is_rewritten {
            self.seen.clear();
            self.is_rewritten = true;
        }
        let orcpt = parameters.orcpt.as_ref();
        let dsn = orcpt.map(|(kind, original)| OriginalRecipient::from_parts(kind, original)).unwrap_or_default();
        let notify = parameters.notify.unwrap_or_default();
        let expanded = expand(message, address).await?;
        self.write_expanded(
            message,
            envelope,
            writer,
            &Written { address, original: address, dsn: &dsn, notify },
            &expanded,
        )
    }

    /// BCC actions of milter_header_checks.
    pub async fn copies_of(&mut self, message: &Message<'_>, writer: &mut Writer, copies: &[Vec<u8>]) {
        for copy in copies {
            if let Err(failure) = self.copy(message, writer, copy).await {
                writer.refuse(failure);
            }
        }
    }

    /// Takes a record about the recipient that comes next. A recipient that is done takes what was said with it.
    pub fn property(&mut self, kind: Type, data: &[u8]) {
        match kind {
            Type::DONE | Type::CANCELED => self.next = Next::default(),
            Type::ORIGINAL => self.next.original = Some(data.to_vec()),
            Type::DSN_RECIPIENT => self.next.dsn = OriginalRecipient::from_stored(data.to_vec()),
            Type::NOTIFY => self.next.notify = Notify::from_stored(number(data)),
            _ => {}
        }
    }

    /// Takes an attribute of the recipient that comes next. True when it was one.
    pub fn attribute(&mut self, name: &[u8], value: &[u8]) -> bool {
        match name {
            b"notify_flags" => self.property(Type::NOTIFY, value),
            b"dsn_orig_rcpt" => self.property(Type::DSN_RECIPIENT, value),
            _ => return false,
        }
        true
    }

    /// Takes a recipient that stands behind the content. Where nobody is to be told of it, it is the hidden copy of an
    /// access table, which somebody who is a recipient already does not get.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub async fn take_late(
        &mut self,
        message: &Message<'_>,
        envelope: &mut Envelope,
        writer: &mut Writer,
        data: &[u8],
    ) -> Result<(), Failure> {
        self.is_late = true;
        self.take(message, envelope, writer, data).await
    }

    /// Takes a recipient of the client.
    ///
    /// # Errors
    /// It comes before the sender, or what becomes of it is not known for now.
    pub async fn take(
        &mut self,
        message: &Message<'_>,
        envelope: &mut Envelope,
        writer: &mut Writer,
        data: &[u8],
    ) -> Result<(), Failure> {
        let next = std::mem::take(&mut self.next);
        if envelope.sender.is_none() {
            return Err(Failure::protocol("a recipient before the sender"));
        }
        let given = next.original.unwrap_or_else(|| data.to_vec());
        let address = standard_form(message, Place::EnvelopeRecipient, Context::Local, data).await?;
        envelope.last_recipient.clone_from(&address);
        if let Some(given) = &mut self.given {
            given.push(address.clone());
        }
        let dsn = match next.dsn {
            given if !given.is_unset() => given,
            _ if utf8::is_wanted(message, writer) => OriginalRecipient::of_utf8(&address),
            _ => OriginalRecipient::of(&address),
        };
        let copy = copy_for(message, &message.site.tables.recipient_bcc, &address).await?;
        let expanded = expand(message, &address).await?;
        if envelope.is_probe && expanded.len() > 1 {
            verified::is_many(message, envelope, &given, &address).await;
            return Ok(());
        }
        let asked = Written { address: &address, original: &given, dsn: &dsn, notify: next.notify };
        self.write_expanded(message, envelope, writer, &asked, &expanded)?;
        match copy {
            Some(copy) => self.copy(message, writer, &copy).await,
            None => Ok(()),
        }
    }

    /// sender_bcc_maps: behind the sender.
    ///
    /// # Errors
    /// Who gets the copy is not known for now.
    pub async fn copy_for_sender(
        &mut self,
        message: &Message<'_>,
        writer: &mut Writer,
        sender: &[u8],
    ) -> Result<(), Failure> {
        match copy_for(message, &message.site.tables.sender_bcc, sender).await? {
            Some(copy) => self.copy(message, writer, &copy).await,
            None => Ok(()),
        }
    }

    /// BCC actions and always_bcc: behind everything else.
    pub async fn copies(&mut self, message: &Message<'_>, writer: &mut Writer, mut copies: Vec<Vec<u8>>) {
        let always = &message.site.settings.always_bcc;
        if message.flags.has(Flags::BCC) && !always.is_empty() {
            copies.push(always.clone().into_bytes());
        }
        for copy in copies {
            if let Err(failure) = self.copy(message, writer, &copy).await {
                writer.refuse(failure);
            }
        }
    }

    /// Adds the receiver of a hidden copy. The setting is one address in internal form, whatever it looks like.
    async fn copy(&mut self, message: &Message<'_>, writer: &mut Writer, copy: &[u8]) -> Result<(), Failure> {
        let address = standard_form(message, Place::EnvelopeRecipient, Context::Local, copy).await?;
        let expanded = expand(message, &address).await?;
        // Nobody is told about copies that the sender knows nothing of.
        let (dsn, notify) = (OriginalRecipient::default(), Notify::NEVER);
        for receiver in &expanded {
            self.write(message, writer, &Written { address: receiver, original: &address, dsn: &dsn, notify });
        }
        Ok(())
    }

    /// Writes what a recipient stands for.
    fn write_expanded(
        &mut self,
        message: &Message<'_>,
        envelope: &mut Envelope,
        writer: &mut Writer,
        asked: &Written<'_>,
        expanded: &[Vec<u8>],
    ) -> Result<(), Failure> {
        let mut notify = asked.notify;
        if notify.wants_success() && expanded != [asked.address] {
            // RFC 3461 5.2.7: the sender hears of the expansion, not of each delivery.
            if self.expansions.len() >= MAX_EXPANSIONS {
                let text = "Error: too many aliases with NOTIFY=SUCCESS";
                return Err(Failure::telling(Cause::Content, Status::new(5, 5, 3), text));
            }
            self.expansions.push(expanded_record(asked.original, asked.address, asked.dsn, notify));
            notify = notify.without_success();
        }
        writer.add_notify(asked.notify);
        envelope.warning_time(message, writer);
        for address in expanded {
            self.write(message, writer, &Written { address, original: asked.original, dsn: asked.dsn, notify });
        }
        writer.end_recipient();
        Ok(())
    }

    fn write(&mut self, message: &Message<'_>, writer: &mut Writer, recipient: &Written<'_>) {
        if self.is_duplicate(message, recipient) {
            return;
        }
        if recipient.notify != Notify::UNSET {
            writer.put_attribute("notify_flags", recipient.notify.bits().to_string().as_bytes());
        }
        if !recipient.dsn.is_unset() {
            writer.put_attribute("dsn_orig_rcpt", recipient.dsn.as_stored());
        }
        utf8::recipient(message, writer, recipient.address);
        writer.put_recipient(recipient.original, recipient.address);
    }

    /// duplicate_filter_limit: the same recipient for the same reason gets one copy; without enable_original_recipient,
    /// for any reason.
    fn is_duplicate(&mut self, message: &Message<'_>, recipient: &Written<'_>) -> bool {
        let settings = &message.site.settings;
        let is_late_copy = self.is_late && recipient.notify == Notify::NEVER && !recipient.dsn.is_unset();
        let notify = if is_late_copy { Notify::UNSET } else { recipient.notify };
        let notify = notify.bits().to_le_bytes();
        let reasons = [recipient.original, recipient.dsn.as_stored(), &notify];
        let mut key = recipient.address.to_vec();
        if settings.original_recipient {
            // No part has a newline in it but by malice, which gains nothing here.
            reasons.iter().for_each(|part| key.extend_from_slice(&[b"\n", *part].concat()));
        }
        let key = fold::fold(&key, settings.utf8);
        if self.seen.contains(&key) {
            return true;
        }
        let limit = settings.duplicate_limit;
        if limit == 0 || self.seen.len() < limit {
            self.seen.insert(key);
        }
        false
    }
}

/// Who gets a copy by a table.
async fn copy_for(message: &Message<'_>, maps: &Maps, address: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    if !message.flags.has(Flags::BCC) || address.is_empty() {
        return Ok(None);
    }
    Ok(find(message.site, maps, address).await?.map(|found| found.value))
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
