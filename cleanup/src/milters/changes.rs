//! What filters want changed, noted as they say it: it is done when all of them have had their word.

use ipc::rewrite::Context;
use milter::{Edit, Editor, Header, Said, Verdict};
use smtp_protocol::parameters::{self, MailParameters, Offers, RcptParameters};
use smtp_protocol::verb::words;

use super::header_checks::{self, Found};
use super::layout::{Layout, field_text};
use crate::canonical::{Place, standard_form};
use crate::envelope::Envelope;
use crate::failure::Failure;
use crate::message::Message;
use crate::writer::Writer;

/// Changes of the envelope, and what checks of headers want done.
#[derive(Debug, Default)]
pub struct Changes {
    /// The new sender.
    pub sender: Option<Sender>,
    /// Changes of recipients, in their order.
    pub recipients: Vec<Change>,
    /// Who gets a copy by a BCC action.
    pub copies: Vec<Vec<u8>>,
    /// FILTER action: `transport:nexthop`.
    pub filter: Option<Vec<u8>>,
    /// REDIRECT action.
    pub redirect: Option<Vec<u8>>,
    /// No more checks: an action said so.
    pub are_checks_over: bool,
}

/// A new sender.
#[derive(Debug)]
pub struct Sender {
    /// The address in standard form.
    pub address: Vec<u8>,
    /// ENVID and RET.
    pub parameters: MailParameters,
}

/// A change of the recipients.
#[derive(Debug)]
pub enum Change {
    /// One more: the address in standard form.
    Add(Vec<u8>, RcptParameters),
    /// Those who were given by this address are none any more.
    Delete(Vec<u8>),
}

impl Changes {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.sender.is_none()
            && self.recipients.is_empty()
            && self.copies.is_empty()
            && self.filter.is_none()
            && self.redirect.is_none()
    }
}

/// What a filter's changes go to.
pub struct Editing<'a, 'w> {
    /// The message.
    pub message: &'a Message<'w>,
    /// Its envelope: a new sender stands in the lines of the log from now on.
    pub envelope: &'a mut Envelope,
    /// Its file.
    pub writer: &'a mut Writer,
    /// Its content.
    pub layout: &'a mut Layout,
    /// Everything else.
    pub changes: &'a mut Changes,
}

impl Editor for Editing<'_, '_> {
    async fn edit(&mut self, edit: Edit, has_leading_space: bool) -> Result<(), Verdict> {
        if let Err(failure) = self.layout.count(edit.weight()) {
            return self.failed(failure);
        }
        match edit {
            Edit::Add(header) => {
                if let Some(header) = self.checked(header, has_leading_space)? {
                    self.layout.append(header.0, header.1);
                }
            }
            Edit::Insert(index, header) => {
                if let Some(header) = self.checked(header, has_leading_space)? {
                    self.layout.insert(index, header.0, header.1);
                }
            }
            Edit::Change(index, header) => self.change(index, header, has_leading_space)?,
            Edit::AddRecipient(address, arguments) => {
                if let Err(failure) = self.add_recipient(&address, &arguments).await {
                    return self.failed(failure);
                }
            }
            Edit::DeleteRecipient(address) => {
                self.changes.recipients.push(Change::Delete(internal(&address)));
            }
            Edit::Sender(address, arguments) => {
                if let Err(failure) = self.change_sender(&address, &arguments).await {
                    return self.failed(failure);
                }
            }
        }
        Ok(())
    }

    fn body(&mut self, piece: &[u8]) -> Result<(), Verdict> {
        self.writer.add_to_body(piece);
        Ok(())
    }

    fn end_body(&mut self) -> Result<(), Verdict> {
        let (start, end) = self.writer.end_new_body();
        self.layout.set_body(start, end);
        Ok(())
    }
}

impl Editing<'_, '_> {
    /// The message is not accepted; what the filter goes on to say is nobody's matter.
    fn failed(&mut self, failure: Failure) -> Result<(), Verdict> {
        self.writer.refuse(failure);
        Err(write_error())
    }

    /// A header that does not exist is added, one without a value goes.
    fn change(&mut self, index: u32, header: Header, has_leading_space: bool) -> Result<(), Verdict> {
        let at = self.layout.find(index, &header.name);
        match (at, header.value.is_empty()) {
            (Some(at), true) => self.layout.delete(at),
            (None, true) => {}
            (at, false) => {
                let Some((header, has_leading_space)) = self.checked(header, has_leading_space)? else {
                    return Ok(());
                };
                match at {
                    Some(at) => self.layout.replace(at, header, has_leading_space),
                    None => self.layout.append(header, has_leading_space),
                }
            }
        }
        Ok(())
    }

