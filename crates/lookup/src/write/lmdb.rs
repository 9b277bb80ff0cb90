//! What postmap and postalias do to the file of an lmdb table.
//!
//! One update is one LMDB transaction under an exclusive fcntl lock, in the file that is there. Just before its commit
//! a crash leaves the old entries, just after it the new ones; readers see one or the other: Postfix's because they
//! hold a shared lock while they look, ours because LMDB leaves the pages of the last commit alone.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use heed::types::Bytes;
use heed::{Database, Env, MdbError, PutFlags, RwTxn, WithoutTls};
use sys::identity::is_root;
use sys::open::{Links, Refusal, Rules, SYSTEM, open_or_create};

use super::{Existing, Pair, WriteError, ended, one_of_each_key};

impl From<heed::Error> for WriteError {
    fn from(error: heed::Error) -> Self {
        WriteError::Update(reason(&error))
    }
}

/// An lmdb file to be changed.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The file, `NAME.lmdb`.
    pub path: PathBuf,
    /// Bytes of address space to begin with; more are taken when the entries need them. lmdb_map_size
    pub map_size: usize,
    /// Permissions of a file that is created; None if it must exist.
    pub create: Option<u32>,
    /// Keys and values end in a NUL, as readers expect by default.
    pub nul: bool,
}

impl Writer {
    /// Adds entries (keys already folded) in order, after removing all old ones if `truncate`. Returns the positions of
    /// the duplicates.
    ///
    /// # Errors
    /// See [`WriteError`]. The file then has its old entries.
    pub fn put(&self, entries: &[Pair], truncate: bool, existing: Existing) -> Result<Vec<usize>, WriteError> {
        if truncate {
            return self.replace(entries, existing);
        }
        self.update(0, |database, transaction| {
            let mut duplicates = Vec::new();
            for (position, (key, value)) in entries.iter().enumerate() {
                let (key, value) = (self.ended(key), self.ended(value));
                if existing != Existing::Replace && database.get(transaction, &key)?.is_some() {
                    if existing == Existing::Report {
                        duplicates.push(position);
                    }
                    continue;
                }
                database.put(transaction, &key, &value)?;
            }
            Ok(duplicates)
        })
    }

    /// Writes entries in place of all that are there, in the order of their keys: each page is filled once then.
    fn replace(&self, entries: &[Pair], existing: Existing) -> Result<Vec<usize>, WriteError> {
        // LMDB's order, which a NUL at the end of all keys does not change; those of one key stay as they came.
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by(|one, other| entries[*one].0.cmp(&entries[*other].0));
        let (written, duplicates) = one_of_each_key(&order, entries, existing);
        let needed = written.iter().map(|at| space(&entries[*at])).sum();
        self.update(needed, |database, transaction| {
            database.clear(transaction)?;
            for (key, value) in written.iter().map(|at| &entries[*at]) {
                database.put_with_flags(transaction, PutFlags::APPEND, &self.ended(key), &self.ended(value))?;
            }
            Ok(())
        })?;
        Ok(duplicates)
    }

    /// Removes entries. Returns how many of the keys were there.
    ///
    /// # Errors
    /// See [`WriteError`]. The file then has its old entries.
    pub fn delete(&self, keys: &[Vec<u8>]) -> Result<usize, WriteError> {
        self.update(0, |database, transaction| {
            let mut found = 0;
            for key in keys.iter().filter(|key| !key.is_empty()) {
                let ended = [key.as_slice(), &[0]].concat();
                let one = database.delete(transaction, &ended)? || database.delete(transaction, key)?;
                found += usize::from(one);
            }
            Ok(found)
        })
    }

    /// Runs one transaction, which adds about `needed` bytes to the file; anew with twice the space when it does not
    /// fit.
    fn update<T>(
        &self,
        needed: usize,
        change: impl Fn(&Database<Bytes, Bytes>, &mut RwTxn<'_>) -> heed::Result<T>,
    ) -> Result<T, WriteError> {
        let file = self.open_file().map_err(|error| self.open_error(&net::reason(&error)))?;
        // Others write it too. waits: commands alone write tables
        sys::lock::wait_record(file.as_fd()).map_err(|error| self.open_error(&net::reason(&error)))?;
        let there = file.metadata().ok().and_then(|data| usize::try_from(data.len()).ok());
        let needed = needed.saturating_add(there.unwrap_or_default());
        let mut map_size = self.map_size.max(1);
        while map_size < needed {
            map_size = map_size.saturating_mul(2);
        }
        loop {
            let env = sys::lmdb::open(&self.path, map_size);
            let env = env.map_err(|error| self.open_error(&reason(&error)))?;
            match transact(&env, &change) {
                Err(heed::Error::Mdb(MdbError::MapFull)) => map_size = map_size.saturating_mul(2),
                Err(error) => return Err(error.into()),
                Ok(result) => {
                    // A page that came and went in the transaction may be missing at the end: readers count them.
                    if file.metadata().is_ok_and(|metadata| metadata.len() < complete_length(&env)) {
                        file.set_len(complete_length(&env)).map_err(|error| self.open_error(&net::reason(&error)))?;
                    }
                    return Ok(result);
                }
            }
            env.prepare_for_closing().wait();
        }
    }

    fn open_file(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        // Root's tables are where root wants them; a link that somebody else has made is not followed.
        let links = if is_root() { Links::OfRoot } else { Links::Followed };
        let rules = Rules { links, one_name: false, ..SYSTEM };
        match self.create {
            Some(mode) => {
                let (file, is_new) =
                    open_or_create(&self.path, &options, mode & 0o666, &rules).map_err(Refusal::into_error)?;
                if is_new {
                    // Whatever the umask is.
                    file.set_permissions(Permissions::from_mode(mode & 0o666))?;
                }
                Ok(file)
            }
            None => sys::open::open(&self.path, &options, &rules).map_err(Refusal::into_error),
        }
    }

    fn open_error(&self, reason: &str) -> WriteError {
        WriteError::Open(self.path.clone(), reason.to_owned())
    }

    fn ended(&self, bytes: &[u8]) -> Vec<u8> {
        ended(bytes, self.nul)
    }
}

fn transact<T>(
    env: &Env<WithoutTls>,
    change: &impl Fn(&Database<Bytes, Bytes>, &mut RwTxn<'_>) -> heed::Result<T>,
) -> heed::Result<T> {
    let mut transaction = env.write_txn()?;
    let database = env.create_database::<Bytes, Bytes>(&mut transaction, None)?;
    let result = change(&database, &mut transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// About how many bytes an entry takes in a file.
fn space((key, value): &Pair) -> usize {
    const PAGE: usize = 4096;
    // Two numbers of 8 bytes, a NUL at each end, an even length.
    let entry = key.len() + value.len() + 12;
    if entry > PAGE / 2 { entry.next_multiple_of(PAGE) + PAGE / 2 } else { entry }
}

/// The length of a file that has all its pages.
fn complete_length(env: &Env<WithoutTls>) -> u64 {
    (env.info().last_page_number as u64 + 1).saturating_mul(env.stat().page_size.into())
}

/// What LMDB says, in the system's words where it is the system's error.
fn reason(error: &heed::Error) -> String {
    match error {
        heed::Error::Io(error) => net::reason(error),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
