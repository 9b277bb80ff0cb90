//! What failed, step by step, and said again at the end.

use crate::failure::{Failure, Outcome};

/// The steps so far.
#[derive(Default)]
pub struct Report {
    failed: Vec<String>,
}

impl Report {
    /// Runs a step, which returns the names of the tests that failed in it.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Outcome<Vec<String>>) {
        println!("== {name}");
        match work() {
            Ok(tests) => self.failed.extend(tests.into_iter().map(|test| format!("{name}: {test}"))),
            Err(failure) => {
                println!("== {name}: {failure}");
                self.failed.push(format!("{name}: {failure}"));
            }
        }
    }

    /// Names what failed.
    pub fn end(self) -> Outcome {
        if self.failed.is_empty() {
            return Ok(());
        }
        println!("\nFailed:");
        self.failed.iter().for_each(|line| println!("  {line}"));
        Err(Failure(format!("{} failed, named above", self.failed.len())))
    }
}
