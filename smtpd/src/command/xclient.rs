//! XCLIENT: from here on the client is another one. For tests, and for content filters and proxies in front of the server.
//! Postfix's XCLIENT extension.
//!
//! The session begins anew with the other identity, restrictions and limits included. Whoever may use the command can be
//! anybody: it is for the hosts in smtpd_authorized_xclient_hosts alone, and the new identity is asked again.

use delivery::transcript::ErrorClass;
use net::Family;
use smtp_protocol::Reply;
use smtp_protocol::attributes::{Attribute, AttributeError, Known};
use smtp_protocol::verb::words;

use crate::command::ehlo::discarded;
use crate::command::helo::cleaned;
use crate::peer::{NameStatus, Peer, UNKNOWN};
use crate::session::{End, Session, Success};
use crate::withheld::Lapse;

/// What EHLO announces to a client that may use it.
pub const ANNOUNCEMENT: &str = "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT";

/// The client as it is described so far.
struct Identity {
    peer: Peer,
    protocol: &'static str,
    helo: Option<String>,
    login: Option<String>,
}

/// `XCLIENT attribute=value...`
pub async fn run(session: &mut Session, argument: &[u8]) -> Success {
    if session.transaction.is_some() {
        return session.fail(503, "5.5.1", "Error: MAIL transaction in progress");
    }
    if argument.is_empty() {
        return session.fail(501, "5.5.4", "Syntax: XCLIENT attribute=value...");
    }
    // smtpd_authorized_xclient_hosts
    if !session.xclient_allowed {
        return session.fail_for(ErrorClass::Policy, 550, "5.7.0", "Error: insufficient authorization");
    }
    // What a command says counts as a whole or not at all.
    let mut identity = Identity { peer: session.peer.clone(), protocol: "SMTP", helo: None, login: None };
    for word in words(argument) {
        let taken = Attribute::parse(word).and_then(|attribute| take(session, &mut identity, &attribute));
        if let Err(error) = taken {
            return session.fail(501, "5.5.4", error.to_string());
        }
    }
    become_client(session, identity).await
}

async fn become_client(session: &mut Session, identity: Identity) -> Success {
    session.forget_transaction().await;
    session.peer = identity.peer;
    session.peer.relabel();
    session.protocol = identity.protocol;
    session.helo = identity.helo;
    session.login = identity.login;
    session.local_rewrite = None;
    session.discarded = discarded(&session.worker, &session.peer);
    (session.errors, session.junk, session.forgiven) = (0, 0, true);
    session.xclient_allowed = session.peer.is_in(&session.worker.tables.xclient_hosts).unwrap_or(false);
    session.welcome().await?;
    Ok(false)
}

fn take(session: &Session, identity: &mut Identity, attribute: &Attribute) -> Result<(), AttributeError> {
    let syntax = |name| AttributeError::Syntax(name, attribute.value.clone());
    let usable = |name| {
        let address = attribute.address(name)?.value().map(|address| session.worker.unmapped(address));
        let disabled = address.is_some_and(|address| !session.worker.protocols.has(Family::of(address)));
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
        b"HELO" => identity.helo = attribute.any().value().map(|name| cleaned(name.as_bytes())),
        b"LOGIN" => identity.login = attribute.any().value(),
        b"PROTO" => {
            identity.protocol = match attribute.value.to_ascii_uppercase().as_slice() {
                b"SMTP" => "SMTP",
                b"ESMTP" => "ESMTP",
                _ => return Err(syntax("PROTO")),
            }
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

impl Session {
    /// Greets a client, or turns it down.
    pub async fn welcome(&mut self) -> Result<(), End> {
        self.count_connection().await?;
        self.connect_milters()?;
        // smtpd_delay_reject
        if !self.worker.settings.delay_reject
            && let Some(rejection) = self.check_connect().await?
        {
            self.denied = true;
            let goodbye = matches!(rejection.code, 421 | 521);
            self.turn_down(&rejection);
            return if goodbye { Err(End::Done) } else { Ok(()) };
        }
        let settings = &self.worker.settings;
        let greeting = match self.lapse {
            Lapse::Reject => Reply::plain(554, format!("{} ESMTP not accepting connections", settings.myhostname)),
            _ => Reply::plain(220, &settings.banner),
        };
        self.reply(greeting);
        Ok(())
    }
}
