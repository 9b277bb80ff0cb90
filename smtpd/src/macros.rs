//! What the macros of mail filters stand for in a session.

use ipc::rewrite::Resolved;
use milter::Values;
use smtp_server::{Facts, NameStatus, Peer, Rejection, UNKNOWN};

use crate::filters::Milters;

/// The values of a command.
pub struct OfSession<'a> {
    /// main.cf
    pub milters: &'a Milters,
    /// What is known of the session.
    pub facts: Facts<'a>,
    /// Connections of the client; 0 if they are not counted.
    pub connections: u32,
    /// Where the sender leads.
    pub sender: Option<&'a Resolved>,
    /// Where the recipient leads.
    pub recipient: Option<&'a Resolved>,
    /// Why the recipient at hand was turned down.
    pub refused: Option<&'a Rejection>,
}

/// Those of them that are known where the content is looked at.
pub struct OfContent<'s, 'a>(pub &'s OfSession<'a>);

impl Values for OfSession<'_> {
    fn value(&self, name: &str) -> Option<Vec<u8>> {
        let (facts, peer) = (&self.facts, self.facts.peer);
        let text = match name {
            "j" => self.milters.hostname.clone(),
            "daemon_name" => self.milters.daemon_name.clone(),
            "v" => self.milters.version.clone(),
            "daemon_addr" => peer.server_address_text(),
            "daemon_port" => number(&peer.server_port),
            "_" => who(peer),
            "client_addr" => peer.rfc_address(),
            "client_name" => peer.name.clone(),
            "client_ptr" => peer.reverse_name.clone(),
            "client_port" => number(&peer.port),
            "client_connections" => self.connections.to_string(),
            "client_resolve" => resolved(peer).to_owned(),
            "i" => facts.queue_id?.to_owned(),
            "auth_type" => facts.login?.method.clone(),
            "auth_authen" => facts.login?.user.clone(),
            "auth_author" => return facts.parameters?.auth.clone(),
            "tls_version" => facts.tls?.protocol.clone(),
            "cipher" => facts.tls?.cipher.clone(),
            "cipher_bits" => facts.tls?.bits.to_string(),
            "cert_subject" => facts.tls?.certificate.as_ref().filter(|it| it.trusted)?.common_name.clone(),
            "cert_issuer" => facts.tls?.certificate.as_ref().filter(|it| it.trusted)?.issuer.clone(),
            // Nobody stays nobody, though a way is known for what comes back.
            "mail_addr" if facts.sender.is_some_and(<[u8]>::is_empty) => return self.sender.map(|_| Vec::new()),
            "mail_addr" => return Some(address::quote(&self.sender?.recipient)).filter(|_| facts.sender.is_some()),
            "mail_host" => return Some(self.sender?.nexthop.clone()),
            "mail_mailer" => self.sender?.transport.clone(),
            "rcpt_addr" => return self.recipient_address(),
            "rcpt_host" if self.refused.is_some() => self.refused?.status.to_string(),
            "rcpt_host" => return Some(self.recipient?.nexthop.clone()),
            "rcpt_mailer" if self.refused.is_some() => "error".to_owned(),
            "rcpt_mailer" => self.recipient?.transport.clone(),
            _ => return None,
        };
        Some(text.into_bytes())
    }
}

impl OfSession<'_> {
    /// Of a recipient that was turned down, the reason stands in the place of the address.
    fn recipient_address(&self) -> Option<Vec<u8>> {
        let Some(rejection) = self.refused else { return Some(address::quote(&self.recipient?.recipient)) };
        let text = &rejection.text;
        let named = if text.starts_with(b"<") { text.windows(3).position(|it| it == b">: ") } else { None };
        Some(named.map_or(&text[..], |at| &text[at + 3..]).to_vec())
    }
}

impl Values for OfContent<'_, '_> {
    fn value(&self, name: &str) -> Option<Vec<u8>> {
        let is_known = match name {
            // cleanup tells it without a prefix.
            "client_addr" => return Some(self.0.facts.peer.address_text().into_bytes()),
            "client_connections" | "client_resolve" => false,
            "j" | "i" | "v" | "_" => true,
            name => ["daemon_", "client_", "auth_"].iter().any(|start| name.starts_with(start)),
        };
        self.0.value(name).filter(|_| is_known)
    }
}

/// `NAME [ADDRESS]`, with a remark where the name is not verified.
fn who(peer: &Peer) -> String {
    let forged = if peer.reverse_name.eq_ignore_ascii_case(&peer.name) { "" } else { " (may be forged)" };
    format!("{} [{}]{forged}", peer.reverse_name, peer.address_text())
}

fn number(port: &str) -> String {
    if port == UNKNOWN { "0".to_owned() } else { port.to_owned() }
}

/// What came of looking the client's name up.
fn resolved(peer: &Peer) -> &'static str {
    match (peer.name_status, peer.reverse_status) {
        (NameStatus::Known, _) => "OK",
        (NameStatus::Temporary, _) => "TEMP",
        (NameStatus::None, NameStatus::Known) => "FORGED",
        (NameStatus::None, _) => "FAIL",
    }
}
