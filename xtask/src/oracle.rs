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
    packages::ensure(&[Tool { program: "patchelf", package: "patchelf" }])?;
    println!("unpacking Debian's Postfix into {}", root.display());
    packages::unpack(&PACKAGES, &folder)?;
    make_private(&root)?;
    fs::write(done, "")?;
    Ok(root)
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
