//! Lock files that say "a master runs here" and name its process: `pid/master.pid` and `$data_directory/master.lock`.
//!
//! The content is 33 bytes: the process id right-aligned in 32 columns and a newline, so that the file is never
//! truncated and a reader never finds it empty. The file stays when master ends; the lock does not.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sys::lock::lock;
use sys::open::{SYSTEM, open_or_create};

/// A lock that is held while the value lives.
pub(crate) struct LockFile {
    file: File,
}

impl LockFile {
    /// Takes the lock; the error is the text behind `fatal: `.
    pub(crate) fn take(path: &Path) -> Result<Self, String> {
        let failed = |why: String| format!("open lock file {}: {why}", path.display());
        // name: looked at by sys::open.
        let opened = open_or_create(path, OpenOptions::new().read(true).write(true), 0o600, &SYSTEM);
        let (file, _) = opened.map_err(|refusal| failed(text::system_error(&refusal.into_error())))?;
        match lock(file.as_fd()) {
            Ok(true) => Ok(Self { file }),
            Ok(false) => Err(failed("unable to set exclusive lock: Resource temporarily unavailable".to_owned())),
            Err(error) => Err(failed(format!("unable to set exclusive lock: {}", net::reason(&error)))),
        }
    }

    /// Writes the id of this process over the last one's.
    pub(crate) fn name_process(&self) -> io::Result<()> {
        self.file.write_all_at(format!("{:>32}\n", std::process::id()).as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_postfix_form_and_the_lock_is_exclusive() {
        let path = std::env::temp_dir().join(format!("master-{}.pid", std::process::id()));
        let held = LockFile::take(&path).unwrap();
        held.name_process().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((text.len(), text.trim()), (33, std::process::id().to_string().as_str()));
        assert!(sys::lock::is_held(&path).unwrap());
        let refused = LockFile::take(&path).err().unwrap();
        assert!(refused.ends_with("unable to set exclusive lock: Resource temporarily unavailable"), "{refused}");
        drop(held);
        assert!(!sys::lock::is_held(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        assert!(!sys::lock::is_held(&path).unwrap());
    }
}
