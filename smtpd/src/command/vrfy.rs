//! VRFY: would mail for this address be taken? RFC 5321 4.1.1.6

use delivery::transcript::ErrorClass;
use smtp_protocol::{Reply, path};

use crate::session::{Session, Success};

/// `VRFY address`
pub async fn run(session: &mut Session, written: &[u8]) -> Success {
    if session.worker.settings.vrfy_disabled {
        return session.fail_for(ErrorClass::Policy, 502, "5.5.1", "VRFY command is disabled");
    }
    if written.is_empty() {
        let option = if session.worker.settings.smtputf8 { " [SMTPUTF8]" } else { "" };
        return session.fail(501, "5.5.4", format!("Syntax: VRFY address{option}"));
    }
    let open = written.starts_with(b"<") && !written.ends_with(b">");
    let address = if open { path::address(&written[1..], false) } else { path::address(written, false) };
    let Some(address) = address.filter(|address| !address.is_empty()) else { return bad_address(session, written) };
    if let Ok(resolved) = session.worker.resolve(None, &address).await
        && resolved.bad_syntax
    {
        return bad_address(session, written);
    }
    if let Some(rejection) = session.check_rcpt(&address).await? {
        session.turn_down(&rejection);
        return Ok(false);
    }
    session.reply(Reply::with_status(252, "2.0.0", written));
    Ok(true)
}

fn bad_address(session: &mut Session, written: &[u8]) -> Success {
    let shown = text::printable(written);
    logging::warning!("Illegal address syntax from {} in VRFY command: {shown}", session.peer.label);
    session.fail(501, "5.1.3", "Bad recipient address syntax")
}
