//! The large row: messages of 100 KiB, where bytes cost more than messages.

use super::traffic::Load;
use super::{Bench, Row, relay};
use crate::failure::Outcome;

const SIZE: usize = 100 << 10;

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let messages = (bench.sizes.messages / 4).max(1);
    let load = Load { size: SIZE, ..Load::reused(messages, bench.sizes.sessions) };
    let figures = relay::figures(bench, &load)?;
    Ok((format!("{messages} messages of 100 KiB over {} sessions", load.sessions), figures))
}
