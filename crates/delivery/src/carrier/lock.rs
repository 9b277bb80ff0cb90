//! Locks on mailboxes: as many kinds as there are programs that read mailboxes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ipc::carrier::{Lock, Mailbox};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// A lock file that is removed when this is dropped.
pub(crate) struct DotLock(PathBuf);

impl Drop for DotLock {
    fn drop(&mut self) {
        // One that is gone already has been taken for a forgotten one.
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes `PATH.lock`; waits for another's, and takes one for forgotten that is older than stale_lock_time.
pub(crate) async fn dot(path: &Path, target: &Mailbox) -> io::Result<DotLock> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    for attempt in 0..target.attempts.max(1) {
        if attempt > 0 {
            pause(target).await;
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o000).open(&name) {
            Ok(_) => return Ok(DotLock(name)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if is_stale(&name, target.stale) {
                    let _ = fs::remove_file(&name);
                }
            }
            Err(error) => return Err(error),
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
                _ => range(file)?,
            };
        }
        if !held {
            return Err(Errno::EAGAIN.into());
        }
    }
    Ok(())
}

/// fcntl(2) lock on the whole file; false while another process has one.
fn range(file: &File) -> io::Result<bool> {
    let whole = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as nix::libc::c_short,
        l_whence: nix::libc::SEEK_SET as nix::libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_SETLK(&whole)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn pause(target: &Mailbox) {
    tokio::time::sleep(Duration::from_millis(target.delay)).await;
}

fn is_stale(name: &Path, limit: u64) -> bool {
    let modified = fs::symlink_metadata(name).and_then(|meta| meta.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age.as_secs() > limit))
}
