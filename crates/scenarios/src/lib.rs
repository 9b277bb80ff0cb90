//! How a scenario runs on C Postfix: wanted differences are listed with their reasons in `oracle.toml`.
//!
//! A listed scenario must fail there: one that passes is a line to be removed, and fails the run.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use testing::programs::{Implementation, Programs, oracle_version};

/// One entry of `oracle.toml`.
struct Difference {
    reason: String,
    /// Whether running it on C Postfix shows the difference; else it is left out.
    run: bool,
}

/// Runs the body of a test; on C Postfix, as `oracle.toml` says.
pub fn scenario<F: FnOnce()>(body: F) {
    let programs = Programs::under_test();
    if programs.implementation == Implementation::Ours {
        return body();
    }
    let name = name_of::<F>();
    match difference(name) {
        None => body(),
        Some(difference) if !difference.run => eprintln!("{name}: left out: {}", difference.reason),
        Some(difference) => match catch_unwind(AssertUnwindSafe(body)) {
            Err(_) => eprintln!("{name}: differs, as wanted: {}", difference.reason),
            Ok(()) => resume_unwind(Box::new(format!("{name}: no difference any more: remove it from oracle.toml"))),
        },
    }
}

/// `module::test` of the function that the closure stands in.
fn name_of<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let path = path.strip_suffix("::{{closure}}").unwrap_or(path);
    path.split_once("::").map_or(path, |(_, name)| name)
}

fn difference(scenario: &str) -> Option<Difference> {
    let text = include_str!("../oracle.toml");
    let table: toml::Table = text.parse().unwrap_or_else(|e| panic!("oracle.toml: {e}"));
    let entries = table.get("difference").and_then(toml::Value::as_array)?;
    let version = oracle_version();
    let text = |entry: &toml::Value, name: &str| entry.get(name).and_then(toml::Value::as_str).map(str::to_owned);
    let entry = entries.iter().find(|entry| {
        let versions = text(entry, "version");
        text(entry, "scenario").as_deref() == Some(scenario) && (versions.is_none() || versions == version)
    })?;
    let reason = entry.get("reason").and_then(toml::Value::as_str);
    let reason = reason.unwrap_or_else(|| panic!("oracle.toml: {scenario} has no reason")).to_owned();
    Some(Difference { reason, run: entry.get("run").and_then(toml::Value::as_bool).unwrap_or(true) })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_name_of_a_scenario_is_that_of_its_function() {
        fn name<F: FnOnce()>(_: F) -> &'static str {
            super::name_of::<F>()
        }
        assert!(name(|| ()).ends_with("tests::the_name_of_a_scenario_is_that_of_its_function"));
    }
}
