//! XFORWARD: where the next message comes from, told by a server in front of this one. Postfix's XFORWARD extension.

use dsn::Status;
use net::Family;
use smtp_protocol::attributes::{Attribute, AttributeError, Known};
use smtp_protocol::verb::words;

use crate::command::helo::cleaned;
use crate::command::in_transaction;
use crate::command::xclient::unauthorized;
use crate::dialogue::Dialogue;
use crate::forward::Forward;
use crate::settings::Settings;
use crate::turn::{Answer, breach, done};

/// What EHLO announces to a client that may use it.
pub const ANNOUNCEMENT: &str = "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT";

/// `XFORWARD attribute=value...`
pub fn run(dialogue: &mut Dialogue, argument: &[u8]) -> Answer {
    if dialogue.transaction.is_some() {
        return Err(in_transaction());
    }
    if argument.is_empty() {
        return Err(breach(501, Status::new(5, 5, 4), "Syntax: XFORWARD attribute=value..."));
    }
    // smtpd_authorized_xforward_hosts
    if !dialogue.may.xforward {
        return Err(unauthorized());
    }
    // What a command says counts as a whole or not at all.
    let mut forward = dialogue.forward.clone().unwrap_or_default();
    for word in words(argument) {
        Attribute::parse(word)
            .and_then(|attribute| take(&dialogue.settings, &mut forward, &attribute))
            .map_err(|error| breach(501, Status::new(5, 5, 4), error.to_string()))?;
    }
    dialogue.forward = Some(forward);
    done(Status::new(2, 0, 0), "Ok")
}

fn take(settings: &Settings, forward: &mut Forward, attribute: &Attribute) -> Result<(), AttributeError> {
    let mut of_client = true;
    match attribute.name.as_slice() {
        b"NAME" => match attribute.host("NAME")? {
            Known::Temporary => return Err(AttributeError::Syntax("NAME", attribute.value.clone())),
            name => forward.name = name.value(),
        },
        b"ADDR" => {
            let address = attribute.address("ADDR")?.value().map(|address| settings.unmapped(address));
            if address.is_some_and(|address| !settings.protocols.has(Family::of(address))) {
                return Err(AttributeError::Syntax("ADDR", attribute.value.clone()));
            }
            forward.address = address;
        }
        b"PORT" => forward.port = attribute.port("PORT")?.value(),
        b"HELO" => forward.helo = attribute.any().value().map(|name| cleaned(name.as_bytes(), settings.smtputf8)),
        b"PROTO" => {
            forward.protocol =
                attribute.protocol("PROTO")?.value().map(|name| cleaned(name.as_bytes(), settings.smtputf8))
        }
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
