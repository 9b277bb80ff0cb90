//! The deferred row: what operators do with a long queue, and what new mail notices of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testing::Programs;

use super::dead_queue::{DeadQueue, LIVE};
use super::figures::Sample;
use super::traffic::{self, Load};
use super::{Bench, Row, rounds};
use crate::failure::{Failure, Outcome};

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let load = Load::reused(bench.sizes.messages, bench.sizes.sessions);
    let mut queue = DeadQueue::make(&bench.systems)?;
    queue.grow(bench.sizes.deferred)?;
    let figures = rounds::alternate(&bench.systems, bench.rounds, |programs| round(&mut queue, programs, &load))?;
    Ok((format!("a queue of {} deferred messages to a host that refuses connections", bench.sizes.deferred), figures))
}

/// The flush comes first: it writes the reasons of all deferrals as this system does, and a listing shows them.
fn round(queue: &mut DeadQueue, programs: &Programs, load: &Load) -> Outcome<Sample> {
    queue.start(programs);
    let (flush, cpu) = queue.flush()?;
    let list = queue.list("-p");
    let json = queue.list("-j");
    let (busy, seconds) = rate_beside(queue, load, || queue.flush_beside())?;
    let quiet = quiet_rate(queue, load, seconds)?;
    queue.rest()?;
    let sample = Sample::default()
        .with("postqueue -p, first", "s", list.first)
        .with("postqueue -p, again", "s", list.again)
        .with("postqueue -j, again", "s", json.again)
        .with("flush", "s", flush)
        .with("flush", "CPU s", cpu)
        .with("new mail, quiet", "/ s", quiet)
        .with("new mail during a flush", "/ s", busy)
        .with("new mail during a flush", "of quiet", busy / quiet);
    // The mail system stands still, so that it is not pickup that is measured with -r.
    let sample = ["-h", "-H", "-r"].iter().fold(sample, |sample, option| {
        sample.with(format!("postsuper {option} ALL"), "s", queue.seconds("postsuper", &[option, "ALL"]))
    });
    queue.restore()?;
    Ok(sample.with("renames alone, as -h ALL", "s", queue.renames()?))
}

/// Messages taken a second for as long as a flush beside new mail took: a shorter burst would be taken before it is
/// delivered, and files of finished messages would do for all of it.
fn quiet_rate(queue: &DeadQueue, load: &Load, seconds: f64) -> Outcome<f64> {
    let pause = || {
        std::thread::sleep(Duration::from_secs_f64(seconds));
        Ok(())
    };
    Ok(rate_beside(queue, load, pause)?.0)
}

/// Messages taken a second from the beginning to the end of something else, and how many seconds that was.
fn rate_beside(queue: &DeadQueue, load: &Load, other: impl FnOnce() -> Outcome) -> Outcome<(f64, f64)> {
    let (stop, begin, before) = (AtomicBool::new(false), Instant::now(), queue.arrived());
    let (done, taken, seconds) = std::thread::scope(|scope| {
        let clients = scope.spawn(|| traffic::submit_until(&queue.mail, load.sessions, LIVE, &stop));
        let done = other();
        stop.store(true, Ordering::Release);
        let seconds = begin.elapsed().as_secs_f64();
        (done, clients.join().unwrap_or_else(|_| Err(Failure("a client broke".to_owned()))), seconds)
    });
    done?;
    let taken = taken?;
    queue.settle(before + taken)?;
    Ok((taken as f64 / seconds, seconds))
}
