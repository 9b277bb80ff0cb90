//! QUIT: the client is done. RFC 5321 4.1.1.10

use smtp_protocol::Reply;

use crate::session::{Session, Success};

/// `QUIT`
pub fn run(session: &mut Session) -> Success {
    session.reply(Reply::with_status(221, "2.0.0", "Bye"));
    Ok(true)
}
