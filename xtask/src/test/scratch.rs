//! Where tests keep their files: one directory for all of a run, which goes with it.
//!
//! What TMPDIR names may be out of reach for the other users that a mail system runs as, too long for the path of a
//! socket (108 bytes), or have characters that main.cf has a use for. Then `/tmp` or `/var/tmp` serves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};
use crate::programs::{is_plain, is_reachable};

/// The directory of this run.
pub struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes it, and lets everything that this process starts find it by TMPDIR.
    pub fn make() -> Outcome<Scratch> {
        let wanted = std::env::temp_dir();
        let candidates = [wanted.as_path(), Path::new("/tmp"), Path::new("/var/tmp")];
        let name = format!("postfix-rs-{}", std::process::id());
        let made = candidates.into_iter().filter(|parent| is_fit(parent)).find_map(|parent| make(&parent.join(&name)));
        let folder = made.ok_or_else(|| Failure("neither TMPDIR nor /tmp nor /var/tmp can be used".to_owned()))?;
        Ok(Scratch { folder })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Removes it, or says where it is for who looks for the reason of a failure.
    pub fn end(self, failed: bool) {
        if failed {
            // Copies of what was built say nothing about the reason.
            for copies in ["installed", "programs"] {
                let _ = fs::remove_dir_all(self.folder.join(copies));
            }
            println!("the files of failed tests are kept in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(self.folder);
        }
    }
}

/// Longest path of a parent in bytes: what comes below it must stay below the length of a socket's path.
const LONGEST: usize = 30;

fn is_fit(parent: &Path) -> bool {
    parent.is_absolute() && parent.as_os_str().len() <= LONGEST && is_plain(parent) && is_reachable(parent)
}

fn make(folder: &Path) -> Option<PathBuf> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder).ok()?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o1777)).ok()?;
    Some(folder.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::is_fit;
    use std::path::Path;

    #[test]
    fn a_directory_that_a_mail_system_cannot_live_in_is_passed_over() {
        for unfit in ["tmp", "/tmp/a b", "/tmp/a,b", "/tmp/$x", "/tmp/a-name-of-more-than-thirty-bytes"] {
            assert!(!is_fit(Path::new(unfit)), "{unfit}");
        }
        assert!(is_fit(Path::new("/tmp")));
    }
}
