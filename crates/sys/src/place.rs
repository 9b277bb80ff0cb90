//! Names below a directory that stays open: they can be looked at from a changed root directory too.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, fstatat};

/// Only a place to start from: what is in the directory need not be readable.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const PLACE: OFlag = OFlag::O_PATH;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const PLACE: OFlag = OFlag::O_RDONLY;

/// Opens a directory as a place for [`identity_below`]. An empty name is the working directory.
///
/// # Errors
/// Those of open(2).
pub fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    Ok(open(path, PLACE | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// Device and inode of what has this name below the directory; a link counts as what it is. Nothing when there is no
/// such name.
#[allow(clippy::unnecessary_cast, reason = "the widths of these numbers differ between systems")]
pub fn identity_below(directory: BorrowedFd<'_>, name: &Path) -> Option<(u64, u64)> {
    let found = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    Some((found.st_dev as u64, found.st_ino as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_name_is_found_below_a_directory_when_it_appears() {
        let name = format!("place-{}", std::process::id());
        let directory = open_directory(&std::env::temp_dir()).unwrap();
        assert_eq!(identity_below(directory.as_fd(), Path::new(&name)), None);
        std::fs::write(std::env::temp_dir().join(&name), "").unwrap();
        assert!(identity_below(directory.as_fd(), Path::new(&name)).is_some());
        std::fs::remove_file(std::env::temp_dir().join(&name)).unwrap();
    }
}
