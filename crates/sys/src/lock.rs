//! flock(2), the lock that Postfix uses on Linux for queue files, logs and pid files.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use crate::open::{Refusal, SYSTEM};

/// Shared locks are held together, an exclusive lock is held alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Readers and delivery agents.
    Shared,
    /// Writers.
    Exclusive,
}

/// Locks the open file; the lock goes away when every copy of the descriptor is closed. With `wait` false, `Ok(false)`
/// says that somebody else holds it.
///
/// # Errors
/// Those of flock(2) other than "would block".
pub fn lock(fd: BorrowedFd<'_>, kind: Kind, wait: bool) -> io::Result<bool> {
    let mut operation = match kind {
        Kind::Shared => libc::LOCK_SH,
        Kind::Exclusive => libc::LOCK_EX,
    };
    if !wait {
        operation |= libc::LOCK_NB;
    }
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
        Ok(file) => Ok(!lock(file.as_fd(), Kind::Exclusive, false)?),
        Err(Refusal::System(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(refusal) => Err(refusal.into_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusive_lock_keeps_others_out_until_it_is_dropped() {
        let path = std::env::temp_dir().join(format!("lock-test-{}", std::process::id()));
        let first = std::fs::File::create(&path).unwrap();
        let second = std::fs::File::open(&path).unwrap();
        assert!(lock(first.as_fd(), Kind::Exclusive, false).unwrap());
        assert!(!lock(second.as_fd(), Kind::Shared, false).unwrap());
        drop(first);
        assert!(lock(second.as_fd(), Kind::Shared, false).unwrap());
        std::fs::remove_file(path).unwrap();
    }
}
