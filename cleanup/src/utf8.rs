//! Which parts of a message are not ASCII, and whether it travels with SMTPUTF8 (RFC 6531).
//!
//! What is found is noted in any case; it counts only in a message that is to travel with SMTPUTF8, because its client
//! said so, or because mail of its origin is looked at (smtputf8_autodetect_classes). Others go on as they always did,
//! 8-bit headers and all.

use ipc::cleanup::Flags;
use queue::SendOptions;

use crate::message::Message;
use crate::writer::Writer;

/// Notes the sender.
pub fn sender(message: &Message<'_>, writer: &mut Writer, address: &[u8]) {
    if is_utf8(address) {
        found(message, writer, SendOptions::SMTPUTF8_SENDER);
    }
}

/// Notes a recipient: what of it needs SMTPUTF8 is a matter of its delivery.
pub fn recipient(message: &Message<'_>, writer: &mut Writer, address: &[u8]) {
    if is_utf8(address) {
        found(message, writer, SendOptions::default());
    }
}

/// Notes a header field, of the message or of a part of it. Text in another encoding is no better than UTF-8 for a
/// server that takes ASCII only.
pub fn header(message: &Message<'_>, writer: &mut Writer, value: &[u8]) {
    if !value.is_ascii() {
        found(message, writer, SendOptions::SMTPUTF8_HEADER);
    }
}

/// Whether what is known of the message so far makes it travel with SMTPUTF8, or would with an address like this.
pub fn is_wanted(message: &Message<'_>, writer: &Writer) -> bool {
    message.flags.has(Flags::AUTO_UTF8) || writer.send_options().has(SendOptions::SMTPUTF8_REQUESTED)
}

fn found(message: &Message<'_>, writer: &mut Writer, what: SendOptions) {
    // smtputf8_enable
    if !message.site.settings.utf8 {
        return;
    }
    writer.add_send_option(what);
    if message.flags.has(Flags::AUTO_UTF8) {
        writer.add_send_option(SendOptions::SMTPUTF8_REQUESTED);
    }
}

/// An address that is neither ASCII nor something else.
fn is_utf8(address: &[u8]) -> bool {
    !address.is_ascii() && std::str::from_utf8(address).is_ok()
}
