//! Stable storage: waiting for the disk.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Writes everything of the file system that holds the open file to stable storage, and waits for it. One such wait
/// commits any number of files (Linux reports write errors that happened since the file was opened).
///
/// # Errors
/// Those of syncfs(2); on platforms without it, `Unsupported`: the caller then syncs file by file.
pub fn sync_file_system(fd: BorrowedFd<'_>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: syncfs takes one descriptor, which the borrow keeps open.
        if unsafe { libc::syncfs(fd.as_raw_fd()) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = fd.as_raw_fd();
        Err(io::Error::from(nix::errno::Errno::ENOSYS))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsFd;

    #[test]
    fn a_directory_names_its_file_system() {
        let dir = std::fs::File::open(std::env::temp_dir()).unwrap();
        super::sync_file_system(dir.as_fd()).unwrap();
    }
}
