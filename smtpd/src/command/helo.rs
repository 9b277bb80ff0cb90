//! HELO: the client says its name. RFC 5321 4.1.1.1

use delivery::transcript::ErrorClass;
use smtp_protocol::Reply;

use crate::session::{Session, Success};

/// `HELO hostname`
pub async fn run(session: &mut Session, argument: &[u8]) -> Success {
    if argument.is_empty() {
        session.transcript.note(ErrorClass::Protocol);
        session.reply(Reply::plain(501, "Syntax: HELO hostname"));
        return Ok(false);
    }
    // A client that has said EHLO speaks ESMTP, whatever it says later.
    if !introduce(session, argument, session.protocol).await? {
        return Ok(false);
    }
    let hostname = session.worker.settings.myhostname.clone();
    session.reply(Reply::plain(250, hostname));
    Ok(true)
}

/// Takes a name and begins anew. False when the name was turned down.
pub async fn introduce(session: &mut Session, argument: &[u8], protocol: &'static str) -> Success {
    if let Some(rejection) = session.check_helo(&text::printable(argument)).await? {
        session.turn_down(&rejection);
        return Ok(false);
    }
    let name = cleaned(argument);
    session.forget_transaction().await;
    session.helo = Some(name);
    session.protocol = protocol;
    session.log_lapse(None);
    Ok(true)
}

/// The name as it may stand in headers and log lines: what could be taken for more than a name becomes `?`.
pub fn cleaned(argument: &[u8]) -> String {
    let clean = |c: char| match c {
        ' ' | '<' | '>' | '(' | ')' | '\\' | '"' | ';' | '@' => '?',
        c if c.is_control() => '?',
        c => c,
    };
    text::printable(argument).chars().map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::cleaned;

    #[test]
    fn a_name_cannot_leave_its_place_in_a_header() {
        assert_eq!(cleaned(b"x (y)\\;<a@b>\t\""), "x??y????a?b???");
        assert_eq!(cleaned(b"[IPv6:::1]"), "[IPv6:::1]");
    }
}
