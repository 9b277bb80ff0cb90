//! Headers that are added when they are missing: Message-Id, Date, From, To.
//!
//! Only mail of local users and of clients in local_header_rewrite_clients is completed; what strangers send stays as
//! it is, unless remote_header_rewrite_domain or always_add_missing_headers says otherwise.

use ipc::cleanup::Flags;
use logging::records::cleanup::MessageId;
use message::header::{Field, Kind};
use message::{date, encoded_word, message_id};

use crate::envelope::Envelope;
use crate::message::Message;
use crate::writer::Writer;

/// The longest line of a header that is made of several parts.
/// told: nobody; the next line follows.
const LINE: usize = 69;

/// What the null sender is called in a From header.
pub const NULL_SENDER: &[u8] = b"MAILER-DAEMON";

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
        let settings = &message.site.settings;
        if !envelope.client.remote || settings.always_add_headers || !settings.remote_domain.is_empty() {
            self.add_message_id(message, envelope, writer);
            if !self.has(if self.resent { Kind::ResentDate } else { Kind::Date }) {
                made(writer, format!("{prefix}Date: {}", date::rfc5322(envelope.arrived())).as_bytes());
            }
            if !self.has(if self.resent { Kind::ResentFrom } else { Kind::From }) {
                let from = from(envelope, settings.obsolete_from, &settings.name_charset);
                let name = [prefix.as_bytes(), b"From:"].concat();
                folded(name, &from).iter().for_each(|line| made(writer, line));
            }
            let visible = [Kind::To, Kind::Cc, Kind::ResentTo, Kind::ResentCc];
            if !visible.iter().any(|kind| self.has(*kind)) {
                add_undisclosed(settings.undisclosed_recipients.as_bytes(), writer);
            }
        }
        // requiretls_esmtp_header
        let is_required = message.flags.has(Flags::REQUIRETLS) && settings.requiretls_header;
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

/// undisclosed_recipients_header. A text that is no header would end the header that it is added to.
fn add_undisclosed(text: &[u8], writer: &mut Writer) {
    match text {
        b"" => {}
        text if Field::parse(text).is_some() => made(writer, text),
        text => logging::warning!(
            "bad undisclosed_recipients_header header text \"{}\" -- need \"headername: headervalue\"",
            text::printable(text)
        ),
    }
}

/// Writes a header line that is made here: the only way for one. What it says of others (a sender, a name) cannot end
/// it, and holds no character that a terminal obeys.
fn made(writer: &mut Writer, line: &[u8]) {
    let is_continued = line.first() == Some(&b'\t');
    let plain = |(at, byte): (usize, &u8)| match byte.is_ascii_control() {
        true if at > 0 || !is_continued => b' ',
        _ => *byte,
    };
    let line: Vec<u8> = line.iter().enumerate().map(plain).collect();
    writer.line(&line);
}

/// A header in lines: a part that does not fit into one begins the next.
fn folded(name: Vec<u8>, parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut line = name;
    for (at, part) in parts.iter().enumerate() {
        if at > 0 && line.len() + 1 + part.len() > LINE {
            lines.push(std::mem::replace(&mut line, [b"\t", &part[..]].concat()));
        } else {
            line.push(b' ');
            line.extend(part);
        }
    }
    lines.push(line);
    lines
}

/// The parts of a From header, as header_from_format has them; `charset` is full_name_encoding_charset.
fn from(envelope: &Envelope, obsolete: bool, charset: &str) -> Vec<Vec<u8>> {
    let (sender, name) = (envelope.sender(), envelope.full_name.trim_ascii());
    let address = if sender.is_empty() { NULL_SENDER.to_vec() } else { address::quote(sender) };
    if name.is_empty() || sender.is_empty() {
        return vec![address];
    }
    let mut words = match name.is_ascii() {
        false => encoded_word::encode(name, charset).into_iter().map(String::into_bytes).collect(),
        true if obsolete => {
            vec![name.iter().map(|b| if matches!(b, b'(' | b')' | b'\\') { b'_' } else { *b }).collect()]
        }
        true => vec![phrase(name)],
    };
    if !obsolete {
        words.push([b"<", &address[..], b">"].concat());
        return words;
    }
    if let Some(first) = words.first_mut() {
        first.insert(0, b'(');
    }
    if let Some(last) = words.last_mut() {
        last.push(b')');
    }
    words.insert(0, address);
    words
}

/// A display name (RFC 5322 phrase): words as they are, anything else as a quoted string.
fn phrase(name: &[u8]) -> Vec<u8> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b" !#$%&'*+-/=?^_`{|}~".contains(b);
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

    fn header(full_name: &str, obsolete: bool) -> String {
        let mut envelope = Envelope::default();
        envelope.full_name = full_name.as_bytes().to_vec();
        envelope.sender = Some(b"sender@h.test".to_vec());
        let lines = folded(b"From:".to_vec(), &from(&envelope, obsolete, "utf-8"));
        lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_name_beyond_ascii_is_encoded_and_a_long_header_is_folded() {
        for (name, obsolete, expected) in [
            ("Plain Name", false, "From: Plain Name <sender@h.test>".to_owned()),
            ("  \u{fc}  ", false, "From: =?utf-8?Q?=C3=BC?= <sender@h.test>".to_owned()),
            ("J\u{fc}rgen (a) b", true, "From: sender@h.test (=?utf-8?Q?J=C3=BCrgen_=28a=29_b?=)".to_owned()),
        ] {
            assert_eq!(header(name, obsolete), expected);
        }
        let long = format!("\u{fc}{}", "x".repeat(58));
        let first = format!("=?utf-8?Q?=C3=BC{}?=", "x".repeat(57));
        assert_eq!(header(&long, false), format!("From: {first}\n\t=?utf-8?Q?x?= <sender@h.test>"));
        assert_eq!(header(&long, true), format!("From: sender@h.test\n\t({first}\n\t=?utf-8?Q?x?=)"));
    }
}
