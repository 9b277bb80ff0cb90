//! Files that no module names: the compiler passes them over, and tests in them are tests that nobody runs.

use std::collections::HashSet;

use super::Complaints;
use super::source::Source;
use crate::failure::Outcome;
use crate::workspace;

/// Folders in which every file is a program of its own.
const OF_ROOTS: [&str; 5] = ["/tests", "/benches", "/examples", "/bin", "/fuzz_targets"];
/// Names of files that a program or library begins with.
const ROOTS: [&str; 3] = ["main.rs", "lib.rs", "build.rs"];

/// `files` are all of the source tree.
pub(super) fn check(sources: &[Source], files: &[String], complaints: &mut Complaints) -> Outcome {
    let mut known: HashSet<String> = sources.iter().flat_map(Source::modules).collect();
    for manifest in files.iter().filter(|file| file.ends_with("Cargo.toml")) {
        let folder = manifest.trim_end_matches("Cargo.toml");
        let text = workspace::read(&workspace::root().join(manifest))?;
        let paths = text.lines().filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'));
        known.extend(paths.map(|path| format!("{folder}{path}")));
    }
    for source in sources {
        let (folder, name) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
        let is_root = ROOTS.contains(&name) || OF_ROOTS.iter().any(|end| folder.ends_with(end));
        if !is_root && !known.contains(&source.path) {
            complaints.add(&source.path, 1, "no module names this file: it is not compiled");
        }
    }
    Ok(())
}
