//! One target: its inputs and limits, and what libFuzzer says when it has found something.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// How long a target runs.
#[derive(Clone, Copy)]
pub enum Amount {
    /// So many inputs, but not longer than [`LONGEST`].
    Runs(u64),
    Seconds(u64),
}

/// Seconds after which a number of inputs has become too large: long texts take their time.
const LONGEST: u64 = 1800;

/// A law that is broken.
pub struct Found {
    pub target: String,
    /// The message of the assertion, or which limit was reached.
    pub reason: String,
    /// Where the input is kept, relative to the root.
    pub input: String,
}

/// Longest input in bytes: a few lines of any limit.
const MAX_LENGTH: u32 = 4096;
/// Seconds that one input may take, and MiB that the process may hold.
const SECONDS: u32 = 5;
const MEMORY: u32 = 512;
/// Inputs that are tried to make a found one smaller, and the seconds of all of them.
const SHRINKING: [&str; 2] = ["-runs=20000", "-max_total_time=60"];

/// How often a target is begun anew that found what cannot be found again.
const ATTEMPTS: usize = 3;

/// Runs one target; what it found, if it found something.
pub fn target(name: &str, programs: &Path, amount: Amount) -> Outcome<Option<Found>> {
    let began = Instant::now();
    for _ in 0..ATTEMPTS {
        let place = Place::prepare(name, programs)?;
        let status = place.command(amount).stderr(File::create(&place.log)?).status()?;
        let log = String::from_utf8_lossy(&fs::read(&place.log)?).into_owned();
        if status.success() {
            println!("{name}: {}, {} s", done(&log), began.elapsed().as_secs());
            return Ok(None);
        }
        let Some(input) = place.artifact()? else {
            return Err(Failure(format!("{name} ended with {status} and left no input: {}", place.log.display())));
        };
        if !place.breaks(&input)? {
            // Time is that of the clock on the wall: another program had it.
            println!("{name}: {}, and not again", reason(&log));
            continue;
        }
        let input = place.shrink(&input)?;
        println!("{name}: BROKEN, {} s", began.elapsed().as_secs());
        return Ok(Some(Found { target: name.to_owned(), reason: reason(&log), input: keep(name, &input)? }));
    }
    Err(Failure(format!("{name} has no time on this machine")))
}

/// Copies an input to where the tests find it; its path relative to the root.
fn keep(name: &str, input: &Path) -> Outcome<String> {
    let bytes = fs::read(input)?;
    let kept = format!("crates/fuzzing/inputs/{name}/found-{:016x}", hash(&bytes));
    fs::write(workspace::root().join(&kept), bytes)?;
    Ok(kept)
}

/// Where a target has its files.
struct Place {
    program: PathBuf,
    /// What earlier runs have learned; libFuzzer adds to it.
    corpus: PathBuf,
    seeds: PathBuf,
    dictionary: PathBuf,
    artifacts: PathBuf,
    log: PathBuf,
}

impl Place {
    fn prepare(name: &str, programs: &Path) -> Outcome<Place> {
        let laws = workspace::root().join("crates/fuzzing");
        let artifacts = workspace::target().join("fuzz-artifacts").join(name);
        let _ = fs::remove_dir_all(&artifacts);
        fs::create_dir_all(&artifacts)?;
        let corpus = workspace::target().join("fuzz-corpus").join(name);
        fs::create_dir_all(&corpus)?;
        Ok(Place {
            program: programs.join(name),
            corpus,
            seeds: laws.join("inputs").join(name),
            dictionary: laws.join("dictionaries").join(format!("{name}.dict")),
            log: artifacts.join("log"),
            artifacts,
        })
    }

    fn command(&self, amount: Amount) -> Command {
        let mut command = self.limited();
        match amount {
            Amount::Runs(runs) => command.args([format!("-runs={runs}"), format!("-max_total_time={LONGEST}")]),
            Amount::Seconds(seconds) => command.arg(format!("-max_total_time={seconds}")),
        };
        command.args(["-print_final_stats=1", "-reload=0", &format!("-max_len={MAX_LENGTH}")]);
        command.arg(format!("-artifact_prefix={}/", self.artifacts.display()));
        if self.dictionary.exists() {
            command.arg(format!("-dict={}", self.dictionary.display()));
        }
        command.arg(&self.corpus).arg(&self.seeds);
        command
    }

    fn limited(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args([format!("-timeout={SECONDS}"), format!("-rss_limit_mb={MEMORY}")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).env("RUST_BACKTRACE", "0");
        command
    }

    fn artifact(&self) -> Outcome<Option<PathBuf>> {
        let mut files = fs::read_dir(&self.artifacts)?.flatten().map(|entry| entry.path());
        Ok(files.find(|path| *path != self.log))
    }

    /// A smaller input that breaks something too, or the same.
    fn shrink(&self, input: &Path) -> Outcome<PathBuf> {
        let smaller = self.artifacts.join("smaller");
        let mut command = self.limited();
        command.arg("-minimize_crash=1").args(SHRINKING);
        command.arg(format!("-exact_artifact_path={}", smaller.display())).arg(input).status()?;
        Ok(if smaller.exists() && self.breaks(&smaller)? { smaller } else { input.to_path_buf() })
    }

    /// Whether an input by itself breaks the law.
    fn breaks(&self, input: &Path) -> Outcome<bool> {
        Ok(!self.limited().arg(input).status()?.success())
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut state = DefaultHasher::new();
    bytes.hash(&mut state);
    state.finish()
}

/// What libFuzzer says at its end, `N inputs`.
fn done(log: &str) -> String {
    let number = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    format!("{} inputs", number.unwrap_or("?").trim())
}

/// The panic with its place and message, or the limit that libFuzzer names.
fn reason(log: &str) -> String {
    let mut lines = log.lines().skip_while(|line| !line.contains("panicked at ") && !line.contains("ERROR: libFuzzer"));
    let first = lines.next().unwrap_or("ended without a word").trim().to_owned();
    if !first.contains("panicked at ") {
        return first;
    }
    let message = lines.take_while(|line| !line.starts_with("note: ") && !line.contains("ERROR: libFuzzer"));
    std::iter::once(first.as_str()).chain(message).collect::<Vec<_>>().join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_message_of_the_panic_or_the_limit() {
        let log = "INFO: x\nthread '<unnamed>' panicked at a.rs:1:2:\nassertion failed\n left: 1\nnote: run\n==1== ERROR: libFuzzer: deadly signal\n";
        assert_eq!(reason(log), "thread '<unnamed>' panicked at a.rs:1:2:\n  assertion failed\n   left: 1");
        assert_eq!(
            reason("#1\n==7== ERROR: libFuzzer: timeout after 5 seconds\n"),
            "==7== ERROR: libFuzzer: timeout after 5 seconds"
        );
        assert_eq!(done("stat::number_of_executed_units: 12\n"), "12 inputs");
    }
}
