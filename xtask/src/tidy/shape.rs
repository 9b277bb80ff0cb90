//! The shape of a file: it opens with what it is, stays short, holds short functions, no unsafe code and no unexplained
//! panic.

use super::Complaints;
use super::source::Source;

const FILE_LINES: usize = 450;
const FUNCTION_LINES: usize = 60;
/// A file or function may be longer if a comment says why: in the first lines of the file, or above the function.
const EXCUSE: &str = "// long: ";

pub(super) fn check(source: &Source, complaints: &mut Complaints) {
    opening(source, complaints);
    length(source, complaints);
    functions(source, complaints);
    panics(source, complaints);
    for (number, line) in source.numbered() {
        let unsafe_code = words(&line.code).any(|word| word == "unsafe");
        if unsafe_code && !source.path.starts_with("crates/sys/") {
            complaints.add(&source.path, number, "unsafe code belongs into crates/sys");
        }
        for left in ["todo!(", "unimplemented!(", "dbg!(", "allow(dead_code)"] {
            if line.code.contains(left) {
                complaints.add(&source.path, number, format!("`{left}` was left in the code"));
            }
        }
        if line.comment.as_deref().is_some_and(|c| c.contains("FIXME") || c.contains("TODO")) {
            complaints.add(&source.path, number, "a comment says what is, not what is still to be done");
        }
    }
}

fn opening(source: &Source, complaints: &mut Complaints) {
    let first = source.lines.iter().map(|l| l.text.as_str()).find(|t| !t.starts_with("#![") && !t.trim().is_empty());
    if !first.is_some_and(|t| t.starts_with("//! ")) {
        complaints.add(&source.path, 1, "a file opens with `//!`: what it is, what it must never do, and why");
    }
}

fn length(source: &Source, complaints: &mut Complaints) {
    let generated = |text: &str| text.starts_with("//!") && text.contains("Generated from");
    let excused = source.lines.iter().take(10).any(|l| l.text.starts_with(EXCUSE) || generated(&l.text));
    if source.lines.len() > FILE_LINES && !excused {
        let what = format!(
            "{} lines: split it, or say why in one of the first 10 lines: `{EXCUSE}reason`",
            source.lines.len()
        );
        complaints.add(&source.path, 1, what);
    }
}

fn functions(source: &Source, complaints: &mut Complaints) {
    for (at, line) in source.lines.iter().enumerate() {
        let indent = line.code.len() - line.code.trim_start().len();
        if !is_function(line.code.trim_start()) || line.code.trim_end().ends_with(['}', ';']) {
            continue;
        }
        let end = format!("{}}}", &line.code[..indent]);
        let length = source.lines[at..].iter().position(|l| l.code.trim_end() == end).unwrap_or(0);
        let above = source.lines[..at].iter().rev().take_while(|l| is_above(&l.text));
        if length > FUNCTION_LINES && !above.into_iter().any(|l| l.text.trim_start().starts_with(EXCUSE)) {
            let what = format!("a function of {length} lines: split it, or say why above it: `{EXCUSE}reason`");
            complaints.add(&source.path, at + 1, what);
        }
    }
}

/// Only qualifiers stand before the word `fn` of a definition.
pub(super) fn is_function(code: &str) -> bool {
    let qualifiers = ["async", "const", "unsafe", "extern", "default"];
    let Some((before, _)) = code.split_once("fn ") else { return false };
    before.split_whitespace().all(|w| w.starts_with("pub") || w.starts_with('"') || qualifiers.contains(&w))
}

fn is_above(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("//") || text.starts_with("#[")
}

fn panics(source: &Source, complaints: &mut Complaints) {
    for (at, _) in source.lines.iter().enumerate().filter(|(_, l)| !l.test && may_panic(&l.code)) {
        let near = &source.lines[at.saturating_sub(2)..(at + 2).min(source.lines.len())];
        if !near.iter().any(|l| l.comment.as_deref().is_some_and(|c| c.contains("cannot fail"))) {
            complaints.add(&source.path, at + 1, "`unwrap` and `expect` need `// cannot fail: reason`");
        }
    }
}

fn may_panic(code: &str) -> bool {
    code.contains(".unwrap()") || code.contains(".expect(")
}

/// The words of a line of code.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}
