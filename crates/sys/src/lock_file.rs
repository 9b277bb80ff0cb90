//! Lock files: `PATH.lock` beside a mailbox, which is there for as long as somebody has the mailbox.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A lock file that is removed when this is dropped.
#[derive(Debug)]
pub struct LockFile(PathBuf);

impl LockFile {
    /// Its name.
    pub fn name(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        PathBuf::from(name)
    }

    /// Makes it, without waiting. One that is older than `stale` is taken for forgotten: it is removed first. Its age
    /// is that of its last change of any kind, which nobody can set back.
    ///
    /// # Errors
    /// It cannot be made; `AlreadyExists`: somebody has it.
    pub fn make(path: &Path, stale: Duration) -> io::Result<LockFile> {
        let name = Self::name(path);
        let make = || OpenOptions::new().write(true).create_new(true).mode(0o000).open(&name);
        make().or_else(|error| {
            if error.kind() != io::ErrorKind::AlreadyExists || !is_stale(&name, stale) {
                return Err(error);
            }
            fs::remove_file(&name)?;
            make()
        })?;
        Ok(LockFile(name))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // One that is gone already has been taken for a forgotten one.
        let _ = fs::remove_file(&self.0);
    }
}

fn is_stale(name: &Path, limit: Duration) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let changed = fs::symlink_metadata(name).map(|meta| u64::try_from(meta.ctime()).unwrap_or_default());
    changed.is_ok_and(|changed| now.saturating_sub(Duration::from_secs(changed)) > limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("lock-file-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_lock_file_is_there_for_as_long_as_it_is_kept() {
        let path = mailbox("kept");
        let lock = LockFile::make(&path, Duration::from_secs(500)).unwrap();
        let refused = LockFile::make(&path, Duration::from_secs(500)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        drop(lock);
        assert!(!LockFile::name(&path).exists());
        drop(LockFile::make(&path, Duration::from_secs(500)).unwrap());
    }

    #[test]
    fn a_date_that_somebody_gave_it_makes_no_lock_file_old() {
        let path = mailbox("dated");
        let kept = LockFile::make(&path, Duration::from_secs(500)).unwrap();
        let file = fs::File::open(LockFile::name(&path)).or_else(|_| {
            // Not as root: nobody may open it.
            fs::remove_file(LockFile::name(&path))?;
            fs::File::create(LockFile::name(&path))
        });
        file.unwrap().set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
        assert!(LockFile::make(&path, Duration::from_secs(500)).is_err());
        drop(kept);
    }
}
