//! Where a cache keeps what it knows.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ipc::Questions;
use lookup::btree;

use crate::{MAX_KEY, Unusable};

/// The file of a table.
pub(crate) type Tree = btree::Tree<File>;

/// That.
pub(crate) enum Kept {
    /// In a file, which the scribe writes.
    File {
        /// The file; why it cannot be read.
        tree: Result<Arc<Tree>, String>,
        /// Who writes it.
        scribe: Questions,
    },
    /// In memory alone.
    Nowhere,
    /// Where it should be, it cannot be kept: the reason.
    Unusable(String),
}

impl Kept {
    pub(crate) fn file(file: File, socket: OwnedFd) -> Self {
        let tree = btree::Tree::open(file).map(Arc::new).map_err(|error| error.to_string());
        Self::File { tree, scribe: Questions::new(socket) }
    }

    /// The value that the file has for a key.
    pub(crate) fn get(&self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Unusable> {
        let tree = match self {
            Self::File { tree, .. } => tree.as_ref().map_err(|why| Unusable(format!("table {name}: {why}")))?,
            Self::Nowhere => return Ok(None),
            Self::Unusable(why) => return Err(Unusable(format!("{name} is unavailable. {why}"))),
        };
        if key.is_empty() || key.len() > MAX_KEY || key.contains(&0) {
            return Ok(None);
        }
        // As it is written, with a NUL at the end, and then without.
        let ended = [key, &[0]].concat();
        let found = tree.get(&[&ended, key]).map_err(|error| Unusable(format!("table {name}: {error}")))?;
        Ok(found.map(|(which, value)| if which == 0 { without_nul(value) } else { value }))
    }
}

/// As it was before it was written.
pub(crate) fn without_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes
}
