//! lmdb: the indexed file that postmap writes, read page by page ([`crate::btree`]).
//!
//! Debian's postmap ends keys and values with a NUL; files without it are read too.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use crate::btree::{Tree, TreeError};
use crate::fold::fold;
use crate::{OpenError, OpenFlags, Settings, Stamp, Table, TableError, Visitor, contents};

/// LMDB's longest key.
/// told: who makes the table; no table has a longer key.
pub(crate) const MAX_KEY: usize = 511;

/// An open lmdb table.
pub(crate) struct Lmdb {
    name: String,
    tree: Tree<File>,
    fold: bool,
    files: bool,
    utf8: bool,
    stamp: Stamp,
    owner: u32,
}

impl Lmdb {
    /// Opens `path` (`NAME.lmdb`); `source` is the text it was made from, which should not be newer.
    ///
    /// # Errors
    /// The file is missing, unreadable, or not an LMDB file.
    pub(crate) fn open(
        name: String,
        path: &str,
        source: &str,
        settings: &Settings,
        flags: OpenFlags,
    ) -> Result<Self, OpenError> {
        let action = || format!("open database {path}");
        let stamp = Stamp::of(path);
        let file = crate::file::open(path).map_err(|error| OpenError::file(action(), &error))?;
        let owner = file.metadata().map_err(|error| OpenError::file(action(), &error))?.uid();
        let tree = Tree::open(file)
            .map_err(|error: TreeError| OpenError::File { action: action(), reason: error.to_string() })?;
        warn_if_outdated(path, source);
        Ok(Lmdb { name, tree, fold: !flags.keep_case, files: flags.files, utf8: settings.utf8, stamp, owner })
    }

    /// The value of a key as it is stored, or the content that it stands for.
    fn content(&self, key: &[u8], stored: Vec<u8>) -> Result<Vec<u8>, String> {
        if self.files { contents::decode(&self.name, key, &stored) } else { Ok(stored) }
    }

    fn failed(&self, error: impl std::fmt::Display) -> TableError {
        TableError::failed(&self.name, error)
    }
}

impl Table for Lmdb {
    fn name(&self) -> &str {
        &self.name
    }

    /// As postmap writes it by default, with a NUL at the end of the key, and then without.
    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        let mut key = if self.fold { fold(key, self.utf8) } else { key.to_vec() };
        if key.is_empty() || key.len() >= MAX_KEY {
            return Ok(None);
        }
        key.push(0);
        let keys = [&key[..], &key[..key.len() - 1]];
        let found = self.tree.get(&keys).map_err(|error| self.failed(error))?;
        let Some((which, value)) = found else { return Ok(None) };
        let value = if which == 0 { without_nul(value) } else { value };
        self.content(&key[..key.len() - 1], value).map(Some).map_err(|why| {
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
        self.tree.visit(&mut entry).map_err(|error| self.failed(error))
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
