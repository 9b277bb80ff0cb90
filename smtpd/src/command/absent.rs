//! Commands that are known and not offered: AUTH, ETRN. They get the
//! replies of a server where the feature is switched off.

use delivery::transcript::ErrorClass;
use smtp_protocol::{Reply, Verb};

use crate::session::{Session, Success};

/// One of them.
pub fn run(session: &mut Session, verb: Verb, argument: &[u8], line: &[u8]) -> Success {
    match verb {
        Verb::Auth if needs_helo(session) => session.fail(503, "5.5.1", "Error: send HELO/EHLO first"),
        // RFC 4954 6: it is configured, and cannot be done.
        Verb::Auth if session.worker.settings.sasl_enabled => {
            session.fail_for(ErrorClass::Software, 454, "4.7.0", "Temporary authentication failure")
        }
        Verb::Auth => session.fail(503, "5.5.1", "Error: authentication not enabled"),
        Verb::Etrn => etrn(session, argument),
        _ => {
            logging::warning!("no command for {}: {}", verb.name(), text::printable(line));
            session.fail(500, "5.5.2", "Error: command not recognized")
        }
    }
}

fn etrn(session: &mut Session, argument: &[u8]) -> Success {
    let (code, text) = if needs_helo(session) {
        (503, "Error: send HELO/EHLO first".to_owned())
    } else if session.transaction.is_some() {
        (503, "Error: MAIL transaction in progress".to_owned())
    } else if argument.is_empty() || argument.contains(&b' ') {
        (500, "Syntax: ETRN domain".to_owned())
    } else {
        let shown = text::printable(argument);
        logging::warning!("reject: ETRN {shown}... from {}", session.peer.label);
        (459, format!("<{}>: service unavailable", text::printable(argument.strip_prefix(b"#").unwrap_or(argument))))
    };
    if code != 459 {
        session.transcript.note(ErrorClass::Protocol);
    }
    session.reply(Reply::plain(code, text));
    Ok(false)
}

/// smtpd_helo_required
fn needs_helo(session: &Session) -> bool {
    session.helo.is_none() && session.worker.settings.helo_required
}
