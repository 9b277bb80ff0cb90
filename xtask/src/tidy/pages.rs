//! Files that are no Rust: the README's first block, generated files, paths of one machine.

use super::Complaints;
use crate::failure::Outcome;
use crate::workspace;

/// The first code block of the README: what a newcomer types.
const FIRST_BLOCK: [&str; 2] = ["cargo xtask run", "cargo xtask test"];

/// Beginnings of paths that exist on one machine only. Written in pieces, so that this file does not name them.
const MACHINE: [&str; 4] =
    [concat!("/", "work/"), concat!("/", "farm/"), concat!("/", "Users/"), concat!("/", "root/")];

pub(super) fn check(files: &[String], complaints: &mut Complaints) -> Outcome {
    readme(complaints);
    for path in files {
        let Ok(text) = std::fs::read_to_string(workspace::root().join(path)) else { continue };
        for (at, line) in text.lines().enumerate() {
            if MACHINE.iter().any(|prefix| starts_path(line, prefix)) {
                complaints.add(path, at + 1, "an absolute path of one machine");
            }
        }
    }
    Ok(())
}

fn readme(complaints: &mut Complaints) {
    let text = std::fs::read_to_string(workspace::root().join("README.md")).unwrap_or_default();
    let block = text.lines().skip_while(|l| !l.starts_with("```")).skip(1).take_while(|l| !l.starts_with("```"));
    let commands: Vec<&str> = block.map(|l| l.split('#').next().unwrap_or("").trim()).collect();
    if commands != FIRST_BLOCK {
        complaints.add("README.md", 1, format!("the first block is the two commands: {FIRST_BLOCK:?}"));
    }
}

/// Whether `prefix` occurs as the start of a path, not in the middle of one.
fn starts_path(line: &str, prefix: &str) -> bool {
    line.match_indices(prefix).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '/'))
    })
}
