//! One header field: checked, its addresses put into standard form, dropped or written.

use ipc::cleanup::{Cause, Flags};
use message::header::{Field, Kind, Role};
use message::mime;
use queue::size::{SMTPUTF8_HEADER, SMTPUTF8_REQUESTED, TLS_REQUIRED_NO};

use crate::canonical::{Failed, Place};
use crate::checks::{Class, Fate};
use crate::incoming::Incoming;
use message::refold::refold;

impl Incoming<'_> {
    /// Takes a complete field, lines joined by newlines.
    pub(crate) async fn header_field(&mut self, text: &[u8]) {
        let kind = Field::parse(text).map_or(Kind::Other, |field| field.kind());
        let class = if kind.role() == Role::Mime { Class::MimeHeader } else { Class::Header };
        let replacement = match self.check(class, text) {
            Fate::Keep => None,
            Fate::Drop => return,
            Fate::Replace(new) => Some(new),
        };
        let text = replacement.as_deref().unwrap_or(text);
        if !self.goes_on() {
            return;
        }
        let Some(field) = Field::parse(text) else {
            return self.lines(text); // a check replaced it by something else
        };
        let kind = field.kind();
        self.note_field(kind, &field);
        if self.site.settings.drops_kind(kind) || (kind == Kind::Other && self.site.settings.drops(field.name)) {
            return; // message_drop_headers
        }
        self.log_message_id(kind, &field);
        let value = match self.addresses_of(kind, field.value).await {
            Ok(value) => value,
            Err(Failed) => return,
        };
        match value {
            // What a check says is written as it says it.
            None if replacement.is_some() => self.lines(text),
            // Blanks before the colon disappear.
            None => self.lines(&[field.name, b":", field.value].concat()),
            Some(value) => self.lines(&refold(field.name, &value)),
        }
    }

    fn note_field(&mut self, kind: Kind, field: &Field<'_>) {
        self.header.note(kind);
        self.header.resent |= matches!(kind.role(), Role::ResentSender | Role::ResentRecipient)
            || matches!(kind, Kind::ResentDate | Kind::ResentMessageId);
        if !field.value.is_ascii() && self.size.send_options & SMTPUTF8_REQUESTED != 0 {
            self.size.send_options |= SMTPUTF8_HEADER;
        }
        match kind {
            Kind::Received => self.hop(),
            Kind::ContentType => self.structure.content_type(field),
            Kind::ContentTransferEncoding => self.note_encoding(field.value),
            Kind::TlsRequired if field.trimmed().eq_ignore_ascii_case(b"no") => {
                self.size.send_options |= TLS_REQUIRED_NO;
            }
            _ => {}
        }
    }

    /// hopcount_limit.
    fn hop(&mut self) {
        self.header.hops += 1;
        if self.header.hops >= self.site.settings.hopcount_limit && !self.has_failed_for(Cause::Hops) {
            logging::warning!("{}: message rejected: hopcount exceeded", self.id);
            self.fail(Cause::Hops, "");
        }
    }

    /// detect_8bit_encoding_header; a body that calls itself binary needs no less.
    pub(crate) fn note_encoding(&mut self, value: &[u8]) {
        let encoding = mime::Encoding::parse(value);
        if self.site.settings.detect_encoding && encoding.is_some_and(|encoding| !encoding.is_seven_bit()) {
            self.facts.encoding = queue::Encoding::EightBit;
        }
    }

    fn log_message_id(&mut self, kind: Kind, field: &Field<'_>) {
        if !matches!(kind, Kind::MessageId | Kind::ResentMessageId) {
            return;
        }
        let start = field.value.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(field.value.len());
        let value = &field.value[start..];
        let prefix = if kind == Kind::ResentMessageId { "resent-" } else { "" };
        logging::info!("{}: {prefix}message-id={}", self.id, text::printable(value));
        if kind == Kind::MessageId && self.header.message_id.is_none() {
            self.header.message_id = Some(field.trimmed().to_vec());
        }
    }

    /// The value with its addresses in standard form; `None` when nothing changes.
    async fn addresses_of(&mut self, kind: Kind, value: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        let place = match kind.role() {
            Role::Sender | Role::ResentSender => Place::HeaderSender,
            Role::Recipient | Role::ResentRecipient => Place::HeaderRecipient,
            Role::Mime | Role::Text => return Ok(None),
        };
        // remote_header_rewrite_domain: headers of strangers stay as they are.
        let foreign = self.facts.remote && self.site.settings.remote_domain.is_empty();
        if foreign || !self.flags.has(Flags::MAP) {
            return Ok(None);
        }
        let (mut out, mut kept, mut changed) = (Vec::new(), 0, false);
        let mut bare_end = None;
        for mailbox in address::mailboxes(value) {
            let internal = address::unquote(&mailbox.address);
            let standard = self.standard_form(place, &internal).await?;
            changed |= standard != internal;
            out.extend_from_slice(&value[kept..mailbox.range.start]);
            // Addresses that only blanks separate get the comma that they lack.
            let gap = bare_end.filter(|_| !mailbox.bracketed).map(|end: usize| &value[end..mailbox.range.start]);
            if gap.is_some_and(|gap| gap.iter().all(u8::is_ascii_whitespace)) {
                out.push(b',');
            }
            match &standard[..] {
                b"" if !mailbox.bracketed => out.extend_from_slice(b"\"\""),
                standard => out.extend_from_slice(&address::quote(standard)),
            }
            kept = mailbox.range.end;
            bare_end = (!mailbox.bracketed).then_some(kept);
        }
        out.extend_from_slice(&value[kept..]);
        // Where nothing changes, the author's way of writing it stays.
        Ok(changed.then_some(out))
    }
}
