//! The connection row: a client that comes with one message and goes.

use super::traffic::Load;
use super::{Bench, Row, relay};
use crate::failure::Outcome;

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let load = Load { each_connection: 1, ..Load::reused(bench.sizes.messages, bench.sizes.sessions) };
    let figures = relay::figures(bench, &load)?;
    Ok((format!("{} messages of 1 KiB, a connection for each, {} at once", load.messages, load.sessions), figures))
}
