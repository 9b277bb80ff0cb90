//! Debian packages that tests need: installed by root, named to anybody else.

use crate::failure::{Failure, Outcome};
use crate::workspace;
use std::process::{Command, Stdio};
use testing::accounts::is_root;

/// A program that must be on the path, and the package that brings it.
pub struct Tool {
    pub program: &'static str,
    pub package: &'static str,
}

/// Sees to it that all are there; the failure names what is missing and how to install it.
pub fn ensure(tools: &[Tool]) -> Outcome {
    let missing: Vec<&str> = tools.iter().filter(|t| !on_path(t.program)).map(|t| t.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() {
        return Err(Failure(format!("missing: install them with `apt-get install {}`", missing.join(" "))));
    }
    install(&missing)
}

/// Installs packages without asking.
pub fn install(packages: &[&str]) -> Outcome {
    println!("installing {}", packages.join(" "));
    if apt(&["install", "-y", "-qq", "--no-install-recommends"], packages).is_ok() {
        return Ok(());
    }
    // The lists of a fresh machine are old or empty.
    apt(&["update", "-qq"], &[])?;
    apt(&["install", "-y", "-qq", "--no-install-recommends"], packages)
}

/// Runs apt-get; what it says is shown only when it fails.
pub fn apt(options: &[&str], packages: &[&str]) -> Outcome {
    let mut command = Command::new("apt-get");
    command.args(options).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
    workspace::output(&mut command).map(drop)
}

/// Whether a program can be called by its name; administrators' folders count.
pub fn on_path(program: &str) -> bool {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-c", "command -v \"$0\"", program]).env("PATH", path);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}
