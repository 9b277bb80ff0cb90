//! XFORWARD: where the next message comes from, told by a server in front of this one. Postfix's XFORWARD extension.

use delivery::transcript::ErrorClass;
use net::Family;
use smtp_protocol::attributes::{Attribute, AttributeError, Known};
use smtp_protocol::verb::words;

use crate::command::helo::cleaned;
use crate::forward::Forward;
use crate::session::{Session, Success};

/// What EHLO announces to a client that may use it.
pub const ANNOUNCEMENT: &str = "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT";

/// `XFORWARD attribute=value...`
pub async fn run(session: &mut Session, argument: &[u8]) -> Success {
    if session.transaction.is_some() {
        return session.fail(503, "5.5.1", "Error: MAIL transaction in progress");
    }
    if argument.is_empty() {
        return session.fail(501, "5.5.4", "Syntax: XFORWARD attribute=value...");
    }
    // smtpd_authorized_xforward_hosts
    if !session.xforward_allowed {
        return session.fail_for(ErrorClass::Policy, 550, "5.7.0", "Error: insufficient authorization");
    }
    // What a command says counts as a whole or not at all.
    let mut forward = session.forward.take().unwrap_or_default();
    let before = forward.clone();
    for word in words(argument) {
        let taken = Attribute::parse(word).and_then(|attribute| take(session, &mut forward, &attribute));
        if let Err(error) = taken {
            session.forward = (before != Forward::default()).then_some(before);
            return session.fail(501, "5.5.4", error.to_string());
        }
    }
    session.forward = Some(forward);
    session.succeed("2.0.0", "Ok")
}

fn take(session: &Session, forward: &mut Forward, attribute: &Attribute) -> Result<(), AttributeError> {
    let mut of_client = true;
    match attribute.name.as_slice() {
        b"NAME" => match attribute.host("NAME")? {
            Known::Temporary => return Err(AttributeError::Syntax("NAME", attribute.value.clone())),
            name => forward.name = name.value(),
        },
        b"ADDR" => {
            let address = attribute.address("ADDR")?.value().map(|address| session.worker.unmapped(address));
            if address.is_some_and(|address| !session.worker.protocols.has(Family::of(address))) {
                return Err(AttributeError::Syntax("ADDR", attribute.value.clone()));
            }
            forward.address = address;
        }
        b"PORT" => forward.port = attribute.port("PORT")?.value(),
        b"HELO" => forward.helo = attribute.any().value().map(|name| cleaned(name.as_bytes())),
        b"PROTO" => forward.protocol = attribute.protocol("PROTO")?.value().map(|name| cleaned(name.as_bytes())),
        b"IDENT" => {
            of_client = false;
            forward.ident = attribute.any().value();
        }
        b"SOURCE" => {
            of_client = false;
            forward.local = Some(match attribute.value.to_ascii_uppercase().as_slice() {
                b"LOCAL" | b"[UNAVAILABLE]" => true,
                b"REMOTE" => false,
                _ => return Err(AttributeError::Syntax("SOURCE", attribute.value.clone())),
            });
        }
        name => return Err(AttributeError::Unknown("XFORWARD", name.to_vec())),
    }
    forward.has_client |= of_client;
    Ok(())
}
