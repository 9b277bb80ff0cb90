//! Addresses in standard form: completed by trivial-rewrite, replaced by the canonical tables, masqueraded.

use ipc::cleanup::{Cause, Flags};
use ipc::rewrite::Context;
use lookup::search::address_keys;
use lookup::{Found, Maps, fold};

use crate::failure::Failure;
use crate::masquerade;
use crate::message::Message;
use crate::site::Site;

/// Where an address stands. Display names are those of canonical_classes and masquerade_classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The envelope sender.
    EnvelopeSender,
    /// An envelope recipient.
    EnvelopeRecipient,
    /// A header that names who sends.
    HeaderSender,
    /// A header that names who receives.
    HeaderRecipient,
}

impl Place {
    fn class(self) -> &'static str {
        match self {
            Place::EnvelopeSender => "envelope_sender",
            Place::EnvelopeRecipient => "envelope_recipient",
            Place::HeaderSender => "header_sender",
            Place::HeaderRecipient => "header_recipient",
        }
    }

    fn is_sender(self) -> bool {
        matches!(self, Place::EnvelopeSender | Place::HeaderSender)
    }
}

/// Times that one canonical table is applied to its own result.
/// told: nobody, as with Postfix: a circle in canonical tables ends with what the last step made.
const MAX_NESTING: usize = 10;

/// The standard form of an address (internal form both ways); one without a domain is completed as `context` wants.
pub async fn standard_form(
    message: &Message<'_>,
    place: Place,
    context: Context,
    address: &[u8],
) -> Result<Vec<u8>, Failure> {
    if address.is_empty() {
        return Ok(Vec::new());
    }
    let site = message.site;
    let mut address = rewrite(site, context, address).await?;
    if !message.flags.has(Flags::MAP) {
        return Ok(address);
    }
    let (settings, tables) = (&site.settings, &site.tables);
    let (own, own_classes) = if place.is_sender() {
        (&tables.sender_canonical, &settings.sender_canonical_classes)
    } else {
        (&tables.recipient_canonical, &settings.recipient_canonical_classes)
    };
    for (maps, classes) in [(own, own_classes), (&tables.canonical, &settings.canonical_classes)] {
        if !maps.is_empty() && has(classes, place) {
            address = map(message, maps, address).await?;
        }
    }
    if !settings.masquerade_domains.is_empty() && has(&settings.masquerade_classes, place) {
        masquerade::apply(&mut address, &settings.masquerade_domains, &settings.masquerade_exceptions, settings.utf8);
    }
    Ok(address)
}

/// Asks trivial-rewrite, unless the address is obviously complete.
pub async fn rewrite(site: &Site, context: Context, address: &[u8]) -> Result<Vec<u8>, Failure> {
    if address.is_empty() || address::is_standard(address) {
        return Ok(address.to_vec());
    }
    match site.rewriter.rewrite(context, address).await {
        Ok(address) => Ok(address),
        Err(error) => Err(Failure::new(Cause::Write).warning(format!("problem talking to service rewrite: {error}"))),
    }
}

/// Applies one list of canonical tables until it has nothing more to say.
async fn map(message: &Message<'_>, maps: &Maps, mut address: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let site = message.site;
    let propagate = site.settings.propagates("canonical");
    for _ in 0..MAX_NESTING {
        let Some(mut results) = find_addresses(site, maps, &address, propagate).await? else { return Ok(address) };
        if results.len() > 1 {
            let shown = text::printable(&address);
            logging::warning!(id: message.id, "multi-valued {} entry for {shown}", maps.title());
        }
        let Some(next) = results.drain(..).next() else { return Ok(address) };
        let next = rewrite(site, Context::Local, &next).await?;
        if fold::same(&next, &address, site.settings.utf8) {
            return Ok(next);
        }
        address = next;
    }
    // Postfix's words; like Postfix, the message is accepted for what the address has become.
    let (shown, title) = (text::printable(&address), maps.title());
    logging::warning!(
        id: message.id,
        "unreasonable {title} map nesting for {shown} -- message not accepted, try again later"
    );
    Ok(address)
}

/// The addresses of an address's entry, at least one: each with the unmatched extension when that is wanted, and with
/// the local part of `address` where the value is `@domain`. A value without any address refuses the message for now.
pub async fn find_addresses(
    site: &Site,
    maps: &Maps,
    address: &[u8],
    propagate: bool,
) -> Result<Option<Vec<Vec<u8>>>, Failure> {
    let Some(found) = find(site, maps, address).await? else { return Ok(None) };
    let results = found.addresses(address, propagate);
    if results.is_empty() {
        let (shown, value) = (text::printable(address), text::printable(&found.value));
        logging::warning!("{} lookup of {shown} returns non-address result \"{value}\"", maps.title());
        return Err(table_failed(maps, address));
    }
    Ok(Some(results))
}

/// Looks an address up as address tables are; a broken table refuses the message for now.
pub async fn find(site: &Site, maps: &Maps, address: &[u8]) -> Result<Option<Found>, Failure> {
    if maps.is_empty() {
        return Ok(None);
    }
    let keys = address_keys(address, &site.settings.delimiters, |domain| site.domains.contains(domain));
    lookup::settled(|| maps.search(&keys)).await.map_err(|_| table_failed(maps, address))
}

fn table_failed(maps: &Maps, address: &[u8]) -> Failure {
    let (shown, title) = (text::printable(address), maps.title());
    let warning = format!("{title} map lookup problem for {shown} -- message not accepted, try again later");
    Failure::new(Cause::Write).warning(warning)
}

fn has(classes: &[String], place: Place) -> bool {
    classes.iter().any(|class| class.eq_ignore_ascii_case(place.class()))
}
