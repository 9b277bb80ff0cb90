//! Building the mail system's programs, and bringing them where the user that runs them can reach them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// How programs are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Dev,
    Release,
}

/// Builds all programs; the folder they are in.
pub fn build(profile: Profile) -> Outcome<PathBuf> {
    let packages = workspace::packages()?;
    let mut arguments = vec!["build", "--quiet", "--bins"];
    if profile == Profile::Release {
        arguments.push("--release");
    }
    for package in packages.iter().filter(|p| p.layer == workspace::PROGRAMS) {
        arguments.extend(["--package", &package.name]);
    }
    if !arguments.contains(&"--package") {
        return Err(Failure("the workspace has no programs yet".to_owned()));
    }
    workspace::cargo(&arguments)?;
    Ok(workspace::target().join(if profile == Profile::Release { "release" } else { "debug" }))
}

/// The same programs where any user can run them: the folder itself if all may pass to it, else copies in `copies`.
pub fn reachable(folder: &Path, copies: &Path) -> Outcome<PathBuf> {
    if is_reachable(folder) {
        return Ok(folder.to_path_buf());
    }
    fs::create_dir_all(copies)?;
    for program in workspace::programs()? {
        let copy = copies.join(&program);
        // A running program can be replaced, not written.
        let _ = fs::remove_file(&copy);
        fs::copy(folder.join(&program), &copy).map_err(|e| Failure::about(copy.display(), e))?;
    }
    fs::set_permissions(copies, fs::Permissions::from_mode(0o755))?;
    Ok(copies.to_path_buf())
}

/// Whether the characters of a path mean nothing else in main.cf, master.cf and command lines.
pub fn is_plain(path: &Path) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    path.as_os_str().as_encoded_bytes().iter().all(|byte| plain(*byte))
}

/// Whether every user may pass through all folders of the path.
pub fn is_reachable(path: &Path) -> bool {
    path.ancestors().all(|folder| {
        !folder.exists() || fs::metadata(folder).is_ok_and(|m| !m.is_dir() || m.permissions().mode() & 0o001 != 0)
    })
}
