//! `cargo xtask oracle`: the scenarios on Debian's Postfix, which is unpacked below `target/` and never installed.
//!
//! It needs root: C Postfix's master serves nobody else.

use crate::failure::{Failure, Outcome};
use crate::packages::{self, Tool};
use crate::{accounts, test, workspace};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use testing::accounts::is_root;

const PACKAGES: [&str; 2] = ["postfix", "postfix-lmdb"];

/// What master.cf of Debian's package calls `lmdb:`, for the table that names it.
const DYNAMIC_MAPS: &str = "lmdb\tpostfix-lmdb.so\tdict_lmdb_open\tmkmap_lmdb_open\n";

/// Runs the scenarios whose names match, or all.
pub fn run(filter: Option<&str>) -> Outcome {
    packages::ensure(&test::TOOLS)?;
    let root = prepare()?;
    test::scenarios("oracle", Some(&root), filter)
}

/// Unpacks C Postfix, if that was not done before; its root folder.
pub fn prepare() -> Outcome<PathBuf> {
    if !is_root() {
        return Err(Failure("the oracle needs root: C Postfix's master serves nobody else".to_string()));
    }
    accounts::ensure()?;
    let folder = workspace::target().join("oracle");
    let (root, done) = (folder.join("root"), folder.join("done"));
    if done.exists() {
        return Ok(root);
    }
    packages::ensure(&[
        Tool { program: "patchelf", package: "patchelf" },
        Tool { program: "dpkg-deb", package: "dpkg" },
    ])?;
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&root)?;
    println!("unpacking Debian's Postfix into {}", root.display());
    let archives = download(&folder)?;
    for archive in &archives {
        workspace::run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&root))?;
    }
    install_libraries(&archives)?;
    make_private(&root)?;
    fs::write(done, "")?;
    Ok(root)
}

fn download(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let fetch = || {
        let mut command = Command::new("apt-get");
        // The user `_apt` cannot write into this folder.
        command.args(["-qq", "-o", "APT::Sandbox::User=root", "download"]).args(PACKAGES).current_dir(folder);
        workspace::output(&mut command)
    };
    if fetch().is_err() {
        packages::apt(&["update", "-qq"], &[])?;
        fetch()?;
    }
    let files = fs::read_dir(folder)?.flatten().map(|e| e.path());
    Ok(files.filter(|p| p.extension().is_some_and(|e| e == "deb")).collect())
}

/// The shared libraries that the packages depend on, and nothing else of their dependencies.
fn install_libraries(archives: &[PathBuf]) -> Outcome {
    let mut libraries = Vec::new();
    for archive in archives {
        let depends = workspace::output(Command::new("dpkg-deb").arg("-f").arg(archive).arg("Depends"))?;
        let names = depends.split(',').filter_map(|d| d.split_whitespace().next().map(str::to_string));
        libraries.extend(names.filter(|n| n.starts_with("lib") && !n.starts_with("libc6")));
    }
    libraries.retain(|name| !is_installed(name));
    if libraries.is_empty() {
        return Ok(());
    }
    packages::install(&libraries.iter().map(String::as_str).collect::<Vec<_>>())
}

fn is_installed(package: &str) -> bool {
    let status = workspace::output(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]));
    status.is_ok_and(|s| s.starts_with("install ok"))
}

/// Makes programs and libraries find each other where they are: master clears LD_LIBRARY_PATH.
fn make_private(root: &Path) -> Outcome {
    let libraries = root.join("usr/lib/postfix");
    for folder in ["usr/lib/postfix", "usr/lib/postfix/sbin", "usr/sbin"] {
        for file in fs::read_dir(root.join(folder))?.flatten().map(|e| e.path()).filter(|p| is_elf(p)) {
            workspace::run(Command::new("patchelf").arg("--set-rpath").arg(&libraries).arg(&file))?;
        }
    }
    fs::write(root.join("etc/postfix/dynamicmaps.cf"), DYNAMIC_MAPS)?;
    fs::set_permissions(root, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn is_elf(path: &Path) -> bool {
    path.is_file() && !path.is_symlink() && fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"))
}
