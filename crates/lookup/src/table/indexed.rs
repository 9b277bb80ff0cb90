//! lmdb and cdb: the indexed file that postmap writes, read piece by piece ([`crate::index`]).
//!
//! Debian's postmap ends keys and values of lmdb with a NUL, and those of cdb without; both are read with and without.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use crate::btree::Tree;
use crate::cdb::Cdb;
use crate::fold::fold;
use crate::index::{self, Found};
use crate::{Kind, OpenError, OpenFlags, Settings, Spec, Stamp, Table, TableError, Visitor, contents};

/// LMDB's longest key.
/// told: who makes the table; no table has a longer key.
pub(crate) const MAX_KEY: usize = 511;

/// The file, by its format.
enum File {
    Lmdb(Box<Tree<fs::File>>),
    Cdb(Cdb<fs::File>),
}

/// An open indexed table.
pub(crate) struct Indexed {
    name: String,
    file: File,
    fold: bool,
    files: bool,
    utf8: bool,
    stamp: Stamp,
    owner: u32,
}

impl Indexed {
    /// Opens the file of a table. The text that it was made from should not be newer.
    ///
    /// # Errors
    /// The file is missing, unreadable, or of another format.
    pub(crate) fn open(spec: &Spec, settings: &Settings, flags: OpenFlags) -> Result<Self, OpenError> {
        let path = spec.index_path();
        let action = || format!("open database {path}");
        let stamp = Stamp::of(&path);
        let file = crate::file::open(&path).map_err(|error| OpenError::file(action(), &error))?;
        let owner = file.metadata().map_err(|error| OpenError::file(action(), &error))?.uid();
        let opened = match spec.kind {
            Kind::Cdb => Cdb::open(file).map(File::Cdb),
            _ => Tree::open(file).map(|tree| File::Lmdb(Box::new(tree))),
        };
        let file = opened.map_err(|error| OpenError::File { action: action(), reason: error.to_string() })?;
        warn_if_outdated(&path, &spec.name);
        let (fold, files) = (!flags.keep_case, flags.files);
        Ok(Self { name: spec.to_string(), file, fold, files, utf8: settings.utf8, stamp, owner })
    }

    /// A value with its key as it is looked up, or with a NUL behind both.
    fn find(&self, key: &[u8]) -> index::Result<Option<Vec<u8>>> {
        let ended = [key, &[0]].concat();
        // The usual one first.
        let (found, with_nul) = match &self.file {
            File::Lmdb(_) if ended.len() > MAX_KEY => return Ok(None),
            File::Lmdb(tree) => (tree.get(&[&ended, key])?, 0),
            File::Cdb(cdb) => (cdb.get(&[key, &ended])?, 1),
        };
        Ok(found.map(|(which, value): Found| if which == with_nul { without_nul(value) } else { value }))
    }

    /// The value of a key as it is stored, or the content that it stands for.
    fn content(&self, key: &[u8], stored: Vec<u8>) -> Result<Vec<u8>, String> {
        if self.files { contents::decode(&self.name, key, &stored) } else { Ok(stored) }
    }

    fn failed(&self, error: impl std::fmt::Display) -> TableError {
        TableError::failed(&self.name, error)
    }
}

impl Table for Indexed {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let key = if self.fold { fold(key, self.utf8) } else { key.to_vec() };
        if key.is_empty() {
            return Ok(None);
        }
        let Some(value) = self.find(&key).map_err(|error| self.failed(error))? else { return Ok(None) };
        self.content(&key, value).map(Some).map_err(|why| {
            logging::warning!("{why}");
            self.failed("")
        })
    }

    fn changed(&self) -> bool {
        self.stamp.changed()
    }

    fn owner(&self) -> Option<u32> {
        Some(self.owner)
    }

    fn visit(&self, visitor: &mut Visitor<'_>) -> Result<(), TableError> {
        let mut entry = |key, value| {
            let key = without_nul(key);
            match self.content(&key, without_nul(value)) {
                Ok(value) => visitor(&key, &value),
                Err(why) => logging::warning!("{why}"),
            }
        };
        let visited = match &self.file {
            File::Lmdb(tree) => tree.visit(&mut entry),
            File::Cdb(cdb) => cdb.visit(&mut entry),
        };
        visited.map_err(|error| self.failed(error))
    }
}

fn without_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}

/// A source that was edited a while ago, and later than its index was made, was probably forgotten.
fn warn_if_outdated(path: &str, source: &str) {
    let modified = |path: &str| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    if let (Some(index), Some(text)) = (modified(path), modified(source))
        && text > index
        && text + Duration::from_secs(100) < SystemTime::now()
    {
        logging::warning!("database {path} is older than source file {source}");
    }
}
