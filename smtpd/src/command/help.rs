//! HELP: the commands that there are. RFC 5321 4.1.1.8

use smtp_protocol::{Reply, Verb};

use crate::session::{Session, Success};

/// `HELP [anything]`
pub fn run(session: &mut Session) -> Success {
    let mut names: Vec<&str> = Verb::ALL.into_iter().filter(|verb| *verb != Verb::Unknown).map(Verb::name).collect();
    names.sort_unstable();
    session.reply(Reply::with_status(214, "2.0.0", format!("Commands: {}", names.join(" "))));
    Ok(true)
}
