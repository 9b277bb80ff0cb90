//! The relay row: processor time, rate, system calls, context switches and waits for the disk of one message.

use std::time::Instant;

use testing::Programs;

use super::calls::{self, Detail};
use super::figures::{Figure, Sample};
use super::traffic::{Load, Relay};
use super::usage::{Usage, Watch};
use super::{Bench, Row, rounds};
use crate::failure::Outcome;

/// Messages whose calls are observed one by one.
const OBSERVED: usize = 300;

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let load = Load::reused(bench.sizes.messages, bench.sizes.sessions);
    Ok((format!("{} messages of 1 KiB over {} sessions", load.messages, load.sessions), figures(bench, &load)?))
}

/// What a message of such a load costs, and where.
pub fn figures(bench: &Bench, load: &Load) -> Outcome<Vec<Figure>> {
    let mut figures = rounds::alternate(&bench.systems, bench.rounds, |programs| {
        let (sample, usage) = timed(programs, load)?;
        Ok(by_program(sample, &usage, load.messages))
    })?;
    // Programs that had nothing to do.
    figures.retain(|figure| figure.ours.iter().chain(&figure.postfix).any(|value| *value > 0.0));
    if bench.sizes.calls {
        // A round of its own, for counting slows down; the numbers differ little between rounds.
        figures.extend(rounds::alternate(&bench.systems, 1, |programs| counted(programs, load))?);
    }
    if bench.sizes.detail {
        for system in &bench.systems {
            println!("system calls a message, {:?}", system.side);
            let relay = Relay::warm(&system.programs, load.sessions)?;
            let observed = Load { messages: OBSERVED, ..*load };
            Detail::observe(&relay.mail, || relay.deliver(&observed))?.print(OBSERVED);
        }
    }
    Ok(figures)
}

/// Processor time, rate and context switches of such a load.
pub fn timed(programs: &Programs, load: &Load) -> Outcome<(Sample, Usage)> {
    let relay = Relay::warm(programs, load.sessions)?;
    let (watch, begin) = (Watch::begin(relay.mail.master()), Instant::now());
    relay.deliver(load)?;
    let seconds = begin.elapsed().as_secs_f64();
    relay.mail.wait_idle();
    let usage = watch.end();
    let messages = load.messages as f64;
    let sample = Sample::default()
        .with("CPU", "s / 1,000", usage.cpu * 1_000.0 / messages)
        .with("messages", "/ s", messages / seconds)
        .with("context switches", "/ message", usage.switches / messages);
    Ok((sample, usage))
}

/// System calls and waits for the disk of such a load.
pub fn counted(programs: &Programs, load: &Load) -> Outcome<Sample> {
    let relay = Relay::warm(programs, load.sessions)?;
    let counts = calls::count(&relay.mail, || {
        relay.deliver(load)?;
        relay.mail.wait_idle();
        Ok(())
    })?;
    let messages = load.messages as f64;
    Ok(Sample::default().with("system calls", "/ message", counts.total() / messages).with(
        "waits for the disk",
        "/ message",
        counts.syncs() / messages,
    ))
}

fn by_program(sample: Sample, usage: &Usage, messages: usize) -> Sample {
    let each = |cpu: f64| cpu * 1_000.0 / messages as f64;
    let named: f64 = usage.by_program.values().map(|spent| spent.cpu).sum();
    let sample = usage.by_program.iter().fold(sample, |sample, (program, spent)| {
        sample.with(format!("CPU of {program}"), "s / 1,000", each(spent.cpu))
    });
    sample.with("CPU of processes at their end", "s / 1,000", each((usage.cpu - named).max(0.0)))
}
