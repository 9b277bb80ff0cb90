//! Has a file changed since it was opened?
//!
//! A daemon that has a table open looks now and then, finishes its clients and restarts when the answer is yes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The identity and the time of a file when it was read.
#[derive(Clone, Debug)]
pub struct Stamp {
    path: PathBuf,
    seen: Option<Identity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Stamp {
    /// Notes the file as it is now. Call it before reading, so that a change while reading is noticed.
    pub fn of(path: impl AsRef<Path>) -> Stamp {
        let path = path.as_ref().to_path_buf();
        let seen = identity(&path);
        Stamp { path, seen }
    }

    /// True if the name now leads to another file, to none, or to one written later.
    pub fn changed(&self) -> bool {
        identity(&self.path) != self.seen
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let meta = fs::metadata(path).ok()?;
    Some(Identity {
        device: meta.dev(),
        inode: meta.ino(),
        modified: (meta.mtime(), meta.mtime_nsec()),
        size: meta.size(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_changes_when_it_is_written_replaced_or_removed() {
        let path = std::env::temp_dir().join(format!("lookup-stamp-{}", std::process::id()));
        let none = Stamp::of(&path);
        assert!(!none.changed());
        fs::write(&path, "a").unwrap();
        assert!(none.changed());
        let first = Stamp::of(&path);
        assert!(!first.changed());
        fs::write(&path, "ab").unwrap();
        assert!(first.changed());
        let second = Stamp::of(&path);
        fs::remove_file(&path).unwrap();
        assert!(second.changed());
    }
}
