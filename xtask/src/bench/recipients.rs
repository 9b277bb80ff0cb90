//! The recipients row: one message for many people at one place.

use std::time::Instant;

use testing::Programs;

use super::figures::Sample;
use super::traffic::Relay;
use super::{Bench, Row, rounds};
use crate::failure::Outcome;

const RECIPIENTS: usize = 1_000;

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let figures = rounds::alternate(&bench.systems, bench.rounds, |programs| {
        Ok(Sample::default().with("all delivered", "s", seconds(programs, RECIPIENTS)?))
    })?;
    Ok((
        "one message of 1 KiB to 1,000 recipients of one destination, from MAIL to the last delivery".to_owned(),
        figures,
    ))
}

/// From MAIL until the next hop has it for all recipients.
pub fn seconds(programs: &Programs, recipients: usize) -> Outcome<f64> {
    let most = recipients.max(RECIPIENTS).to_string();
    let relay = Relay::start(programs, &[("smtpd_recipient_limit", most)]);
    // As in a system that runs: processes are there, and connections.
    relay.deliver_to_many(recipients.min(RECIPIENTS))?;
    let begin = Instant::now();
    relay.deliver_to_many(recipients)?;
    Ok(begin.elapsed().as_secs_f64())
}
