//! The accept row: many clients at once, of a mail system that has just started.

use std::time::Instant;

use super::crowd::Crowd;
use super::figures::Sample;
use super::idle::many_clients;
use super::traffic::Relay;
use super::{Bench, Row, rounds};
use crate::failure::Outcome;

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let clients = bench.sizes.clients;
    let figures = rounds::alternate(&bench.systems, bench.rounds, |programs| {
        let relay = Relay::start(programs, &many_clients(clients));
        let begin = Instant::now();
        let crowd = Crowd::connect(relay.mail.v4(), clients, usize::MAX)?;
        let seconds = begin.elapsed().as_secs_f64();
        drop(crowd);
        Ok(Sample::default().with("all greeted", "s", seconds))
    })?;
    Ok((format!("{clients} connections at once, just after the start"), figures))
}
