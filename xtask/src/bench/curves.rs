//! The curves: how costs grow with sessions, deferred messages, recipients and cores; at worst as fast as these.

use std::time::Instant;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use testing::Programs;
use testing::process::Process;

use super::crowd::{Crowd, Step};
use super::dead_queue::DeadQueue;
use super::figures::{Figure, Sample};
use super::idle::many_clients;
use super::rounds::{Side, System};
use super::traffic::{self, Load, Relay};
use super::{Bench, Row, machine, recipients};
use crate::failure::{Failure, Outcome};

/// Clients that connect at the same time: fewer than a listening socket keeps waiting.
const CONNECTING: usize = 100;
/// An exponent of the fit that still counts as linear: the times of small sizes are inexact.
const LINEAR: f64 = 1.1;
/// What the points of the curve of cores are called; it is the one that should fall.
const CORES: &str = "relay, by cores";
const MEMORY: &str = "most memory of qmgr, by deferred";

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let mut figures = Vec::new();
    sessions(bench, &mut figures)?;
    queue(bench, &mut figures)?;
    for count in steps(1, bench.sizes.most_recipients) {
        each(&bench.systems, &mut figures, |system| {
            let seconds = recipients::seconds(&system.programs, count)?;
            Ok(Sample::default().at(count, "one message, by recipients", "s", seconds))
        })?;
    }
    // Several rounds, for this is where other work on the machine counts most.
    let rounds = (0..bench.rounds).flat_map(|_| 1..=machine::cores());
    for count in rounds {
        each(&bench.systems, &mut figures, |system| {
            let load = Load::reused(bench.sizes.messages, bench.sizes.sessions);
            Ok(Sample::default().at(count, CORES, "s / 1,000", relay_on(count, &system.programs, &load)?))
        })?;
    }
    Ok(("growth, measured once (by cores: in rounds); the mail system alone is held to the cores".to_owned(), figures))
}

/// One message of each session, over more and more sessions.
fn sessions(bench: &Bench, figures: &mut Vec<Figure>) -> Outcome {
    let steps = steps(1, bench.sizes.most_sessions);
    for count in steps {
        // The sum of all messages stays about the same.
        let times = (bench.sizes.messages / count).max(1);
        each(&bench.systems, figures, |system| {
            if system.side == Side::Postfix && count > bench.sizes.most_sessions_of_postfix {
                return Ok(Sample::default());
            }
            let relay = Relay::start(&system.programs, &many_clients(count));
            let mut crowd = Crowd::connect(relay.mail.v4(), count, CONNECTING)?;
            crowd.play(&[Step::ehlo()], 1, usize::MAX)?;
            let (begin, goal) = (Instant::now(), relay.arrived() + count * times);
            crowd.play(&Step::message(&traffic::text(1024)), times, usize::MAX)?;
            relay.wait_for(goal)?;
            let seconds = begin.elapsed().as_secs_f64();
            Ok(Sample::default().at(count, "a message each, by sessions", "s", seconds / times as f64).at(
                count,
                "messages, by sessions",
                "/ s",
                (count * times) as f64 / seconds,
            ))
        })?;
    }
    Ok(())
}

/// A longer and longer queue: listed, tried again, and what the queue manager keeps of it.
fn queue(bench: &Bench, figures: &mut Vec<Figure>) -> Outcome {
    let mut queue = DeadQueue::make(&bench.systems)?;
    let first = 1_000.min(bench.sizes.most_deferred);
    queue.grow(first)?;
    for count in steps(first, bench.sizes.most_deferred) {
        queue.fill(count)?;
        each(&bench.systems, figures, |system| {
            if system.side == Side::Postfix && count > bench.sizes.most_deferred_of_postfix {
                return Ok(Sample::default());
            }
            queue.start(&system.programs);
            let (flush, cpu) = queue.flush()?;
            let list = queue.list("-p");
            let peak = queue.mail.processes_of("qmgr").iter().filter_map(Process::peak).max();
            queue.rest()?;
            Ok(Sample::default()
                .at(queue.size(), "flush, by deferred", "s", flush)
                .at(queue.size(), "CPU of a flush, by deferred", "CPU s", cpu)
                .at(queue.size(), "postqueue -p first, by deferred", "s", list.first)
                .at(queue.size(), "postqueue -p again, by deferred", "s", list.again)
                .at(queue.size(), MEMORY, "MiB", peak.unwrap_or_default() as f64 / f64::from(1 << 20)))
        })?;
    }
    Ok(())
}

