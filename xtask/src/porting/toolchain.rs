//! A compiler that brings the source of its standard library: Debian's rustc-web, unpacked below `target/`.
//!
//! The toolchain of this workspace has neither the library of another platform nor the source to build it from, and the
//! source of another version does not fit. rustc-web and rust-web-src fit each other, and our cargo drives them. They
//! are never installed: the package replaces the system's rustc.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::{packages, workspace};

/// What is unpacked beside the libraries whose names carry a version.
const PACKAGES: [&str; 3] = ["rustc-web", "libstd-rust-web-dev", "rust-web-src"];

/// The compiler, unpacked if that was not done before: a path to give to cargo as `RUSTC`.
///
/// Errors: the packages cannot be had here (another system than Debian 12, no network).
pub(super) fn prepare() -> Outcome<PathBuf> {
    let folder = workspace::target().join("rustc-web");
    let wrapper = folder.join("rustc");
    if wrapper.exists() {
        return Ok(wrapper);
    }
    let library = dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
    let llvm = dependency(&library, "libllvm")?;
    println!("unpacking Debian's rustc-web into {}", folder.display());
    packages::unpack(&[&PACKAGES[..], &[&library, &llvm]].concat(), &folder)?;
    let root = folder.join("root").canonicalize()?;
    let part = folder.join("rustc.part");
    fs::write(&part, script(&root)?)?;
    fs::set_permissions(&part, fs::Permissions::from_mode(0o755))?;
    fs::rename(part, &wrapper)?;
    Ok(wrapper)
}

/// The package whose name begins with `prefix` among those that `package` depends on.
fn dependency(package: &str, prefix: &str) -> Outcome<String> {
    let depends = || workspace::output(Command::new("apt-cache").args(["depends", "--important", package]));
    let found = |text: String| {
        text.split_whitespace().find(|word| word.starts_with(prefix) && *word != package).map(str::to_owned)
    };
    if let Some(name) = depends().ok().and_then(found) {
        return Ok(name);
    }
    // The lists of a fresh machine are old or empty.
    packages::apt(&["update", "-qq"], &[])?;
    found(depends()?).ok_or_else(|| Failure(format!("no package {prefix}* among the dependencies of {package}")))
}

/// Starts the compiler with its libraries, which are not where its package expects them.
fn script(root: &Path) -> Outcome<String> {
    let llvm = fs::read_dir(root.join("usr/lib"))?.flatten().map(|entry| entry.path());
    let llvm = llvm.filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("llvm-")));
    let folders = llvm.map(|path| path.join("lib")).chain(multiarch(root)?);
    let libraries = folders.map(|path| path.display().to_string()).collect::<Vec<_>>().join(":");
    Ok(format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{libraries}'\nexport LD_LIBRARY_PATH\nexec '{}/usr/bin/rustc' \"$@\"\n",
        root.display()
    ))
}

/// `usr/lib/x86_64-linux-gnu`, or what it is called on this processor.
fn multiarch(root: &Path) -> Outcome<Vec<PathBuf>> {
    let folders = fs::read_dir(root.join("usr/lib"))?.flatten().map(|entry| entry.path());
    Ok(folders.filter(|path| path.ends_with(format!("{}-linux-gnu", std::env::consts::ARCH))).collect())
}
