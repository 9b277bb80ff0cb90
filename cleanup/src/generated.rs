//! Headers that are added when they are missing: Message-Id, Date, From, To.
//!
//! Only mail of local users and of clients in local_header_rewrite_clients is completed (always_add_missing_headers for
//! all); what strangers send stays as it is.

use message::header::Kind;
use message::{date, message_id};

use crate::incoming::Incoming;

/// What the null sender is called in a From header.
const NULL_SENDER: &[u8] = b"MAILER-DAEMON";

impl Incoming<'_> {
    /// Adds what is missing, and logs the message without a Message-Id.
    pub(crate) fn add_missing_headers(&mut self) {
        let complete = !self.facts.remote || self.site.settings.always_add_headers;
        let resent = self.header.resent;
        let prefix = if resent { "Resent-" } else { "" };
        if complete {
            self.add_message_id(prefix, if resent { Kind::ResentMessageId } else { Kind::MessageId });
            if !self.header.has(if resent { Kind::ResentDate } else { Kind::Date }) {
                let arrival = self.facts.arrival.map_or(self.facts.created, |(seconds, _)| seconds);
                self.made(format!("{prefix}Date: {}", date::rfc5322(arrival)).as_bytes());
            }
            if !self.header.has(if resent { Kind::ResentFrom } else { Kind::From }) {
                let from = self.from();
                self.made(&[prefix.as_bytes(), b"From: ", &from].concat());
            }
            self.add_to();
        }
        if !self.header.has(Kind::MessageId) {
            logging::info!("{}: message-id=<>", self.id);
        }
    }

    /// Writes a header line that is made here: the only way for one. What it says of others (a sender, a name) cannot end
    /// it, and holds no character that a terminal obeys.
    fn made(&mut self, line: &[u8]) {
        let line: Vec<u8> = line.iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte }).collect();
        self.line(&line);
    }

    fn add_message_id(&mut self, prefix: &str, kind: Kind) {
        if self.header.has(kind) {
            return;
        }
        let settings = &self.site.settings;
        let id = if settings.long_ids {
            message_id::for_long_queue_id(self.id.as_str(), &settings.hostname)
        } else {
            message_id::for_short_queue_id(self.facts.created, self.id.as_str(), &settings.hostname)
        };
        self.made(format!("{prefix}Message-Id: {id}").as_bytes());
        let logged = if prefix.is_empty() { "" } else { "resent-" };
        logging::info!("{}: {logged}message-id={id}", self.id);
        self.header.note(kind);
        if kind == Kind::MessageId {
            self.header.message_id = Some(id.into_bytes());
        }
    }

    /// undisclosed_recipients_header.
    fn add_to(&mut self) {
        let visible = [Kind::To, Kind::Cc, Kind::ResentTo, Kind::ResentCc];
        let header = self.site.settings.undisclosed_recipients.as_bytes();
        if !header.is_empty() && !visible.iter().any(|kind| self.header.has(*kind)) {
            self.made(header);
        }
    }

    /// header_from_format.
    fn from(&self) -> Vec<u8> {
        let sender = self.facts.sender.as_deref().unwrap_or_default();
        let address = if sender.is_empty() { NULL_SENDER.to_vec() } else { address::quote(sender) };
        let name = &self.facts.full_name;
        if name.is_empty() || sender.is_empty() {
            return address;
        }
        if self.site.settings.obsolete_from {
            let comment = name.iter().map(|b| if matches!(b, b'(' | b')' | b'\\') { b'_' } else { *b });
            return [&address[..], b" (", &comment.collect::<Vec<u8>>(), b")"].concat();
        }
        [&phrase(name)[..], b" <", &address, b">"].concat()
    }
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
