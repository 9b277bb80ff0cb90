//! Opening files of the queue only to look at them: nothing of them changes by it, not even the time of the last
//! access.
//!
//! Linux writes down an access when the file was modified after the one before. A message that waits has the time of
//! its next attempt for its modification time, which is still to come: each look at it would be written to the disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file to read.
///
/// # Errors
/// Those of open(2).
#[cfg(target_os = "linux")]
pub fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let no_access_time = nix::fcntl::OFlag::O_NOATIME.bits();
    match OpenOptions::new().read(true).custom_flags(no_access_time).open(path) {
        // For the owner alone. A submission in maildrop is the submitter's.
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::EPERM as i32) => File::open(path),
        result => result,
    }
}

/// Opens a file to read. Other systems have no such wish.
///
/// # Errors
/// Those of open(2).
#[cfg(not(target_os = "linux"))]
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}
