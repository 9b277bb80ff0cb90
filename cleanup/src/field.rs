//! One header field: checked, its addresses put into standard form, dropped or written.

use ipc::cleanup::Cause;
use ipc::rewrite::Context;
use logging::records::cleanup::MessageId;
use message::addresses::Addresses;
use message::header::{Field, Kind, Role};
use message::parts::Class;
use message::refold::refold;
use queue::SendOptions;

use crate::canonical::{Place, standard_form};
use crate::checks::Fate;
use crate::failure::Failure;
use crate::generated::Present;
use crate::inspection::Inspection;
use crate::message::Message;
use crate::utf8;
use crate::writer::Writer;

/// The fields so far.
#[derive(Debug, Default)]
pub struct Fields {
    /// Which there are.
    pub present: Present,
    /// Received fields.
    hops: usize,
}

impl Fields {
    /// Takes a complete field, lines joined by newlines.
    ///
    /// # Errors
    /// An address has no standard form for now.
    pub async fn take(&mut self, on: &mut Inspection<'_>, text: &[u8]) -> Result<(), Failure> {
        on.judge_field(text);
        let field = Field::parse(text);
        let kind = field.map_or(Kind::Other, |field| field.kind());
        // Blanks before the colon disappear.
        let plain = field.map(|field| [field.name, b":", field.value].concat());
        let text = plain.as_deref().unwrap_or(text);
        let is_own = on.structure.take_own();
        let class = if kind.role() == Role::Mime && !is_own { Class::MimeHeader } else { Class::Header };
        let replacement = match on.check(class, text) {
            Fate::Keep => None,
            Fate::Drop => return Ok(()),
            Fate::Replace(new) => Some(new),
        };
        let text = replacement.as_deref().unwrap_or(text);
        if !on.writer.verdict.goes_on() {
            return Ok(());
        }
        let Some(field) = Field::parse(text) else {
            on.writer.lines(text); // a check replaced it by something else
            return Ok(());
        };
        let kind = field.kind();
        self.note(on, kind, &field);
        let settings = &on.message.site.settings;
        if settings.drops_kind(kind) || (kind == Kind::Other && settings.drops(field.name)) {
            return Ok(()); // message_drop_headers
        }
        self.log_message_id(on.message, kind, &field);
        match rewritten(on, kind, &field).await? {
            // What a check says is written as it says it.
            None => on.writer.lines(text),
            Some(value) => on.writer.lines(&refold(field.name, &value)),
        }
        Ok(())
    }

    fn note(&mut self, on: &mut Inspection<'_>, kind: Kind, field: &Field<'_>) {
        self.present.note(kind);
        self.present.resent |= matches!(kind.role(), Role::ResentSender | Role::ResentRecipient)
            || matches!(kind, Kind::ResentDate | Kind::ResentMessageId);
        utf8::header(on.message, on.writer, field.value);
        match kind {
            Kind::Received => self.hop(on.message.site.settings.hopcount_limit, on.writer),
            Kind::TlsRequired if field.trimmed().eq_ignore_ascii_case(b"no") => {
                on.writer.add_send_option(SendOptions::TLS_REQUIRED_NO);
            }
            Kind::TlsRequired => {
                let shown = text::printable(&[field.name, b":", field.value].concat());
                logging::warning!(id: on.message.id, "ignoring malformed header: '{shown}'");
            }
            // What a content filter gives back is still what the sender asked for.
            Kind::RequireTlsEsmtp if field.trimmed().eq_ignore_ascii_case(b"yes") => {
                on.writer.add_send_option(SendOptions::REQUIRETLS);
            }
            _ => on.structure.note(field),
        }
    }

    /// hopcount_limit.
    fn hop(&mut self, limit: usize, writer: &mut Writer) {
        self.hops += 1;
        if self.hops >= limit && !writer.verdict.is_refused_for(Cause::Hops) {
            let warning = "message rejected: hopcount exceeded".to_owned();
            writer.refuse(Failure::new(Cause::Hops).warning(warning));
        }
    }

    fn log_message_id(&mut self, message: &Message<'_>, kind: Kind, field: &Field<'_>) {
        if !matches!(kind, Kind::MessageId | Kind::ResentMessageId) {
            return;
        }
        let value = field.value.trim_ascii_start();
        logging::emit(&MessageId {
            queue_id: message.id.as_str(),
            value: &text::printable(value),
            resent: kind == Kind::ResentMessageId,
        });
        if kind == Kind::MessageId && self.present.message_id.is_none() {
            self.present.message_id = Some(field.trimmed().to_vec()).filter(|id| !id.is_empty());
        }
    }
}

/// The value with its addresses in standard form; `None` when nothing changes.
async fn rewritten(on: &Inspection<'_>, kind: Kind, field: &Field<'_>) -> Result<Option<Vec<u8>>, Failure> {
    let place = match kind.role() {
        Role::Sender | Role::ResentSender => Place::HeaderSender,
        Role::Recipient | Role::ResentRecipient => Place::HeaderRecipient,
        Role::Mime | Role::Text => return Ok(None),
    };
    let (message, remote) = (on.message, on.envelope.client.remote);
    // remote_header_rewrite_domain: headers of strangers stay as they are.
    if remote && message.site.settings.remote_domain.is_empty() {
        return Ok(None);
    }
    let kept = address::leading_tokens(field.value, message.site.settings.token_limit);
    let is_cut = kept.len() < field.value.len();
    if is_cut {
        on.tell_tokens(field.name);
    }
    let standard = with_standard_addresses(message, remote, place, kept).await?;
    Ok(standard.or_else(|| is_cut.then(|| kept.to_vec())))
}

/// The value with its addresses in standard form; `None` when nothing changes.
async fn with_standard_addresses(
    message: &Message<'_>,
    remote: bool,
    place: Place,
    value: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    let settings = &message.site.settings;
    // myorigin, remote_header_rewrite_domain
    let (context, origin) = match remote {
        true => (Context::Remote, &settings.remote_domain),
        false => (Context::Local, &settings.origin),
    };
    let addresses = Addresses::of(value);
    let mut internal = addresses.internal();
    for (address, _) in internal.iter_mut().zip(addresses.are_undivided()).filter(|(_, undivided)| *undivided) {
        address.extend_from_slice(format!("@{origin}").as_bytes());
    }
    let mut standard = Vec::with_capacity(internal.len());
    for address in &internal {
        standard.push(standard_form(message, place, context, address).await?);
    }
    // Where nothing changes, the author's way of writing it stays.
    Ok(addresses.differ_from(&standard).then(|| addresses.replaced(&standard)))
}
