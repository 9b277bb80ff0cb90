//! Files of messages, used again: what the queue directory of a mail system has to do at least.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A message in its file.
pub struct Stored {
    pub file: File,
    pub size: usize,
    path: PathBuf,
}

/// The folders.
pub struct Spool {
    root: PathBuf,
    /// Names of empty files.
    spare: Vec<PathBuf>,
    count: u64,
}

impl Spool {
    pub fn new(root: &Path) -> io::Result<Spool> {
        ["incoming", "active", "spare"].iter().try_for_each(|name| fs::create_dir_all(root.join(name)))?;
        Ok(Spool { root: root.to_owned(), spare: Vec::new(), count: 0 })
    }

    /// A file in `incoming` that is complete.
    pub fn write(&mut self, content: &[u8]) -> io::Result<Stored> {
        self.count += 1;
        let path = self.root.join("incoming").join(self.count.to_string());
        if let Some(spare) = self.spare.pop() {
            fs::rename(spare, &path)?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        file.write_all_at(content, 0)?;
        file.set_permissions(Permissions::from_mode(0o700))?;
        Ok(Stored { file, size: content.len(), path })
    }

    /// Waits for the disk: for one file, or for all at once.
    pub fn sync<'a>(&self, mut files: impl ExactSizeIterator<Item = &'a Stored>) -> io::Result<()> {
        match (files.len(), files.next()) {
            (_, None) => Ok(()),
            (1, Some(stored)) => Ok(nix::unistd::fsync(&stored.file)?),
            (_, Some(stored)) => Ok(nix::unistd::syncfs(&stored.file)?),
        }
    }

    /// Takes a message out of the queue: through `active`, as every mail system does, and its recipient is marked.
    pub fn give_up(&mut self, stored: Stored) -> io::Result<()> {
        let name = stored.path.file_name().unwrap_or_default().to_owned();
        let active = self.root.join("active").join(&name);
        fs::rename(&stored.path, &active)?;
        stored.file.write_all_at(b"D", 0)?;
        let spare = self.root.join("spare").join(&name);
        fs::rename(active, &spare)?;
        stored.file.set_len(0)?;
        stored.file.set_permissions(Permissions::from_mode(0o600))?;
        self.spare.push(spare);
        Ok(())
    }
}
