//! Headers that are added when they are missing: Message-Id, Date, From, To.
//!
//! Only mail of local users and of clients in local_header_rewrite_clients is completed (always_add_missing_headers for
//! all); what strangers send stays as it is.

use ipc::cleanup::Flags;
use logging::records::cleanup::MessageId;
use message::header::Kind;
use message::{date, message_id};

use crate::envelope::Envelope;
use crate::message::Message;
use crate::writer::Writer;

/// What the null sender is called in a From header.
const NULL_SENDER: &[u8] = b"MAILER-DAEMON";

/// What the header has.
#[derive(Debug, Default)]
pub struct Present {
    kinds: Vec<Kind>,
    /// A Resent- field was seen: what is missing is added with that prefix.
    pub resent: bool,
    /// The first Message-Id.
    pub message_id: Option<Vec<u8>>,
}

impl Present {
    /// Whether a field of this kind was seen.
    fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Notes a field.
    pub fn note(&mut self, kind: Kind) {
        if kind != Kind::Other && !self.has(kind) {
            self.kinds.push(kind);
        }
    }

    /// Adds what is missing, and logs the message without a Message-Id.
    pub fn complete(&mut self, message: &Message<'_>, envelope: &Envelope, writer: &mut Writer) {
        let prefix = if self.resent { "Resent-" } else { "" };
        if !envelope.client.remote || message.site.settings.always_add_headers {
            self.add_message_id(message, envelope, writer);
            if !self.has(if self.resent { Kind::ResentDate } else { Kind::Date }) {
                made(writer, format!("{prefix}Date: {}", date::rfc5322(envelope.arrived())).as_bytes());
            }
            if !self.has(if self.resent { Kind::ResentFrom } else { Kind::From }) {
                let from = from(envelope, message.site.settings.obsolete_from);
                made(writer, &[prefix.as_bytes(), b"From: ", &from].concat());
            }
            let visible = [Kind::To, Kind::Cc, Kind::ResentTo, Kind::ResentCc];
            let undisclosed = message.site.settings.undisclosed_recipients.as_bytes();
            if !undisclosed.is_empty() && !visible.iter().any(|kind| self.has(*kind)) {
                made(writer, undisclosed); // undisclosed_recipients_header
            }
        }
        // requiretls_esmtp_header
        let is_required = message.flags.has(Flags::REQUIRETLS) && message.site.settings.requiretls_header;
        if is_required && !self.has(Kind::RequireTlsEsmtp) {
            made(writer, b"Require-TLS-ESMTP: yes");
        }
        if !self.has(Kind::MessageId) {
            logging::emit(&MessageId { queue_id: message.id.as_str(), value: "<>", resent: false });
        }
    }

    fn add_message_id(&mut self, message: &Message<'_>, envelope: &Envelope, writer: &mut Writer) {
        let kind = if self.resent { Kind::ResentMessageId } else { Kind::MessageId };
        if self.has(kind) {
            return;
        }
        let prefix = if self.resent { "Resent-" } else { "" };
        let settings = &message.site.settings;
        let id = if settings.long_ids {
            message_id::for_long_queue_id(message.id.as_str(), &settings.hostname)
        } else {
            message_id::for_short_queue_id(envelope.created, message.id.as_str(), &settings.hostname)
        };
        made(writer, format!("{prefix}Message-Id: {id}").as_bytes());
        logging::emit(&MessageId { queue_id: message.id.as_str(), value: &id, resent: self.resent });
        self.note(kind);
        if kind == Kind::MessageId {
            self.message_id = Some(id.into_bytes());
        }
    }
}

/// Writes a header line that is made here: the only way for one. What it says of others (a sender, a name) cannot end
/// it, and holds no character that a terminal obeys.
fn made(writer: &mut Writer, line: &[u8]) {
    let line: Vec<u8> = line.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }).collect();
    writer.line(&line);
}

/// header_from_format.
fn from(envelope: &Envelope, obsolete: bool) -> Vec<u8> {
    let (sender, name) = (envelope.sender(), &envelope.full_name);
    let address = if sender.is_empty() { NULL_SENDER.to_vec() } else { address::quote(sender) };
    if name.is_empty() || sender.is_empty() {
        return address;
    }
    if obsolete {
        let comment = name.iter().map(|b| if matches!(b, b'(' | b')' | b'\\') { b'_' } else { *b });
        return [&address[..], b" (", &comment.collect::<Vec<u8>>(), b")"].concat();
    }
    [&phrase(name)[..], b" <", &address, b">"].concat()
}

/// A display name (RFC 5322 phrase): words as they are, anything else as a quoted string.
fn phrase(name: &[u8]) -> Vec<u8> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b" !#$%&'*+-/=?^_`{|}~".contains(b) || *b >= 0x80;
    if name.iter().all(plain) { name.to_vec() } else { address::quoted_string(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_phrase_are_quoted() {
        assert_eq!(phrase(b"Alice A"), b"Alice A");
        assert_eq!(phrase(br#"Alice "Q" (x)"#), br#""Alice \"Q\" (x)""#);
        assert_eq!(phrase(b"J. Doe"), b"\"J. Doe\"");
    }
}
