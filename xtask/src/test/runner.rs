//! The test runner, whose output is shown and read at the same time: cargo-nextest if it is there, else cargo's own.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write, pipe, stdout};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::packages::on_path;
use crate::workspace;

/// Runs the tests of a selection of packages whose names contain `filter`; the names of those that failed.
pub fn run(selection: &[&str], filter: Option<&str>, environment: &[(&str, OsString)]) -> Outcome<Vec<String>> {
    let mut command = Command::new(env!("CARGO"));
    match on_path("cargo-nextest") {
        true => command.args(["nextest", "run", "--no-fail-fast", "--no-tests", "pass", "--cargo-quiet"]),
        false => command.args(["test", "--no-fail-fast"]),
    };
    command.args(selection).args(filter).envs(environment.iter().cloned()).current_dir(workspace::root());
    let (reader, writer) = pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // Holds the writing end, which must close for the end to be seen.
    drop(command);
    let mut failed = Vec::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(stdout(), "{line}")?;
        if let Some(name) = failed_test(&line)
            && !failed.iter().any(|known| known == name)
        {
            failed.push(name.to_owned());
        }
    }
    let status = child.wait()?;
    match status.success() == failed.is_empty() {
        true => Ok(failed),
        false if failed.is_empty() => Err(Failure(format!("the runner ended with {status}"))),
        false => Err(Failure(format!("the runner ended with {status}, though these failed: {}", failed.join(", ")))),
    }
}

/// The test that a line of either runner says has failed.
fn failed_test(line: &str) -> Option<&str> {
    if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
        return Some(name);
    }
    // nextest: ` FAIL [ 0.230s] (12/131) scenarios::scenarios way::a_client`
    let (status, rest) = line.strip_prefix("   ")?.trim_start().split_once(" [")?;
    let failed = ["FAIL", "LEAK-FAIL", "TIMEOUT", "ABORT", "XFAIL"].contains(&status) || status.starts_with("SIG");
    let name = rest.split_once("] ")?.1;
    let name = if name.starts_with('(') { name.split_once(") ")?.1 } else { name };
    failed.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::failed_test;

    #[test]
    fn a_failed_test_is_known_by_the_line_of_either_runner() {
        let of_nextest = "        FAIL [   0.230s] (125/131) scenarios::scenarios way::a_client";
        assert_eq!(failed_test(of_nextest), Some("scenarios::scenarios way::a_client"));
        assert_eq!(failed_test("     SIGABRT [   1.1s] text tests::x"), Some("text tests::x"));
        assert_eq!(failed_test("test way::a_client ... FAILED"), Some("way::a_client"));
        assert_eq!(failed_test("    SLOW [> 60.0s] (1/2) scenarios::ipv6 x"), None);
        assert_eq!(failed_test("        PASS [   0.230s] (125/131) scenarios::scenarios way::a_client"), None);
        assert_eq!(failed_test("     Summary [  13.392s] 802 tests run: 802 passed, 0 skipped"), None);
    }
}
