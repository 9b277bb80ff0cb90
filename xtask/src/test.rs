//! `cargo xtask test`: unit tests, the porting checks that need no other toolchain, then the scenarios on our programs,
//! then the same on C Postfix.

use crate::failure::Outcome;
use crate::packages::{self, Tool, on_path};
use crate::programs::{self, Profile};
use crate::{accounts, install, oracle, porting, run, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;
use testing::accounts::is_root;
use testing::programs::{ORACLE, OURS, SCENARIOS_ON};

/// Names the installation that scenarios about one look at.
const INSTALLED: &str = "POSTFIX_RS_INSTALLED";

/// What scenarios call beside the mail system.
pub const TOOLS: [Tool; 4] = [
    Tool { program: "strace", package: "strace" },
    Tool { program: "swaks", package: "swaks" },
    Tool { program: "dnsmasq", package: "dnsmasq-base" },
    Tool { program: "ip", package: "iproute2" },
];

/// Runs everything, or the tests whose names contain `filter`.
pub fn all(filter: Option<&str>) -> Outcome {
    packages::ensure(&TOOLS)?;
    if is_root() {
        accounts::ensure()?;
    }
    println!("== unit tests");
    workspace::run(runner(&["--workspace", "--exclude", "scenarios"], filter).current_dir(workspace::root()))?;
    if filter.is_none_or(|word| "porting".contains(word)) {
        porting::tests()?;
    }
    let oracle = if is_root() { Some(oracle::prepare()?) } else { None };
    println!("== scenarios on these programs");
    scenarios("ours", oracle.as_deref(), filter)?;
    println!("== one message by each way, not as root");
    run::check()?;
    match oracle {
        Some(root) => {
            println!("== scenarios on Debian's Postfix");
            scenarios("oracle", Some(&root), filter)
        }
        None => {
            println!("== left out, for it needs root: scenarios on Debian's Postfix");
            Ok(())
        }
    }
}

/// Builds the programs that scenarios run, where scenarios find them.
pub fn build_programs() -> Outcome<PathBuf> {
    let copies = std::env::temp_dir().join("postfix-rs-programs");
    programs::reachable(&programs::build(Profile::Dev)?, &copies)
}

/// Runs the scenarios on `ours` or `oracle`; both must have been built or unpacked.
pub fn scenarios(on: &str, oracle: Option<&Path>, filter: Option<&str>) -> Outcome {
    let programs = build_programs()?;
    let mut command = runner(&["--package", "scenarios"], filter);
    command.env(SCENARIOS_ON, on).env(OURS, &programs);
    let installed = std::env::temp_dir().join(format!("postfix-rs-installed-{}", std::process::id()));
    if on == "ours" && is_root() {
        install::place_all(&installed, &programs)?;
        command.env(INSTALLED, &installed);
    }
    if let Some(root) = oracle {
        command.env(ORACLE, root);
    }
    let result = workspace::run(command.current_dir(workspace::root()));
    for left in [&installed, &installed.with_extension("work"), &installed.with_extension("merged")] {
        let _ = std::fs::remove_dir_all(left);
    }
    result
}

/// cargo-nextest if it is there, else cargo's own runner.
fn runner(selection: &[&str], filter: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO"));
    if on_path("cargo-nextest") {
        command.args(["nextest", "run", "--no-fail-fast", "--no-tests", "pass", "--cargo-quiet"]).args(selection);
    } else {
        command.args(["test", "--quiet", "--no-fail-fast"]).args(selection);
    }
    command.args(filter);
    command
}
