//! The line about a decision, from what is known of the client and its message.

use delivery::AddressFormat;
use logging::records::smtpd::Decided;
use smtp_server::Facts;

/// A decision about what these facts are of.
pub fn decided<'a>(facts: &Facts<'a>, addresses: AddressFormat, action: &'a str, text: &'a str) -> Decided<'a> {
    Decided {
        queue_id: facts.queue_id,
        action,
        command: facts.state.name(),
        client: &facts.peer.label,
        text,
        from: facts.sender.map(|address| addresses.shown(address)),
        to: facts.recipient.map(|address| addresses.shown(address)),
        protocol: facts.protocol.name(),
        helo: facts.helo,
    }
}
