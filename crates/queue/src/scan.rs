//! Scanning one queue: the identifiers of its files, one at a time.
//!
//! The scan holds one open directory a level, whatever the queue holds. Names that are no identifiers are passed over,
//! or given to who asks for them. What a scan yields may be gone when the caller looks.

use std::fs::{self, ReadDir};
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use crate::{QueueId, QueueName, Spool};

/// Levels of subdirectories that are entered; no setting asks for more. told: who asks for strangers.
const MAX_DEPTH: usize = 16;

/// A file in the queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Its name.
    pub id: QueueId,
    /// Where it is; not where the settings say when they changed.
    pub path: PathBuf,
    /// Its inode number: files that are read in this order are read in about the order of the disk.
    pub inode: u64,
}

/// The files of one queue, in the order of the directory.
pub struct Scan {
    levels: Vec<ReadDir>,
    strangers: Option<Vec<PathBuf>>,
}

impl Scan {
    /// Starts a scan of the queue whose directory this is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(directory: &Path) -> io::Result<Scan> {
        Ok(Scan { levels: vec![fs::read_dir(directory)?], strangers: None })
    }

    /// Keeps what is no identifier, for [`strangers`](Self::strangers).
    pub fn keep_strangers(mut self) -> Self {
        self.strangers = Some(Vec::new());
        self
    }

    fn strange(&mut self, path: PathBuf) {
        if let Some(strangers) = &mut self.strangers {
            strangers.push(path);
        }
    }

    /// What was passed over since the last call.
    pub fn strangers(&mut self) -> Vec<PathBuf> {
        self.strangers.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Spool {
    /// Starts a scan of `queue`. A directory that is missing is an empty queue.
    pub fn scan(&self, queue: QueueName) -> io::Result<Scan> {
        match Scan::of(&self.queue(queue)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Scan { levels: Vec::new(), strangers: None }),
            other => other,
        }
    }
}

impl Iterator for Scan {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let level = self.levels.last_mut()?;
            let entry = match level.next() {
                None => {
                    self.levels.pop();
                    continue;
                }
                Some(Ok(entry)) => entry,
                Some(Err(error)) => {
                    // The rest of this directory is not readable.
                    self.levels.pop();
                    return Some(Err(error));
                }
            };
            let name = entry.file_name();
            let Some(id) = QueueId::parse(name.as_encoded_bytes()) else {
                self.strange(entry.path());
                continue;
            };
            let path = entry.path();
            // A subdirectory of a hashed queue has a name of one character.
            if id.as_str().len() > 1 {
                return Some(Ok(Found { id, path, inode: entry.ino() }));
            }
            let is_level = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_level || self.levels.len() > MAX_DEPTH {
                self.strange(path);
            } else {
                match fs::read_dir(&path) {
                    Ok(directory) => self.levels.push(directory),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Some(Err(error)),
                }
            }
        }
    }
}
