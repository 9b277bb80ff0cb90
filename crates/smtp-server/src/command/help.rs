//! HELP: the commands that there are. RFC 5321 4.1.1.8

use dsn::Status;
use smtp_protocol::{Reply, Verb};

use crate::turn::Turn;

/// `HELP [anything]`
pub fn run() -> Turn {
    let mut names: Vec<&str> = Verb::ALL.into_iter().filter(|verb| *verb != Verb::Unknown).map(Verb::name).collect();
    names.sort_unstable();
    Turn::say(Reply::with_status(214, Status::new(2, 0, 0), format!("Commands: {}", names.join(" "))))
}
