//! XCLIENT: from here on the client is another one. For tests, and for content filters and proxies in front of the
//! server. Postfix's XCLIENT extension.
//!
//! The session begins anew with the other identity, restrictions and limits included. Whoever may use the command can
//! be anybody: it is for the hosts in smtpd_authorized_xclient_hosts alone, and the new identity is asked again.

use dsn::Status;
use net::Family;
use net::peer::{NameStatus, Peer, UNKNOWN};
use smtp_protocol::attributes::{Attribute, AttributeError, Known};
use smtp_protocol::verb::words;

use crate::command::helo::cleaned;
use crate::command::in_transaction;
use crate::dialogue::Dialogue;
use crate::facts::Login;
use crate::rejection::Rejection;
use crate::services::{Privileges, Services};
use crate::settings::Settings;
use crate::state::Protocol;
use crate::turn::{Answer, Turn, breach};

/// What EHLO announces to a client that may use it.
pub const ANNOUNCEMENT: &str = "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT";

/// The client as it is described so far.
struct Identity {
    peer: Peer,
    protocol: Protocol,
    helo: Option<String>,
    login: Option<String>,
}

/// `XCLIENT attribute=value...`
pub async fn run(dialogue: &mut Dialogue, services: &mut impl Services, argument: &[u8]) -> Answer {
    if dialogue.transaction.is_some() {
        return Err(in_transaction());
    }
    if argument.is_empty() {
        return Err(breach(501, Status::new(5, 5, 4), "Syntax: XCLIENT attribute=value..."));
    }
    // smtpd_authorized_xclient_hosts
    if !dialogue.may.xclient {
        return Err(unauthorized());
    }
    // What a command says counts as a whole or not at all.
    let mut identity = Identity { peer: dialogue.peer.clone(), protocol: Protocol::Smtp, helo: None, login: None };
    for word in words(argument) {
        Attribute::parse(word)
            .and_then(|attribute| take(&dialogue.settings, &mut identity, &attribute))
            .map_err(|error| breach(501, Status::new(5, 5, 4), error.to_string()))?;
    }
    become_client(dialogue, services, identity).await
}

/// The client has no right to the command.
pub fn unauthorized() -> Turn {
    Rejection::new(550, Status::new(5, 7, 0), "Error: insufficient authorization").into()
}

async fn become_client(dialogue: &mut Dialogue, services: &mut impl Services, identity: Identity) -> Answer {
    dialogue.forget_transaction(services).await;
    dialogue.forget_helo(services).await;
    dialogue.peer = identity.peer;
    dialogue.peer.relabel();
    dialogue.protocol = identity.protocol;
    dialogue.helo = identity.helo;
    dialogue.login = identity.login.map(|user| Login { method: "XCLIENT".to_owned(), user });
    let may = services.privileges(&dialogue.peer);
    // Who may use XFORWARD is as it was.
    dialogue.may = Privileges { xforward: dialogue.may.xforward, ..may };
    // Postfix counts the command as one that failed for the statistics, and nowhere else.
    dialogue.is_another = true;
    Err(dialogue.welcome(services).await.unwrap_or_else(|turn| turn))
}

fn take(settings: &Settings, identity: &mut Identity, attribute: &Attribute) -> Result<(), AttributeError> {
    let syntax = |name| AttributeError::Syntax(name, attribute.value.clone());
    let usable = |name| {
        let address = attribute.address(name)?.value().map(|address| settings.unmapped(address));
        let disabled = address.is_some_and(|address| !settings.protocols.has(Family::of(address)));
        if disabled { Err(syntax(name)) } else { Ok(address) }
    };
    let port = |name| Ok(attribute.port(name)?.value().unwrap_or_else(|| UNKNOWN.to_owned()));
    let peer = &mut identity.peer;
    match attribute.name.as_slice() {
        b"NAME" => {
            (peer.name, peer.name_status) = named(attribute.host("NAME")?);
            (peer.reverse_name, peer.reverse_status) = (peer.name.clone(), peer.name_status);
        }
        b"REVERSE_NAME" => (peer.reverse_name, peer.reverse_status) = named(attribute.host("REVERSE_NAME")?),
        b"ADDR" => peer.address = usable("ADDR")?,
        b"PORT" => peer.port = port("PORT")?,
        b"DESTADDR" => peer.server_address = usable("DESTADDR")?,
        b"DESTPORT" => peer.server_port = port("DESTPORT")?,
        b"HELO" => identity.helo = attribute.any().value().map(|name| cleaned(name.as_bytes(), settings.smtputf8)),
        b"LOGIN" => identity.login = attribute.any().value(),
        b"PROTO" => {
            identity.protocol = Protocol::parse(&attribute.value).ok_or_else(|| syntax("PROTO"))?;
        }
        name => return Err(AttributeError::Unknown("XCLIENT", name.to_vec())),
    }
    Ok(())
}

fn named(name: Known<String>) -> (String, NameStatus) {
    match name {
        Known::Value(name) if !name.eq_ignore_ascii_case(UNKNOWN) => (name, NameStatus::Known),
        Known::Temporary => (UNKNOWN.to_owned(), NameStatus::Temporary),
        Known::Value(_) | Known::Unavailable => (UNKNOWN.to_owned(), NameStatus::None),
    }
}
