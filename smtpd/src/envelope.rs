//! The records of a message's envelope, in the order in which Postfix's server writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use dsn::{Notify, OriginalRecipient, Return};
use ipc::cleanup::Flags;
use queue::record::{Type, encode, encode_attribute};
use smtp_protocol::parameters::{Body, Verp};
use smtp_server::{Facts, UNKNOWN};

use crate::restriction::Effects;

/// What the head of an envelope says besides the facts.
pub struct Head<'a> {
    /// The queue file.
    pub queue_id: &'a str,
    /// Headers are completed with this system's domain.
    pub local_rewrite: bool,
    /// Where all recipients go first; empty for nowhere.
    pub content_filter: &'a [u8],
}

/// Everything before the first recipient.
pub fn begin(out: &mut Vec<u8>, facts: &Facts<'_>, head: &Head<'_>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    encode(out, Type::TIME, format!("{} {}", now.as_secs(), now.subsec_micros()).as_bytes());
    if !head.content_filter.is_empty() {
        encode(out, Type::FILTER, head.content_filter); // content_filter
    }
    let mut attribute = |name: &str, value: &str| encode_attribute(out, name, value.as_bytes());
    let forward = facts.forward;
    attribute("log_ident", forward.and_then(|forward| forward.ident.as_deref()).unwrap_or(head.queue_id));
    attribute("rewrite_context", if head.local_rewrite { "local" } else { "remote" });
    if let Some(login) = facts.login {
        attribute("sasl_method", &login.method);
        attribute("sasl_username", &login.user);
    }
    if let Some(sender) = facts.parameters.and_then(|parameters| parameters.auth.as_ref()) {
        encode_attribute(out, "sasl_sender", sender);
    }
    if let Some(envid) = facts.parameters.and_then(|parameters| parameters.envid.as_ref()) {
        encode_attribute(out, "envelope_id", envid);
    }
    if let Some(ret) = facts.parameters.and_then(|parameters| parameters.ret)
        && ret != Return::Unset
    {
        encode_attribute(out, "ret_flags", ret.bits().to_string().as_bytes());
    }
    encode(out, Type::SENDER, facts.sender.unwrap_or_default());
    match facts.parameters.and_then(|parameters| parameters.body) {
        Some(Body::EightBitMime) => encode_attribute(out, "encoding", b"8bit"),
        Some(Body::SevenBit) => encode_attribute(out, "encoding", b"7bit"),
        None => {}
    }
    client(out, facts);
    if let Some(Verp::Delimiters(delimiters)) = facts.parameters.and_then(|parameters| parameters.verp.as_ref()) {
        encode(out, Type::VERP, delimiters);
    }
}

fn client(out: &mut Vec<u8>, facts: &Facts<'_>) {
    let peer = facts.peer;
    // What logs of later hops name is the original client, when one is known.
    match facts.forward.and_then(|forward| Some((forward, forward.label(facts.peer.shows_port)?))) {
        Some((forward, label)) => {
            let mut attribute = |name: &str, value: &str| encode_attribute(out, name, value.as_bytes());
            let text = |value: &Option<String>| value.clone().unwrap_or_else(|| UNKNOWN.to_owned());
            attribute("log_client_name", &text(&forward.name));
            attribute("log_client_address", &forward.address.map_or_else(|| UNKNOWN.to_owned(), net::literal::rfc));
            attribute("log_client_port", &text(&forward.port));
            attribute("log_message_origin", &label);
            if let Some(helo) = &forward.helo {
                attribute("log_helo_name", helo);
            }
            attribute("log_protocol_name", &text(&forward.protocol));
        }
        None => receiving::client::logged(out, peer, facts.helo, facts.protocol.name()),
    }
    let mut attribute = |name: &str, value: &str| encode_attribute(out, name, value.as_bytes());
    attribute("client_name", &peer.name);
    attribute("reverse_client_name", &peer.reverse_name);
    attribute("client_address", &peer.address_text());
    attribute("client_port", &peer.port);
    attribute("server_address", &peer.server_address_text());
    attribute("server_port", &peer.server_port);
    if let Some(helo) = facts.helo {
        attribute("helo_name", helo);
    }
    attribute("protocol_name", facts.protocol.name());
    attribute("client_address_type", &receiving::client::family(peer));
}

/// Whether access tables want the message to be held or dropped, as a record for cleanup.
pub fn fate(out: &mut Vec<u8>, effects: &Effects) {
    let mut flags = Flags::default();
    if effects.hold {
        flags = flags.with(Flags::HOLD);
    }
    if effects.discard {
        flags = flags.with(Flags::DISCARD);
    }
    if flags != Flags::default() {
        encode(out, Type::FLAGS, flags.bits().to_string().as_bytes());
    }
}

/// Where access tables want the message to go: records for cleanup that stand behind the content, for the tables that
/// are asked behind it have their word too.
pub fn ways(out: &mut Vec<u8>, effects: &Effects) {
    if let Some(filter) = &effects.filter {
        encode(out, Type::FILTER, filter);
    }
    if let Some(redirect) = &effects.redirect {
        encode(out, Type::REDIRECT, redirect);
    }
    for address in &effects.bcc {
        // Nobody is told what becomes of a copy.
        encode_attribute(out, "notify_flags", Notify::NEVER.bits().to_string().as_bytes());
        encode_attribute(out, "dsn_orig_rcpt", OriginalRecipient::as_written(address, address).as_stored());
        encode(out, Type::RECIPIENT, address);
    }
}
