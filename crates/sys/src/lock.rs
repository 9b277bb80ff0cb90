//! Locks on open files: flock(2), which Postfix uses on Linux for queue files, logs and pid files, and those of
//! fcntl(2), for mailboxes.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::open::{Refusal, SYSTEM};

/// Locks the open file for oneself, without waiting; the lock goes away when every copy of the descriptor is closed.
/// `Ok(false)`: somebody else holds one.
///
/// # Errors
/// Those of flock(2) other than "would block".
pub fn lock(fd: BorrowedFd<'_>) -> io::Result<bool> {
    flock(fd, libc::LOCK_EX | libc::LOCK_NB)
}

/// Locks the open file for oneself, and waits for whoever has it.
///
/// # Errors
/// Those of flock(2).
pub fn wait(fd: BorrowedFd<'_>) -> io::Result<()> {
    flock(fd, libc::LOCK_EX).map(drop)
}

/// Locks the whole of the open file for this process by fcntl(2), without waiting; the lock goes away when the process
/// closes any descriptor of the file. `Ok(false)`: another process has one.
///
/// # Errors
/// Those of fcntl(2) other than "somebody has it".
pub fn record(fd: BorrowedFd<'_>) -> io::Result<bool> {
    match fcntl(fd, FcntlArg::F_SETLK(&whole())) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The same, and waits for whoever has it.
///
/// # Errors
/// Those of fcntl(2).
pub fn wait_record(fd: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        match fcntl(fd, FcntlArg::F_SETLKW(&whole())) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop).map_err(io::Error::from),
        }
    }
}

/// All of a file, for oneself.
fn whole() -> libc::flock {
    // SAFETY: all fields are numbers, which may be zero: from the first byte to the last.
    let mut whole: libc::flock = unsafe { std::mem::zeroed() };
    whole.l_type = libc::F_WRLCK as libc::c_short;
    whole.l_whence = libc::SEEK_SET as libc::c_short;
    whole
}

fn flock(fd: BorrowedFd<'_>, operation: libc::c_int) -> io::Result<bool> {
    loop {
        // SAFETY: flock takes a descriptor, which the borrow keeps open, and an integer.
        if unsafe { libc::flock(fd.as_raw_fd(), operation) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => return Ok(false),
            _ => return Err(error),
        }
    }
}

/// Whether another process holds the exclusive lock of a file; one that is not there is nobody's.
///
/// # Errors
/// The file cannot be opened, or its lock cannot be asked for.
pub fn is_held(path: &Path) -> io::Result<bool> {
    match crate::open::open(path, OpenOptions::new().read(true).write(true), &SYSTEM) {
        Ok(file) => Ok(!lock(file.as_fd())?),
        Err(Refusal::System(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(refusal) => Err(refusal.into_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A delivery agent relies on it: the queue manager has locked the descriptor that it gets.
    #[test]
    fn a_lock_keeps_others_out_until_the_last_copy_of_its_descriptor_is_dropped() {
        let path = std::env::temp_dir().join(format!("lock-test-{}", std::process::id()));
        let first = std::fs::File::create(&path).unwrap();
        let (copy, second) = (first.try_clone().unwrap(), std::fs::File::open(&path).unwrap());
        assert!(lock(first.as_fd()).unwrap());
        assert!(!lock(second.as_fd()).unwrap());
        drop(first);
        assert!(!lock(second.as_fd()).unwrap());
        drop(copy);
        assert!(lock(second.as_fd()).unwrap());
        std::fs::remove_file(path).unwrap();
    }
}
