//! What postmap and postalias do to the files of indexed tables.
//!
//! A file of LMDB is changed where it is ([`lmdb`]), one of cdb is made anew beside the old one ([`cdb`]). In both, a
//! crash or an error leaves the old table or the new one, and a reader sees one or the other.

pub mod cdb;
pub mod lmdb;

use std::fmt;
use std::path::PathBuf;

use crate::{Kind, Spec};

/// What to do with a key that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep the entry that is there, and report the new one as a duplicate.
    Report,
    /// Keep the entry that is there.
    Keep,
    /// The new entry takes its place.
    Replace,
}

/// Why a file could not be changed. Display is the sentence for the log, without the name of the table for
/// [`WriteError::Update`].
#[derive(Debug)]
pub enum WriteError {
    /// It could not be opened, created or locked.
    Open(PathBuf, String),
    /// The change failed; nothing has changed.
    Update(String),
    /// The new file could not take the name of the old one.
    Rename(PathBuf, PathBuf, String),
    /// A table of this type is made as a whole, and never changed.
    WholeOnly,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Open(path, reason) => write!(f, "open database {}: {reason}", path.display()),
            WriteError::Update(reason) => f.write_str(reason),
            WriteError::Rename(from, to, reason) => {
                write!(f, "rename database from {} to {}: {reason}", from.display(), to.display())
            }
            WriteError::WholeOnly => f.write_str("unsupported non-bulk change request"),
        }
    }
}

impl std::error::Error for WriteError {}

/// An entry: its key, already folded, and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// The file of a table that is to be made or changed.
#[derive(Clone, Debug)]
pub enum Writer {
    /// Of LMDB.
    Lmdb(lmdb::Writer),
    /// Of cdb.
    Cdb(cdb::Writer),
}

impl Writer {
    /// The file of an indexed table; `create` are the permissions of one that is made, None if it must exist;
    /// `map_size` is lmdb_map_size. Keys and values end in a NUL if the type has it so, or as `nul` says.
    pub fn of(spec: &Spec, map_size: usize, create: Option<u32>, nul: Option<bool>) -> Writer {
        let path = spec.index_path().into();
        match spec.kind {
            Kind::Cdb => Writer::Cdb(cdb::Writer { path, mode: create.unwrap_or(0o644), nul: nul.unwrap_or(false) }),
            _ => Writer::Lmdb(lmdb::Writer { path, map_size, create, nul: nul.unwrap_or(true) }),
        }
    }

    /// Whether entries can be added and removed one by one.
    ///
    /// # Errors
    /// [`WriteError::WholeOnly`].
    pub fn can_change(&self) -> Result<(), WriteError> {
        if matches!(self, Writer::Cdb(_)) { Err(WriteError::WholeOnly) } else { Ok(()) }
    }

    /// Writes a table of these entries, in their order, in place of all that are there. Returns the positions of the
    /// duplicates.
    ///
    /// # Errors
    /// See [`WriteError`]. The file then has its old entries.
    pub fn make(&self, entries: &[Pair], existing: Existing) -> Result<Vec<usize>, WriteError> {
        match self {
            Writer::Lmdb(writer) => writer.put(entries, true, existing),
            Writer::Cdb(writer) => writer.make(entries, existing),
        }
    }

    /// Adds entries to those that are there. Returns the positions of the duplicates.
    ///
    /// # Errors
    /// As [`Writer::make`].
    pub fn add(&self, entries: &[Pair], existing: Existing) -> Result<Vec<usize>, WriteError> {
        match self {
            Writer::Lmdb(writer) => writer.put(entries, false, existing),
            Writer::Cdb(_) => Err(WriteError::WholeOnly),
        }
    }

    /// Removes entries. Returns how many of the keys were there.
    ///
    /// # Errors
    /// As [`Writer::make`].
    pub fn delete(&self, keys: &[Vec<u8>]) -> Result<usize, WriteError> {
        match self {
            Writer::Lmdb(writer) => writer.delete(keys),
            Writer::Cdb(_) => Err(WriteError::WholeOnly),
        }
    }
}

/// Of the entries of each key the one that is written, and the positions of duplicates that are reported. In `order`
/// those of one key stand behind each other, as they came.
fn one_of_each_key(order: &[usize], entries: &[Pair], existing: Existing) -> (Vec<usize>, Vec<usize>) {
    let (mut written, mut duplicates) = (Vec::with_capacity(order.len()), Vec::new());
    for of_one_key in order.chunk_by(|one, other| entries[*one].0 == entries[*other].0) {
        let chosen = if existing == Existing::Replace { of_one_key.len() - 1 } else { 0 };
        written.push(of_one_key[chosen]);
        if existing == Existing::Report {
            duplicates.extend(&of_one_key[1..]);
        }
    }
    duplicates.sort_unstable();
    (written, duplicates)
}

/// As it is stored.
fn ended(bytes: &[u8], nul: bool) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if nul {
        bytes.push(0);
    }
    bytes
}
