//! `cargo xtask tidy`: the rules of CONTRIBUTING.md that can be checked, checked. It changes nothing.
//!
//! One file a group of rules; every complaint names file and line and says what to do.

mod bounds;
mod callers;
mod citations;
mod dialect;
mod features;
mod files;
mod implemented;
mod layers;
mod names;
mod orphans;
mod pages;
mod programs;
mod shape;
mod siblings;
mod source;
mod subjects;
mod waiting;

use crate::failure::{Failure, Outcome};
use crate::workspace;
use source::Source;

/// Checks everything, prints each complaint, fails when there is one.
pub fn run() -> Outcome {
    let packages = workspace::packages()?;
    let files = workspace::files()?;
    let mut sources = Vec::new();
    for path in files.iter().filter(|f| f.ends_with(".rs")) {
        sources.push(Source::new(path, &workspace::read(&workspace::root().join(path))?));
    }
    Source::mark_test_modules(&mut sources);
    let mut complaints = Complaints::default();
    layers::check(&packages, &mut complaints);
    features::check(&packages, &mut complaints)?;
    let daemons = waiting::daemons(&sources);
    for source in &sources {
        waiting::check(source, &daemons, &mut complaints);
        siblings::check(source, &daemons, &mut complaints);
        subjects::check(source, &mut complaints);
        bounds::check(source, &mut complaints);
        shape::check(source, &mut complaints);
        dialect::check(source, &mut complaints);
        programs::check(source, &packages, &mut complaints);
        names::check(source, &mut complaints);
        files::check(source, &mut complaints);
    }
    callers::check(&sources, &mut complaints);
    orphans::check(&sources, &files, &mut complaints)?;
    citations::check(&sources, &mut complaints)?;
    implemented::check(&sources, &mut complaints)?;
    pages::check(&files, &mut complaints)?;
    for file in crate::docs::generated()? {
        let text = std::fs::read_to_string(workspace::root().join(&file.path)).unwrap_or_default();
        if text != file.text {
            complaints.add(&file.path, 1, "differs from what it is generated from: `cargo xtask docs`");
        }
    }
    complaints.report(sources.len())
}

/// What is wrong, a line each.
#[derive(Default)]
struct Complaints(Vec<String>);

impl Complaints {
    fn add(&mut self, path: &str, line: usize, what: impl std::fmt::Display) {
        self.0.push(format!("{path}:{line}: {what}"));
    }

    fn report(mut self, files: usize) -> Outcome {
        if self.0.is_empty() {
            println!("tidy: {files} source files in order");
            return Ok(());
        }
        self.0.sort();
        for line in &self.0 {
            println!("{line}");
        }
        Err(Failure(format!("tidy: {} complaints", self.0.len())))
    }
}