    /// milter_header_checks: the header as it is to be added, if it is.
    fn checked(&mut self, header: Header, has_leading_space: bool) -> Result<Option<(Header, bool)>, Verdict> {
        let text = field_text(&header, has_leading_space);
        match header_checks::check(self, &text) {
            Found::Nothing => Ok(Some((header, has_leading_space))),
            Found::Dropped => Ok(None),
            Found::Replaced(text) => {
                let at = text.iter().position(|byte| *byte == b':').unwrap_or(text.len());
                let value = text.get(at + 1..).unwrap_or_default().to_vec();
                Ok(Some((Header { name: text[..at].to_vec(), value }, true)))
            }
            Found::Refused(said) => Err(Verdict::Say(said)),
            Found::Failed => Err(write_error()),
        }
    }

    async fn add_recipient(&mut self, address: &[u8], arguments: &[u8]) -> Result<(), Failure> {
        let id = &self.message.id;
        let what = "Milter or header/body_checks";
        let (internal, is_one) = one_address(address);
        if internal.is_empty() {
            logging::warning!(id: id, "ignoring attempt from Milter to add null recipient");
            return Ok(());
        }
        if !is_one {
            let shown = text::printable(address);
            logging::warning!(id: id, "{what} request to add multi-recipient: \"{shown}\"");
        }
        let mut wishes = RcptParameters::default();
        for word in words(arguments) {
            let shown = text::printable(word);
            match parameters::rcpt(std::iter::once(word)) {
                Ok(found) => {
                    wishes.notify = found.notify.or(wishes.notify);
                    wishes.orcpt = found.orcpt.or(wishes.orcpt);
                }
                Err(parameters::ParameterError::Notify(_)) => {
                    logging::warning!(id: id, "Bad NOTIFY parameter from {what}: \"{shown}\"");
                }
                Err(parameters::ParameterError::Orcpt) => {
                    logging::warning!(id: id, "Bad ORCPT parameter from {what}: \"{shown}\"");
                }
                Err(_) => logging::warning!(id: id, "ignoring ESMTP argument from {what}: \"{shown}\""),
            }
        }
        let address = standard_form(self.message, Place::EnvelopeRecipient, Context::Local, &internal).await?;
        self.changes.recipients.push(Change::Add(address, wishes));
        Ok(())
    }

    async fn change_sender(&mut self, address: &[u8], arguments: &[u8]) -> Result<(), Failure> {
        let (internal, is_one) = one_address(address);
        if !is_one {
            let shown = text::printable(address);
            logging::warning!(id: self.message.id, "Milter request to add multi-sender: \"{shown}\"");
        }
        let mut wishes = MailParameters::default();
        for word in words(arguments) {
            match parameters::mail(std::iter::once(word), Offers::default()) {
                Ok(found) if found.ret.is_some() => wishes.ret = found.ret,
                Ok(found) if found.envid.is_some() => wishes.envid = found.envid,
                _ => {
                    let shown = text::printable(word);
                    logging::warning!("Ignoring bad ESMTP parameter \"{shown}\" in SMFI_CHGFROM request");
                }
            }
        }
        let address = standard_form(self.message, Place::EnvelopeSender, Context::Local, &internal).await?;
        self.envelope.sender = Some(address.clone());
        self.changes.sender = Some(Sender { address, parameters: wishes });
        Ok(())
    }
}

/// The queue file cannot be written: that was said, and the client is told by the failure.
fn write_error() -> Verdict {
    Said::parse(b"451 4.3.0 Error: queue file write error").map_or(Verdict::Shutdown, Verdict::Say)
}

/// The first address of a text in internal form, and whether it is the only one.
fn one_address(text: &[u8]) -> (Vec<u8>, bool) {
    let mailboxes = address::mailboxes(text);
    let first = mailboxes.first().map(|mailbox| address::unquote(&mailbox.address)).unwrap_or_default();
    (first, mailboxes.len() <= 1)
}

/// An address with or without angle brackets in internal form.
fn internal(text: &[u8]) -> Vec<u8> {
    let text = text.trim_ascii();
    let bare = text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">")).unwrap_or(text);
    address::unquote(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_of_a_text_counts() {
        for (text, expected, is_one) in [
            ("<new@x.example>", "new@x.example", true),
            ("new@x.example", "new@x.example", true),
            ("", "", true),
            ("<>", "", true),
            ("<a b@x>", "ab@x", true),
            ("\"q r\"@x.example", "q r@x.example", true),
            ("bare", "bare", true),
            ("<a@x>, <b@y>", "a@x", false),
            ("<a@r.example> <b@r.example>", "a@r.example", false),
        ] {
            assert_eq!(one_address(text.as_bytes()), (expected.into(), is_one), "{text}");
        }
        assert_eq!(internal(b"<\"a b\"@x>"), b"a b@x");
        assert_eq!(internal(b"a@x"), b"a@x");
    }
}
