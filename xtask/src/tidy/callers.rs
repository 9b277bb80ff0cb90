//! What a library offers has a caller that is no test.

use std::collections::HashMap;

use super::Complaints;
use super::source::Source;

/// How what can be called begins.
const DECLARATIONS: [&str; 5] = ["pub fn ", "pub const fn ", "pub async fn ", "pub const ", "pub static "];

/// The comment that names the tests of other crates for which it is there.
const EXCUSE: &str = "// tests:";

pub(super) fn check(sources: &[Source], complaints: &mut Complaints) {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    for source in sources {
        let is_caller = source.path.starts_with("xtask/");
        for line in source.lines.iter().filter(|line| is_caller || !line.test) {
            words(&line.code).for_each(|word| *uses.entry(word).or_default() += 1);
        }
    }
    for source in sources.iter().filter(|source| source.path.starts_with("crates/") && !is_generated(source)) {
        let excused = |number: usize| number > 1 && source.lines[number - 2].text.trim_start().starts_with(EXCUSE);
        for (number, line) in source.numbered().filter(|(number, line)| !line.test && !excused(*number)) {
            let Some(name) = declared(&line.code) else { continue };
            if uses.get(name) == Some(&1) {
                let what = format!("`{name}` has no caller but tests: delete it, or say whose: `{EXCUSE} ...`");
                complaints.add(&source.path, number, what);
            }
        }
    }
}

fn declared(code: &str) -> Option<&str> {
    let rest = DECLARATIONS.iter().find_map(|begin| code.trim_start().strip_prefix(begin))?;
    words(rest).next()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// A constant for every parameter, of which some are not there yet.
fn is_generated(source: &Source) -> bool {
    ["crates/config/src/param.rs", "crates/config/src/table.rs"].contains(&source.path.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tests_call_is_found() {
        let complaints = |caller: &str| {
            let library = "pub fn of_use() {}\n#[cfg(test)]\nmod tests {\n    fn f() { of_use(); }\n}\n";
            let sources = [Source::new("crates/x/src/lib.rs", library), Source::new("smtpd/src/x.rs", caller)];
            let mut found = Complaints::default();
            check(&sources, &mut found);
            found.0.len()
        };
        assert_eq!(complaints("fn g() { /* of_use */ other() }\n"), 1);
        assert_eq!(complaints("fn g() { x::of_use() }\n"), 0);
        let excused = Source::new("crates/x/src/lib.rs", "// tests: of y\npub fn of_use() {}\n");
        let mut found = Complaints::default();
        check(&[excused], &mut found);
        assert!(found.0.is_empty());
    }
}
