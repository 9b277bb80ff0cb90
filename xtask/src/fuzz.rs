//! `cargo xtask fuzz`: the laws of `crates/fuzzing` under libFuzzer, with the stable compiler.
//!
//! The programs of `fuzz/` are built with LLVM's coverage counters and comparison traces, which libFuzzer reads; only
//! they, for `--target` keeps the flags from build scripts. What a run learns stays below `target/`. An input that
//! breaks a law is copied to `crates/fuzzing/inputs`, where the tests find it until it is mended, and ever after.

mod run;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::failure::{Failure, Outcome};
use crate::packages::{self, Tool};
use crate::workspace;
use run::{Amount, Found};

/// What the programs are built with: the counters of libFuzzer's manual, through LLVM's own pass.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Inputs of a target when nothing else is said.
const RUNS: u64 = 1_000_000;

#[derive(clap::Args)]
pub struct Options {
    /// Only the targets whose names contain this
    target: Option<String>,
    /// Inputs of each target
    #[arg(long, conflicts_with = "seconds", default_value_t = RUNS)]
    runs: u64,
    /// Seconds of each target, instead of a number of inputs
    #[arg(long)]
    seconds: Option<u64>,
    /// Targets that run at the same time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

/// Builds the programs and runs those that are wanted; the failure names the laws that were broken.
pub fn run(options: &Options) -> Outcome {
    let wanted: VecDeque<String> = targets()?.into_iter().filter(|name| is_wanted(name, options)).collect();
    if wanted.is_empty() {
        return Err(Failure("fuzz: no target has that in its name".to_owned()));
    }
    packages::ensure(&[Tool::Program { name: "c++", package: "g++" }])?;
    let programs = build()?;
    let amount = options.seconds.map_or(Amount::Runs(options.runs), Amount::Seconds);
    let waiting = Mutex::new(wanted);
    let workers: Vec<Outcome<Vec<Found>>> = std::thread::scope(|scope| {
        let work = || work(&waiting, &programs, amount);
        let handles: Vec<_> = (0..options.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).collect()
    });
    let found: Vec<Found> = workers.into_iter().collect::<Outcome<Vec<_>>>()?.into_iter().flatten().collect();
    report(&found)
}

/// Takes targets until none waits.
fn work(waiting: &Mutex<VecDeque<String>>, programs: &Path, amount: Amount) -> Outcome<Vec<Found>> {
    let next = || waiting.lock().ok()?.pop_front();
    let mut found = Vec::new();
    while let Some(name) = next() {
        found.extend(run::target(&name, programs, amount)?);
    }
    Ok(found)
}

fn report(found: &[Found]) -> Outcome {
    for Found { target, reason, input } in found {
        println!("\n{target}: {reason}\n  input: {input}");
    }
    match found {
        [] => Ok(()),
        _ => Err(Failure(format!("fuzz: {} laws were broken, named above", found.len()))),
    }
}

fn is_wanted(name: &str, options: &Options) -> bool {
    options.target.as_deref().is_none_or(|word| name.contains(word))
}

/// The names of the programs of `fuzz/`.
fn targets() -> Outcome<Vec<String>> {
    let files = workspace::files()?;
    let names = files.iter().filter_map(|path| path.strip_prefix("fuzz/fuzz_targets/")?.strip_suffix(".rs"));
    Ok(names.map(str::to_owned).collect())
}

/// Builds all of them; the folder where they are.
fn build() -> Outcome<PathBuf> {
    let compiler = workspace::output(Command::new("rustc").arg("-vV"))?;
    let host = compiler.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| Failure("rustc -vV names no host".to_owned()))?;
    let folder = workspace::target().join("fuzz");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--quiet", "--bins", "--manifest-path", "fuzz/Cargo.toml", "--target", host]);
    // fuzz/Cargo.lock follows what crates of the workspace depend on; `cargo metadata` there writes it.
    cargo.arg("--locked");
    cargo.env("RUSTFLAGS", FLAGS).env("CARGO_TARGET_DIR", &folder);
    workspace::run(cargo.current_dir(workspace::root()))?;
    Ok(folder.join(host).join("release"))
}
