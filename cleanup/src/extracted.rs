//! What follows the content: what was found in it, recipients of `sendmail -t`, hidden copies.

use dsn::OriginalRecipient;
use queue::size::FLAG_MIXED;
use queue::{Encoding, Type};

use crate::incoming::{Incoming, Stage};

/// What checks have found.
#[derive(Debug, Default)]
pub struct Findings {
    /// No more checks: an action said so.
    pub passed: bool,
    /// FILTER action: `transport:nexthop`.
    pub filter: Option<Vec<u8>>,
    /// REDIRECT action.
    pub redirect: Option<Vec<u8>>,
    /// Aliases whose senders want to hear of success.
    pub expanded: Vec<ipc::bounce::Record>,
}

impl Incoming<'_> {
    /// What is known at the end of the content.
    pub(crate) fn begin_extracted(&mut self) {
        if let Some(id) = self.header.message_id.take() {
            let one_line: Vec<u8> = id.into_iter().filter(|b| !b.is_ascii_control()).collect();
            self.put_attribute("message_id", &one_line);
        }
        let encoding = self.facts.encoding;
        if encoding != Encoding::Unstated {
            self.put_attribute("encoding", encoding.as_str().as_bytes());
        }
        self.put_findings();
    }

    /// Takes one record of the segment.
    pub(crate) async fn extracted_record(&mut self, kind: Type, data: &[u8]) {
        match kind {
            Type::RECIPIENT => self.recipient(data).await,
            Type::DONE | Type::CANCELED => self.pending = Default::default(),
            Type::ORIGINAL => self.pending.original = Some(data.to_vec()),
            Type::DSN_RECIPIENT => self.pending.dsn = OriginalRecipient::from_stored(data.to_vec()),
            Type::ATTRIBUTE => {
                let mut parts = data.splitn(2, |b| *b == b'=');
                let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                // Others were found in the content, which was looked at here.
                self.recipient_attribute(name, value);
            }
            Type::FILTER | Type::REDIRECT => {
                self.size.flags |= FLAG_MIXED;
                self.put(kind, data);
            }
            Type::NOTIFY | Type::RETURN_RECEIPT | Type::ERRORS_TO | Type::PRIORITY | Type::INSPECTOR => {}
            Type::FLAGS => self.more_flags(data),
            Type::POINTER | Type::KILLED => {}
            Type::END => {
                self.copies().await;
                self.put(Type::END, b"");
                self.stage = Stage::Complete;
            }
            _ => self.fail_protocol(&format!("unexpected record type {kind:?} behind the content")),
        }
    }
}
