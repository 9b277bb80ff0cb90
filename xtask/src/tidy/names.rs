//! Names: tests are laws, written as sentences; no file and no function has a name that says nothing.

use super::Complaints;
use super::source::Source;

/// Tests that may be skipped, with the reason. Empty is the state to keep.
const IGNORED: &[(&str, &str)] = &[];

/// A file called so collects what has no place.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc"];

pub(super) fn check(source: &Source, complaints: &mut Complaints) {
    let stem = source.path.rsplit('/').next().unwrap_or("").trim_end_matches(".rs");
    if EMPTY_NAMES.contains(&stem) {
        complaints.add(&source.path, 1, format!("`{stem}` says nothing: name the concept"));
    }
    for (at, line) in source.lines.iter().enumerate() {
        let code = line.code.trim();
        if code.contains("fn get_") {
            complaints.add(&source.path, at + 1, "a function is called after what it returns: no `get_`");
        }
        if code.contains("fn expect(") {
            complaints.add(
                &source.path,
                at + 1,
                "`expect` panics, to whoever reads it: what returns an error has another name",
            );
        }
        if code == "#[test]" || code.starts_with("#[tokio::test") {
            test(source, at, complaints);
        }
    }
}

fn test(source: &Source, attribute: usize, complaints: &mut Complaints) {
    let after = source.lines[attribute..].iter().enumerate();
    let Some((offset, name)) = after.filter_map(|(i, l)| Some((i, function_name(&l.code)?))).next() else { return };
    let line = attribute + offset + 1;
    let words = name.split('_').filter(|w| !w.is_empty()).count();
    if words < 3 || name.starts_with("test_") {
        complaints.add(&source.path, line, format!("`{name}`: the name of a test is a law, written as a sentence"));
    }
    let attributes = &source.lines[attribute.saturating_sub(3)..attribute + offset];
    let ignored = attributes.iter().any(|l| l.code.trim().starts_with("#[ignore"));
    if ignored && !IGNORED.iter().any(|(listed, _)| *listed == name) {
        complaints.add(&source.path, line, format!("`{name}` is ignored, and xtask/src/tidy/names.rs lists no reason"));
    }
}

fn function_name(code: &str) -> Option<&str> {
    let (_, rest) = code.split_once("fn ")?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}
