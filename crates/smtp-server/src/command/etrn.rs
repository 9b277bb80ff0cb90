//! ETRN, which is not offered: the replies of a server that flushes nothing. RFC 1985

use smtp_protocol::Reply;

use crate::dialogue::Dialogue;
use crate::turn::Turn;

/// `ETRN domain`
pub fn run(dialogue: &Dialogue, argument: &[u8]) -> Turn {
    if dialogue.needs_helo() {
        return Turn::misused(503, "Error: send HELO/EHLO first");
    }
    if dialogue.transaction.is_some() {
        return Turn::misused(503, "Error: MAIL transaction in progress");
    }
    if argument.is_empty() || argument.contains(&b' ') {
        return Turn::misused(500, "Syntax: ETRN domain");
    }
    let shown = text::printable(argument);
    logging::warning!("reject: ETRN {shown}... from {}", dialogue.peer.label);
    let domain = text::printable(argument.strip_prefix(b"#").unwrap_or(argument));
    Turn::say(Reply::plain(459, format!("<{domain}>: service unavailable")))
}
