//! The guard: system calls and context switches of a message here, held to bounds. It runs with every `cargo xtask
//! test`, so it measures no time: these numbers differ little from run to run, on a busy machine too.

use testing::Programs;

use super::figures::{self, Figure};
use super::relay;
use super::rounds::Side;
use super::traffic::Load;
use crate::failure::{Failure, Outcome};

const LOAD: Load = Load::reused(300, 20);

/// What a message may cost. Runs of a debug build on two cores, with compilers beside them, came to 99, 14 and 0.92 at
/// most; strace and a busy machine leave fewer messages to share a wake-up. Beyond these bounds it is the way of
/// working that has changed.
const BOUNDS: [(&str, f64); 3] = [("system calls", 110.0), ("context switches", 22.0), ("waits for the disk", 1.1)];

pub fn run(programs: &Programs) -> Outcome {
    let mut figures = Vec::new();
    relay::timed(programs, &LOAD)?.0.gather(Side::Ours, &mut figures);
    relay::counted(programs, &LOAD)?.gather(Side::Ours, &mut figures);
    let beyond = beyond(&figures)?;
    if beyond.is_empty() { Ok(()) } else { Err(Failure(beyond.join("; "))) }
}

/// Shows each number beside its bound; those that are above it.
fn beyond(figures: &[Figure]) -> Outcome<Vec<String>> {
    let mut beyond = Vec::new();
    for (name, bound) in BOUNDS {
        let value = figures.iter().find(|figure| figure.name == name).and_then(Figure::of_ours);
        let value = value.ok_or_else(|| Failure(format!("{name}: not measured")))?;
        println!("{name}: {} a message, at most {}", figures::shown(value), figures::shown(bound));
        if value > bound {
            beyond.push(format!("{name}: {value:.1} a message, more than {bound}"));
        }
    }
    Ok(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Sample;

    #[test]
    fn what_costs_more_than_its_bound_is_named() {
        let cost = |calls| {
            let mut figures = Vec::new();
            let sample = Sample::default().with("system calls", "", calls).with("context switches", "", 1.0);
            sample.with("waits for the disk", "", 0.5).gather(Side::Ours, &mut figures);
            beyond(&figures).expect("all measured")
        };
        assert!(cost(BOUNDS[0].1).is_empty());
        assert_eq!(cost(BOUNDS[0].1 + 1.0).len(), 1);
        assert!(beyond(&[]).is_err());
    }
}
