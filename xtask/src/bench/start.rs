//! The start row: commands that do next to nothing, so that what is left is their start.

use std::time::Instant;

use testing::{Instance, Programs, Setup};

use super::figures::{self, Sample};
use super::{Bench, Row, rounds};
use crate::failure::{Failure, Outcome};

const RUNS: usize = 20;

pub fn measure(bench: &Bench) -> Outcome<Row> {
    let figures = rounds::alternate(&bench.systems, bench.rounds, commands)?;
    Ok((format!("a command from start to end, median of {RUNS}; the mail system does not run"), figures))
}

fn commands(programs: &Programs) -> Outcome<Sample> {
    let mail = Setup::of(programs.clone()).build();
    let message = ["-f", "bench@client.test", "bench@other.test"];
    Ok(Sample::default().with("postconf myhostname", "ms", milliseconds(&mail, "postconf", &["myhostname"])?).with(
        "sendmail, one message into maildrop",
        "ms",
        milliseconds(&mail, "sendmail", &message)?,
    ))
}

fn milliseconds(mail: &Instance, name: &str, arguments: &[&str]) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        let output = mail.run_with(name, arguments, b"Subject: bench\n\nbench\n");
        times.push(begin.elapsed().as_secs_f64() * 1_000.0);
        if !output.status.success() {
            return Err(Failure(format!("{name}: {}", String::from_utf8_lossy(&output.stderr))));
        }
    }
    figures::median(&times).ok_or_else(|| Failure(format!("{name} was not measured")))
}
