//! `cargo xtask test`: unit tests, the porting checks that need no other toolchain, then the scenarios on our programs,
//! then the same on each C Postfix.
//!
//! A step that fails does not keep the next from running; the last lines name what failed.

mod report;
mod runner;

use crate::failure::Outcome;
use crate::oracle::{self, Unpacked, Version};
use crate::packages::{self, Tool};
use crate::programs::{self, Profile};
use crate::{accounts, install, porting, run};
use report::Report;
use std::path::PathBuf;
use testing::accounts::is_root;
use testing::programs::{ORACLE, OURS, SCENARIOS_ON};

/// Names the installation that scenarios about one look at.
const INSTALLED: &str = "POSTFIX_RS_INSTALLED";

/// What tests call beside the mail system.
pub const TOOLS: [Tool; 6] = [
    Tool::Program { name: "strace", package: "strace" },
    Tool::Program { name: "swaks", package: "swaks" },
    // What swaks needs for IPv6.
    Tool::PerlModule { name: "IO::Socket::INET6", package: "libio-socket-inet6-perl" },
    Tool::Program { name: "dnsmasq", package: "dnsmasq-base" },
    Tool::Program { name: "ip", package: "iproute2" },
    Tool::Program { name: "mkfs.ext2", package: "e2fsprogs" },
];

/// Runs everything, or the tests whose names contain `filter`.
pub fn all(filter: Option<&str>) -> Outcome {
    packages::ensure(&TOOLS)?;
    if is_root() {
        accounts::ensure()?;
    }
    let mut report = Report::default();
    report.step("unit tests", || runner::run(&["--workspace", "--exclude", "scenarios"], filter, &[]));
    if filter.is_none_or(|word| "porting".contains(word)) {
        report.step("porting: kernel answers of other platforms, and methods in network namespaces", || {
            porting::tests().map(|()| Vec::new())
        });
    }
    // Some scenarios go from one mail system to the other.
    let reference = is_root().then(|| oracle::prepare(Version::Reference));
    report.step("scenarios on these programs", || match &reference {
        Some(Err(failure)) => Err(failure.clone()),
        Some(Ok(reference)) => on_ours(Some(reference), filter),
        None => on_ours(None, filter),
    });
    report.step("one message by each way, not as root", || run::check().map(|()| Vec::new()));
    for version in Version::ALL {
        let step = format!("scenarios on Postfix {version}");
        match is_root() {
            true => report.step(&step, || scenarios_on(&oracle::prepare(version)?, filter)),
            false => println!("== left out, for it needs root: {step}"),
        }
    }
    report.end()
}

/// Runs the scenarios on C Postfix.
pub fn on_oracle(oracle: &Unpacked, filter: Option<&str>) -> Outcome {
    let mut report = Report::default();
    report.step(&format!("scenarios on Postfix {}", oracle.release), || scenarios_on(oracle, filter));
    report.end()
}

/// Builds the programs that scenarios run, where scenarios find them.
fn build_programs() -> Outcome<PathBuf> {
    let copies = std::env::temp_dir().join("postfix-rs-programs");
    programs::reachable(&programs::build(Profile::Dev)?, &copies)
}

fn on_ours(reference: Option<&Unpacked>, filter: Option<&str>) -> Outcome<Vec<String>> {
    let programs = build_programs()?;
    let installed = std::env::temp_dir().join(format!("postfix-rs-installed-{}", std::process::id()));
    let mut environment = vec![(SCENARIOS_ON, "ours".into()), (OURS, programs.clone().into_os_string())];
    if is_root() {
        install::place_all(&installed, &programs)?;
        environment.push((INSTALLED, installed.clone().into_os_string()));
    }
    if let Some(reference) = reference {
        environment.push((ORACLE, reference.root.clone().into_os_string()));
    }
    let result = runner::run(&["--package", "scenarios"], filter, &environment);
    for left in [&installed, &installed.with_extension("work"), &installed.with_extension("merged")] {
        let _ = std::fs::remove_dir_all(left);
    }
    result
}

fn scenarios_on(oracle: &Unpacked, filter: Option<&str>) -> Outcome<Vec<String>> {
    let environment = [
        (SCENARIOS_ON, oracle.version.to_string().into()),
        (OURS, build_programs()?.into_os_string()),
        (ORACLE, oracle.root.clone().into_os_string()),
    ];
    runner::run(&["--package", "scenarios"], filter, &environment)
}
