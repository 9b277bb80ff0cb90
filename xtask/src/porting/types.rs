//! Type checks of the crates that depend on the platform, for targets whose standard library is built from source.
//!
//! Nothing is linked, and no C library takes part: what needs one is behind a feature that these crates do not ask for.
//! A target that passed is not checked again until a source, the lock file or the compiler changes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;

use super::{Verdict, toolchain};
use crate::failure::{Failure, Outcome};
use crate::workspace;

/// A target, and the `target_os` whose row of the table it speaks for.
struct Target {
    triple: &'static str,
    os: &'static str,
}

const TARGETS: [Target; 7] = [
    Target { triple: "x86_64-unknown-freebsd", os: "freebsd" },
    Target { triple: "x86_64-unknown-netbsd", os: "netbsd" },
    Target { triple: "x86_64-unknown-openbsd", os: "openbsd" },
    Target { triple: "x86_64-unknown-illumos", os: "illumos" },
    Target { triple: "aarch64-apple-darwin", os: "macos" },
    Target { triple: "x86_64-unknown-linux-musl", os: "linux" },
    Target { triple: "aarch64-unknown-linux-gnu", os: "linux" },
];

/// The crates that know the platform; what they need comes with them.
const PACKAGES: [&str; 5] = ["sys", "net", "config", "inet_addr_local", "master"];

/// What was found for each `target_os`, for the targets named in `wanted` or for all; nothing where rustc-web cannot be
/// had.
pub(super) fn check(wanted: &[String]) -> Outcome<Vec<(&'static str, Verdict)>> {
    if let Some(unknown) = wanted.iter().find(|name| !TARGETS.iter().any(|target| target.triple == name.as_str())) {
        let known = TARGETS.map(|target| target.triple).join(" ");
        return Err(Failure(format!("porting: unknown target {unknown}; there are {known}")));
    }
    let rustc = match toolchain::prepare() {
        Ok(rustc) => rustc,
        Err(why) => {
            println!("types: left out, for rustc-web cannot be had: {why}");
            return Ok(Vec::new());
        }
    };
    let state = fingerprint(&rustc)?;
    let targets = TARGETS.iter().filter(|target| wanted.is_empty() || wanted.iter().any(|name| name == target.triple));
    targets.map(|target| Ok((target.os, check_one(target, &rustc, &state)?))).collect()
}

fn check_one(target: &Target, rustc: &Path, state: &str) -> Outcome<Verdict> {
    let folder = workspace::target().join("porting");
    let passed = folder.join(format!("{}.passed", target.triple));
    if std::fs::read_to_string(&passed).is_ok_and(|text| text == state) {
        println!("types: {}: unchanged since it passed", target.triple);
        return Ok(Verdict::Yes);
    }
    println!("types: {}", target.triple);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["check", "--quiet", "--locked", "-Zbuild-std=std,panic_abort", "--target", target.triple]);
    cargo.args(PACKAGES.iter().flat_map(|name| ["--package", name]));
    // -Zbuild-std is an unstable option; rustc-web's own version of the library is what it builds.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", rustc).env("CARGO_TARGET_DIR", folder.join("build"));
    cargo.env_remove("RUSTFLAGS").env_remove("RUSTC_WRAPPER");
    match workspace::run(cargo.current_dir(workspace::root())) {
        Ok(()) => {
            std::fs::write(passed, state)?;
            Ok(Verdict::Yes)
        }
        Err(why) => {
            println!("types: {}: {why}", target.triple);
            Ok(Verdict::No)
        }
    }
}

/// Differs when anything differs that a type check depends on.
fn fingerprint(rustc: &Path) -> Outcome<String> {
    let mut state = DefaultHasher::new();
    workspace::output(Command::new(rustc).arg("-vV"))?.hash(&mut state);
    for file in workspace::files()? {
        let counts = file.ends_with(".rs") || file.ends_with(".toml") || file == "Cargo.lock";
        if counts && !file.starts_with("xtask/") {
            file.hash(&mut state);
            std::fs::read(workspace::root().join(&file))?.hash(&mut state);
        }
    }
    Ok(format!("{:016x}\n", state.finish()))
}
