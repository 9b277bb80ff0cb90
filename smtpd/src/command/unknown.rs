//! What is no command. A client that does not speak SMTP at all is left at once: it is a program that was
//! tricked into talking to us, and every further reply would be one to a command of somebody else.

use smtp_protocol::Reply;

use crate::session::{End, Session, Success};

/// Anything else.
pub fn run(session: &mut Session, word: &[u8], line: &[u8]) -> Success {
    if is_forbidden(session, word) {
        let shown = text::c_escape(&line[..line.len().min(100)]);
        logging::warning!("non-SMTP command from {}: {shown}", session.peer.label);
        session.reply(Reply::with_status(221, "2.7.0", "Error: I can break rules, too. Goodbye."));
        return Err(End::Done);
    }
    session.fail(500, "5.5.2", "Error: command not recognized")
}

/// smtpd_forbidden_commands, and everything that looks like a header.
fn is_forbidden(session: &Session, word: &[u8]) -> bool {
    let is_header = word.iter().position(|byte| *byte == b':').is_some_and(|at| at > 0);
    is_header || session.worker.tables.forbidden_commands.matches(word).unwrap_or(false)
}
