//! `cargo xtask porting`: what can be known about other platforms on this machine.
//!
//! Three columns for every row of `crates/net/src/platform.rs`: answers of its kernel, written down, are read as they
//! should be (`fixtures`); its methods, run on odd interfaces in network namespaces, agree with each other (`methods`,
//! Linux alone); the crates that depend on the platform type-check for it (`types`). A `no` anywhere is a failure; what
//! cannot be tried here says so.

mod fixtures;
mod lacking;
mod namespaces;
mod toolchain;
mod types;
mod worlds;

pub use lacking::without_ipv6;

use std::fmt;

use net::platform::{PLATFORM, PLATFORMS, Platform};

use crate::failure::{Failure, Outcome};

/// What one column says about a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Tried, and right.
    Yes,
    /// Tried, and wrong; the lines before the table say what.
    No,
    /// Not tried, and why.
    Untried(&'static str),
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Untried(why) => why,
        })
    }
}

/// All three columns; the types for `targets`, or for all that there are.
pub fn run(targets: &[String]) -> Outcome {
    let types = types::check(targets)?;
    report(&methods_and_fixtures()?.map_types(&types))
}

/// The columns that `cargo xtask test` runs: all but the types.
pub fn tests() -> Outcome {
    report(&methods_and_fixtures()?)
}

/// One line of the table.
struct Row {
    platform: &'static Platform,
    fixtures: Verdict,
    methods: Verdict,
    types: Verdict,
}

struct Table(Vec<Row>);

impl Table {
    /// With the types of `checked`: what was found for each `target_os`. A platform with several is as good as its
    /// worst.
    fn map_types(mut self, checked: &[(&str, Verdict)]) -> Self {
        for row in &mut self.0 {
            let found = checked.iter().filter(|(os, _)| row.platform.os.contains(os)).map(|(_, verdict)| *verdict);
            let worst = found.reduce(|one, other| if one == Verdict::Yes { other } else { one });
            row.types = match (worst, row.platform.os) {
                (Some(verdict), _) => verdict,
                (None, []) => Verdict::Untried("no Rust"),
                (None, _) => Verdict::Untried("left out"),
            };
        }
        self
    }
}

fn methods_and_fixtures() -> Outcome<Table> {
    let here = namespaces::check()?;
    let mut rows = Vec::new();
    for platform in &PLATFORMS {
        let fixtures = fixtures::check(platform)?;
        let methods = if platform == PLATFORM { here } else { Verdict::Untried("not here") };
        rows.push(Row { platform, fixtures, methods, types: Verdict::Untried("left out") });
    }
    Ok(Table(rows))
}

fn report(table: &Table) -> Outcome {
    println!("\n{:18}{:10}{:12}types", "platform", "fixtures", "methods");
    for Row { platform, fixtures, methods, types } in &table.0 {
        println!("{:18}{fixtures:10}{methods:12}{types}", platform.name);
    }
    let failed = table.0.iter().filter(|row| [row.fixtures, row.methods, row.types].contains(&Verdict::No)).count();
    if failed == 0 { Ok(()) } else { Err(Failure(format!("porting: {failed} platforms have a no"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_with_several_targets_is_as_good_as_its_worst() {
        let rows = PLATFORMS.iter().map(|platform| Row {
            platform,
            fixtures: Verdict::Yes,
            methods: Verdict::Yes,
            types: Verdict::Untried("left out"),
        });
        let checked =
            [("linux", Verdict::Yes), ("linux", Verdict::No), ("linux", Verdict::Yes), ("macos", Verdict::Yes)];
        let table = Table(rows.collect()).map_types(&checked);
        let types = |name| table.0.iter().find(|row| row.platform.name == name).map(|row| row.types);
        assert_eq!(types("Linux"), Some(Verdict::No));
        assert_eq!(types("Darwin"), Some(Verdict::Yes));
        assert_eq!(types("Tru64"), Some(Verdict::Untried("no Rust")));
        assert!(report(&table).is_err());
    }
}
