//! Kernel answers that were written down (crates/net/fixtures), read as the platform that gave them would.

use net::discover::Method;
use net::discover::replay::Fixture;
use net::platform::Platform;

use super::Verdict;
use crate::failure::{Failure, Outcome};
use crate::workspace;

const FOLDER: &str = "crates/net/fixtures/";

/// Whether every answer of this platform gives what it should, and whether there is a whole and a damaged one, and one
/// for every method that asks a kernel.
pub(super) fn check(platform: &'static Platform) -> Outcome<Verdict> {
    let mut verdict = Verdict::Yes;
    let mut fail = |why: String| {
        println!("{}: {why}", platform.name);
        verdict = Verdict::No;
    };
    let fixtures = read(platform)?;
    for (name, fixture) in &fixtures {
        let outcome = fixture.outcome();
        if outcome != fixture.expected {
            fail(format!("{name} gives {outcome:#?} instead of {:#?}", fixture.expected));
        }
    }
    for (kind, wanted) in [("damaged", true), ("whole", false)] {
        if !fixtures.iter().any(|(name, _)| name.contains("damaged") == wanted) {
            fail(format!("{FOLDER} has no {kind} answer"));
        }
    }
    for method in platform.methods.iter().filter(|method| **method != Method::Getifaddrs) {
        if !fixtures.iter().any(|(_, fixture)| fixture.method == *method) {
            fail(format!("{FOLDER} has no answer to {method}"));
        }
    }
    Ok(verdict)
}

fn read(platform: &'static Platform) -> Outcome<Vec<(String, Fixture)>> {
    let mut found = Vec::new();
    for path in workspace::files()?.iter().filter(|path| path.starts_with(FOLDER) && path.ends_with(".txt")) {
        let text = workspace::read(&workspace::root().join(path))?;
        let fixture = Fixture::parse(&text).map_err(|why| Failure::about(path, why))?;
        if fixture.platform == platform {
            found.push((path.clone(), fixture));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_of_the_table_passes() {
        for platform in &net::platform::PLATFORMS {
            assert_eq!(check(platform).unwrap(), Verdict::Yes, "{}", platform.name);
        }
    }
}
