//! HELP: the commands that there are, as Postfix 3.11 names them; before, it was unknown. RFC 5321 4.1.1.8

use smtp_protocol::{Reply, Verb};

use crate::command::unknown;
use crate::session::{Session, Success};

/// `HELP [anything]`
pub fn run(session: &mut Session, line: &[u8]) -> Success {
    if !session.worker.settings.modern {
        return unknown::run(session, b"HELP", line);
    }
    let mut names: Vec<&str> = Verb::ALL.into_iter().filter(|verb| *verb != Verb::Unknown).map(Verb::name).collect();
    names.sort_unstable();
    session.reply(Reply::with_status(214, "2.0.0", format!("Commands: {}", names.join(" "))));
    Ok(true)
}
