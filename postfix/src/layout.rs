//! Directories that the mail system needs and makes itself: those of the manifest below the queue directory, and the
//! data directory.
//!
//! Only what is missing in an existing place is made. A queue directory that does not exist is a typing error, or a
//! file system that is not mounted: an empty queue in its place would hide the mail.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};

use config::manifest::Kind;
use sys::identity::is_root;

use crate::files::{self, Owners, Placed};
use crate::instance::Instance;

/// Makes what is missing; what is there stays as it is.
pub(crate) fn create_missing(instance: &Instance) -> Result<(), String> {
    let owners = Owners::of(instance)?;
    let is_ours = |it: &&Placed| it.path == instance.data || it.path.parent() == Some(&instance.queue);
    let directories = files::of(instance, &owners);
    let missing = directories.iter().filter(|it| it.entry.kind == Kind::Directory).filter(is_ours);
    missing.into_iter().try_for_each(|directory| {
        create(directory).map_err(|error| format!("create {}: {}", directory.path.display(), net::reason(&error)))
    })
}

fn create(directory: &Placed) -> io::Result<()> {
    let (path, mode) = (&directory.path, directory.entry.mode);
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        made => made?,
    }
    // name: just made, in a directory of root's.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if is_root() { chown(path, Some(directory.uid), Some(directory.gid)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::manifest::Entry;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("postfix-layout-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn placed(path: &Path, mode: u32) -> Placed {
        let entry: Entry = config::manifest::shipped().into_iter().find(|it| it.kind == Kind::Directory).unwrap();
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        Placed { entry: Entry { mode, ..entry }, path: path.to_path_buf(), uid, gid }
    }

    #[test]
    fn a_directory_that_is_made_has_its_mode_and_one_that_is_there_keeps_its_own() {
        let top = folder("made");
        let (made, there) = (top.join("made"), top.join("there"));
        // More than any file mask leaves.
        create(&placed(&made, 0o777)).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o7777, 0o777);
        fs::create_dir(&there).unwrap();
        fs::set_permissions(&there, fs::Permissions::from_mode(0o750)).unwrap();
        create(&placed(&there, 0o777)).unwrap();
        assert_eq!(fs::metadata(&there).unwrap().mode() & 0o7777, 0o750);
        fs::remove_dir_all(top).unwrap();
    }

    #[test]
    fn what_is_no_directory_and_what_has_no_parent_is_an_error() {
        let top = folder("errors");
        fs::write(top.join("file"), b"").unwrap();
        assert!(create(&placed(&top.join("file"), 0o700)).is_err());
        assert!(create(&placed(&top.join("queue/active"), 0o700)).is_err());
        assert!(!top.join("queue").exists());
        fs::remove_dir_all(top).unwrap();
    }
}
