//! The message that a notification is about, as far as the queue file tells.

use std::fs::File;

use ipc::bounce::Message;
use message::header::Kind;
use queue::envelope::Limits;
use queue::{Content, Envelope, Spool};

/// An open queue file, or what can be said without one: a notification is sent even when the message is gone.
pub struct Subject {
    /// When it arrived, in seconds since 1970; now, where that is not known.
    pub arrival: i64,
    /// Its content in bytes.
    pub size: u64,
    /// `sendmail -bv` or `-v` asked for a report.
    pub report_requested: bool,
    /// The delimiters of VERP, if each recipient has seen a sender of its own.
    pub verp: Option<Vec<u8>>,
    content: Option<(File, u64)>,
}

/// The longest line of a header that can be an identifier: RFC 5322 2.1.1 allows 998.
/// told: nobody; a longer one is none, and the notification stands for itself.
const LONGEST_IDENTIFIER: usize = 998;

impl Subject {
    /// Opens the message; a missing or unreadable file is a warning and leaves an empty message.
    pub fn open(spool: &Spool, message: &Message, now: i64) -> Self {
        let missing = Subject { arrival: now, size: 0, report_requested: false, verp: None, content: None };
        let path = spool.path(message.queue_name, &message.queue_id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) => {
                logging::warning!("open {}: {error}", path.display(), error = text::system_error(&error));
                return missing;
            }
        };
        match Envelope::read(&file, &Limits { recipients: 1, ..Limits::default() }) {
            Ok(envelope) => Subject {
                arrival: envelope.arrival.0,
                size: envelope.size.as_ref().map_or(0, |size| size.content_length),
                report_requested: envelope.trace_flags.is_some(),
                verp: envelope.verp,
                content: Some((file, envelope.data_offset)),
            },
            Err(error) => {
                logging::warning!("{}: {error}", path.display());
                missing
            }
        }
    }

    /// The content from its start; `None` where there is no message.
    pub fn content(&self) -> Option<Content<&File>> {
        self.content.as_ref().map(|(file, offset)| Content::new(file, *offset))
    }

    /// The identifier of the message, if its header has one that other programs take for one (RFC 5322 3.6.4).
    pub fn identifier(&self) -> Option<Vec<u8>> {
        let mut content = self.content()?;
        let (mut line, mut is_ours) = (Vec::new(), false);
        loop {
            // What cannot be read is told by who copies the message.
            let text = content.next_text().ok()??;
            if line.len() <= LONGEST_IDENTIFIER {
                line.extend_from_slice(text.data);
            }
            if !text.ends_line {
                continue;
            }
            if line.is_empty() {
                return None;
            }
            // The identifier may stand in the line behind the name.
            if !(is_ours && message::header::is_continuation(&line)) {
                let field = message::header::Field::parse(&line);
                is_ours = field.is_some_and(|field| field.kind() == Kind::MessageId);
                let start = field.filter(|_| is_ours).map_or(line.len(), |field| line.len() - field.value.len());
                line.drain(..start);
            }
            let identifier = message::header::trim(&line);
            if is_ours && !identifier.is_empty() {
                return is_identifier(identifier).then(|| identifier.to_vec());
            }
            line.clear();
        }
    }
}

/// `<left@right>`, of characters that may stand in a header.
fn is_identifier(text: &[u8]) -> bool {
    let inside = text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">"));
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"<>".contains(byte);
    text.len() <= LONGEST_IDENTIFIER && inside.is_some_and(|text| !text.is_empty() && text.iter().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_identifier_in_angle_brackets_is_one() {
        assert!(is_identifier(b"<a.b@c.test>"));
        for other in [&b"a@b"[..], b"<>", b"<a@b> <c@d>", b"(c) <a@b>", b"<a b@c>", b"<\xe9@c>", b"<a@b>\nX: y"] {
            assert!(!is_identifier(other), "{other:?}");
        }
    }
}