/// Seconds for 1,000 messages by a mail system that may use so many cores.
fn relay_on(cores: usize, programs: &Programs, load: &Load) -> Outcome<f64> {
    let all = sched_getaffinity(Pid::from_raw(0)).map_err(|e| Failure::about("cores", e))?;
    let mut some = CpuSet::new();
    let usable = (0..CpuSet::count()).filter(|core| all.is_set(*core) == Ok(true));
    usable.take(cores).try_for_each(|core| some.set(core)).map_err(|e| Failure::about("cores", e))?;
    // Master inherits them, and its processes from it; the clients begin later, with all.
    sched_setaffinity(Pid::from_raw(0), &some).map_err(|e| Failure::about("cores", e))?;
    let relay = Relay::start(programs, &[]);
    sched_setaffinity(Pid::from_raw(0), &all).map_err(|e| Failure::about("cores", e))?;
    relay.deliver(&Load { messages: load.sessions * 10, ..*load })?;
    let begin = Instant::now();
    relay.deliver(load)?;
    Ok(begin.elapsed().as_secs_f64() * 1_000.0 / load.messages as f64)
}

fn each(systems: &[System], figures: &mut Vec<Figure>, mut measure: impl FnMut(&System) -> Outcome<Sample>) -> Outcome {
    systems.iter().try_for_each(|system| {
        measure(system)?.gather(system.side, figures);
        Ok(())
    })
}

/// From the first size to the last, tenfold each time.
fn steps(first: usize, last: usize) -> Vec<usize> {
    let mut steps: Vec<usize> =
        std::iter::successors(Some(first), |size| size.checked_mul(10)).take_while(|size| *size < last).collect();
    steps.push(last);
    steps
}

/// The points of one curve.
pub struct Curve<'a> {
    pub name: &'a str,
    pub unit: &'a str,
    pub ours: Vec<(f64, f64)>,
    pub postfix: Vec<(f64, f64)>,
}

/// The curves among some figures.
pub fn curves(figures: &[Figure]) -> Vec<Curve<'_>> {
    let mut curves: Vec<Curve<'_>> = Vec::new();
    for figure in figures {
        let Some(at) = figure.at else { continue };
        let place = curves.iter().position(|curve| curve.name == figure.name).unwrap_or_else(|| {
            curves.push(Curve { name: &figure.name, unit: &figure.unit, ours: Vec::new(), postfix: Vec::new() });
            curves.len() - 1
        });
        curves[place].ours.extend(figure.of_ours().map(|value| (at, value)));
        curves[place].postfix.extend(figure.of_postfix().map(|value| (at, value)));
    }
    curves
}

/// A line for each curve of a cost: how fast ours grows.
pub fn growth(figures: &[Figure]) -> Vec<String> {
    let curves = curves(figures);
    // What is done in a second should grow, and a cost by cores fall.
    let costs = curves.iter().filter(|curve| !curve.unit.starts_with('/') && curve.name != CORES);
    let line = |curve: &Curve<'_>| {
        let exponent = exponent(&curve.ours)?;
        let verdict = if exponent <= LINEAR { "at worst linear" } else { "worse than linear" };
        Some(format!("{}: grows with the power {exponent:.2}, {verdict}", curve.name))
    };
    costs.filter_map(line).collect()
}

/// The power with which y grows with x: the slope of the straight line through the logarithms that fits best.
fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> =
        points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let (mean_x, mean_y) =
        (logs.iter().map(|p| p.0).sum::<f64>() / count, logs.iter().map(|p| p.1).sum::<f64>() / count);
    let spread: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let common: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (spread > 0.0).then(|| common / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn power(power: f64) -> Option<f64> {
        exponent(&[1.0, 10.0, 100.0].map(|x: f64| (x, 3.0 * x.powf(power))))
    }

    #[test]
    fn the_exponent_of_a_power_is_found() {
        for expected in [0.0, 0.5, 1.0, 2.0] {
            assert!((power(expected).expect("points") - expected).abs() < 1e-9);
        }
        assert_eq!(exponent(&[(10.0, 1.0)]), None);
    }

    #[test]
    fn a_cost_that_grows_faster_than_its_cause_is_named() {
        let mut figures = Vec::new();
        for (at, value) in [(1, 1.0), (10, 100.0)] {
            let sample = Sample::default().at(at, "square", "s", value).at(at, "straight", "s", at as f64);
            sample.at(at, "rate", "/ s", value).gather(Side::Ours, &mut figures);
        }
        let lines = growth(&figures);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("power 2.00, worse than linear"), "{}", lines[0]);
        assert!(lines[1].ends_with("power 1.00, at worst linear"), "{}", lines[1]);
    }

    #[test]
    fn steps_are_tenfold_and_end_where_they_should() {
        assert_eq!(steps(1, 1_000), [1, 10, 100, 1_000]);
        assert_eq!(steps(1_000, 20_000), [1_000, 10_000, 20_000]);
        assert_eq!(steps(100, 100), [100]);
    }
}
