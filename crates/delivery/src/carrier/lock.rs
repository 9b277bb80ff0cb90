//! Locks on mailboxes: as many kinds as there are programs that read mailboxes.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use ipc::carrier::{Lock, Mailbox};
use nix::errno::Errno;
use sys::LockFile;

/// Makes `PATH.lock`; waits for another's, and takes one for forgotten that is older than stale_lock_time.
pub(crate) async fn dot(path: &Path, target: &Mailbox) -> io::Result<LockFile> {
    for attempt in 0..target.attempts.max(1) {
        if attempt > 0 {
            pause(target).await;
        }
        match LockFile::make(path, Duration::from_secs(target.stale)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
    Err(Errno::EEXIST.into())
}

/// Takes the other locks on the open file; they go away with it.
pub(crate) async fn open_file(file: &File, target: &Mailbox) -> io::Result<()> {
    for lock in &target.locks {
        let mut held = *lock == Lock::DotLock;
        for attempt in 0..target.attempts.max(1) {
            if held {
                break;
            }
            if attempt > 0 {
                pause(target).await;
            }
            held = match lock {
                Lock::Flock => sys::lock::lock(file.as_fd())?,
                _ => sys::lock::record(file.as_fd())?,
            };
        }
        if !held {
            return Err(Errno::EAGAIN.into());
        }
    }
    Ok(())
}

async fn pause(target: &Mailbox) {
    tokio::time::sleep(Duration::from_millis(target.delay)).await;
}
