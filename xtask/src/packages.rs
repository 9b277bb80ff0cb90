//! Debian packages that tests need: installed by root, named to anybody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testing::accounts::is_root;

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// What must be there, and the package that brings it.
pub enum Tool {
    /// A program on the path.
    Program { name: &'static str, package: &'static str },
    /// A module that a Perl program loads.
    PerlModule { name: &'static str, package: &'static str },
    /// What no path leads to: a plug-in, a program that another one starts.
    Part { package: &'static str },
}

impl Tool {
    fn package(&self) -> &'static str {
        match self {
            Tool::Program { package, .. } | Tool::PerlModule { package, .. } | Tool::Part { package } => package,
        }
    }

    fn is_there(&self) -> bool {
        match self {
            Tool::Program { name, .. } => on_path(name),
            Tool::Part { package } => is_installed(package),
            Tool::PerlModule { name, .. } => succeeds(Command::new("perl").arg(format!("-M{name}")).args(["-e", "1"])),
        }
    }
}

/// Sees to it that all are there; the failure names what is missing and how to install it.
pub fn ensure(tools: &[Tool]) -> Outcome {
    let missing: Vec<&str> = tools.iter().filter(|tool| !tool.is_there()).map(Tool::package).collect();
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

/// Unpacks packages below `folder/root` without installing them, and installs the system libraries that they need. What
/// `folder` held before is gone.
pub fn unpack(packages: &[&str], folder: &Path) -> Outcome {
    ensure(&[Tool::Program { name: "dpkg-deb", package: "dpkg" }])?;
    let _ = fs::remove_dir_all(folder);
    let root = folder.join("root");
    fs::create_dir_all(&root)?;
    let archives = download(packages, folder)?;
    for archive in &archives {
        workspace::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&root))?;
    }
    install_libraries(&archives)?;
    for archive in archives {
        fs::remove_file(archive)?;
    }
    Ok(())
}

fn download(packages: &[&str], folder: &Path) -> Outcome<Vec<PathBuf>> {
    let fetch = || {
        let mut command = Command::new("apt-get");
        // The user `_apt` cannot write into this folder.
        command.args(["-qq", "-o", "APT::Sandbox::User=root", "download"]).args(packages).current_dir(folder);
        workspace::output(&mut command)
    };
    if fetch().is_err() {
        apt(&["update", "-qq"], &[])?;
        fetch()?;
    }
    let files = fs::read_dir(folder)?.flatten().map(|e| e.path());
    Ok(files.filter(|p| p.extension().is_some_and(|e| e == "deb")).collect())
}

/// The shared libraries that the packages depend on and that are not among them, and nothing else of their
/// dependencies.
fn install_libraries(archives: &[PathBuf]) -> Outcome {
    let field = |archive: &PathBuf, name: &str| {
        workspace::output(Command::new("dpkg-deb").arg("-f").arg(archive).arg(name)).map(|text| text.trim().to_owned())
    };
    let unpacked = archives.iter().map(|a| field(a, "Package")).collect::<Outcome<Vec<_>>>()?;
    let mut libraries = Vec::new();
    for archive in archives {
        let depends = field(archive, "Depends")?;
        let names = depends.split(',').filter_map(|d| d.split_whitespace().next().map(str::to_owned));
        libraries.extend(names.filter(|n| n.starts_with("lib") && !n.starts_with("libc6") && n != "libc-dev"));
    }
    libraries.retain(|name| !unpacked.contains(name) && !is_installed(name));
    if libraries.is_empty() {
        return Ok(());
    }
    install(&libraries.iter().map(String::as_str).collect::<Vec<_>>())
}

fn is_installed(package: &str) -> bool {
    let status = workspace::output(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]));
    status.is_ok_and(|s| s.starts_with("install ok"))
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
    succeeds(command.args(["-c", "command -v \"$0\"", program]).env("PATH", path))
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}
