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
        login: facts.login.map(|login| (login.method.as_str(), login.user.as_str())),
        sasl_sender: sasl_sender(facts),
    }
}

/// AUTH= of MAIL FROM, to be shown.
pub fn sasl_sender(facts: &Facts<'_>) -> Option<String> {
    let sender = facts.parameters.and_then(|parameters| parameters.auth.as_ref())?;
    Some(text::printable(sender))
}
