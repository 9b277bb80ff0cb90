//! Folders of cases, and files in them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A folder that goes with this value.
pub struct Folder(PathBuf);

impl Folder {
    /// The folder of a case.
    pub fn new(id: &str) -> Folder {
        let name: String = id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let folder = std::env::temp_dir().join(format!("postfix-rs-case-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        Folder(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes a file.
pub fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Writes a file as if some time ago: nobody waits for it to be complete.
pub fn write_old(path: &Path, text: &str) {
    write(path, text);
    let old = SystemTime::now() - Duration::from_secs(10);
    let file = File::options().write(true).open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    file.set_modified(old).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
