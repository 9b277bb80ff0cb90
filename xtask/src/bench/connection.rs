//! The connection row: a client that comes with one message and goes.

use super::traffic::Load;
use super::{Bench, Row, relay, rounds};
use crate::failure::Outcome;

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let load = Load { each_connection: 1, ..Load::reused(bench.sizes.messages, bench.sizes.sessions) };
    let figures = rounds::alternate(&bench.systems, bench.rounds, |programs| Ok(relay::timed(programs, &load)?.0))?;
    Ok((format!("{} messages of 1 KiB, a connection for each, {} at once", load.messages, load.sessions), figures))
}
