//! What postmap and postalias do to an lmdb file.
//!
//! One update is one LMDB transaction under an exclusive fcntl lock, in the file that is there. Just before its commit
//! a crash leaves the old entries, just after it the new ones; readers see one or the other: Postfix's because they
//! hold a shared lock while they look, ours because LMDB leaves the pages of the last commit alone.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{Database, Env, MdbError, RwTxn, WithoutTls};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use sys::identity::is_root;
use sys::open::{Links, Refusal, Rules, SYSTEM, open_or_create};

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

/// Why a file could not be changed.
#[derive(Debug)]
pub enum WriteError {
    /// It could not be opened, created or locked.
    Open(PathBuf, String),
    /// LMDB refused the change; nothing has changed.
    Update(String),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Open(path, reason) => write!(f, "open database {}: {reason}", path.display()),
            WriteError::Update(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for WriteError {}

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
    pub fn put(
        &self,
        entries: &[(Vec<u8>, Vec<u8>)],
        truncate: bool,
        existing: Existing,
    ) -> Result<Vec<usize>, WriteError> {
        self.update(|database, transaction| {
            if truncate {
                database.clear(transaction)?;
            }
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

    /// Removes entries. Returns how many of the keys were there.
    ///
    /// # Errors
    /// See [`WriteError`]. The file then has its old entries.
    pub fn delete(&self, keys: &[Vec<u8>]) -> Result<usize, WriteError> {
        self.update(|database, transaction| {
            let mut found = 0;
            for key in keys.iter().filter(|key| !key.is_empty()) {
                let ended = [key.as_slice(), &[0]].concat();
                let one = database.delete(transaction, &ended)? || database.delete(transaction, key)?;
                found += usize::from(one);
            }
            Ok(found)
        })
    }

    /// Runs one transaction, anew with twice the space when it does not fit.
    fn update<T>(
        &self,
        change: impl Fn(&Database<Bytes, Bytes>, &mut RwTxn<'_>) -> heed::Result<T>,
    ) -> Result<T, WriteError> {
        let file = self.open_file().map_err(|error| self.open_error(&net::reason(&error)))?;
        lock(file.as_fd()).map_err(|error| self.open_error(error.desc()))?;
        let mut map_size = self.map_size;
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
        let opened = match self.create {
            Some(mode) => open_or_create(&self.path, &options, mode & 0o666, &rules).map(|(file, _)| file),
            None => sys::open::open(&self.path, &options, &rules),
        };
        opened.map_err(Refusal::into_error)
    }

    fn open_error(&self, reason: &str) -> WriteError {
        WriteError::Open(self.path.clone(), reason.to_owned())
    }

    fn ended(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if self.nul {
            bytes.push(0);
        }
        bytes
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

/// Locks the whole file against other writers; waits for whoever holds it.
fn lock(file: BorrowedFd<'_>) -> nix::Result<()> {
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    loop {
        // waits: commands alone write tables
        match fcntl(file, FcntlArg::F_SETLKW(&lock)) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.map(|_| ()),
        }
    }
}

/// The file that postmap writes for a source file.
pub fn index_path(source: &str) -> PathBuf {
    Path::new(&format!("{source}.lmdb")).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpenFlags, Settings, open};

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("lookup-write-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            Place(directory)
        }

        fn source(&self) -> String {
            self.0.join("table").display().to_string()
        }

        fn writer(&self, map_size: usize) -> Writer {
            Writer { path: index_path(&self.source()), map_size, create: Some(0o644), nul: true }
        }

        fn lookup(&self, key: &str) -> Option<String> {
            let table = open(&format!("lmdb:{}", self.source()), &Settings::default(), OpenFlags::default()).unwrap();
            table.lookup(key.as_bytes()).unwrap().map(|value| String::from_utf8(value).unwrap())
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn entry(key: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
        (key.as_bytes().to_vec(), value.as_bytes().to_vec())
    }

    #[test]
    fn what_is_written_is_found() {
        let place = Place::new("found");
        let entries = [entry("foo", "bar"), entry("foo", "twice"), entry("key", "value")];
        let duplicates = place.writer(1 << 20).put(&entries, true, Existing::Report).unwrap();
        assert_eq!(duplicates, [1]);
        assert_eq!(place.lookup("FOO").as_deref(), Some("bar"));
        assert_eq!(place.lookup("nosuch"), None);
        assert_eq!(place.lookup(""), None);
        assert_eq!(place.lookup(&"k".repeat(600)), None);
    }

    #[test]
    fn keys_without_nul_are_found_too() {
        let place = Place::new("nul");
        let writer = Writer { nul: false, ..place.writer(1 << 20) };
        writer.put(&[entry("foo", "bar")], true, Existing::Report).unwrap();
        assert_eq!(place.lookup("foo").as_deref(), Some("bar"));
        assert_eq!(writer.delete(&[b"foo".to_vec()]).unwrap(), 1);
        assert_eq!(place.lookup("foo"), None);
    }

    #[test]
    fn an_update_keeps_or_replaces_what_is_there() {
        let place = Place::new("update");
        let writer = place.writer(1 << 20);
        writer.put(&[entry("a", "1"), entry("b", "1")], true, Existing::Report).unwrap();
        writer.put(&[entry("a", "2"), entry("c", "2")], false, Existing::Keep).unwrap();
        assert_eq!(place.lookup("a").as_deref(), Some("1"));
        writer.put(&[entry("a", "3")], false, Existing::Replace).unwrap();
        assert_eq!(place.lookup("a").as_deref(), Some("3"));
        assert_eq!(writer.delete(&[b"a".to_vec(), b"nosuch".to_vec(), Vec::new()]).unwrap(), 1);
        assert_eq!(place.lookup("a"), None);
        assert_eq!(place.lookup("c").as_deref(), Some("2"));
        writer.put(&[entry("z", "1")], true, Existing::Report).unwrap();
        assert_eq!(place.lookup("c"), None);
    }

    #[test]
    fn a_full_map_grows() {
        let place = Place::new("grows");
        let entries: Vec<_> = (0..5000).map(|n| entry(&format!("key{n}"), &"v".repeat(200))).collect();
        place.writer(64 * 1024).put(&entries, true, Existing::Report).unwrap();
        assert_eq!(place.lookup("key4999").map(|value| value.len()), Some(200));
    }

    #[test]
    fn a_key_that_is_too_long_changes_nothing() {
        let place = Place::new("long");
        let writer = place.writer(1 << 20);
        writer.put(&[entry("a", "1")], true, Existing::Report).unwrap();
        assert!(writer.put(&[entry("b", "2"), entry(&"k".repeat(600), "v")], true, Existing::Report).is_err());
        assert_eq!(place.lookup("a").as_deref(), Some("1"));
    }

    #[test]
    fn a_truncated_file_is_an_error_not_the_end_of_the_process() {
        let place = Place::new("cut");
        let writer = place.writer(1 << 24);
        let entries: Vec<_> = (0..2000).map(|n| entry(&format!("key{n}"), &"v".repeat(200))).collect();
        writer.put(&entries, true, Existing::Report).unwrap();
        std::fs::File::options().write(true).open(&writer.path).unwrap().set_len(16 * 1024).unwrap();
        let table = open(&format!("lmdb:{}", place.source()), &Settings::default(), OpenFlags::default()).unwrap();
        assert!(table.lookup(b"key1999").unwrap_err().to_string().ends_with("file is truncated"));
        std::fs::File::options().write(true).open(&writer.path).unwrap().set_len(0).unwrap();
        assert!(table.lookup(b"key1").unwrap_err().to_string().ends_with("file is truncated"));
    }

    #[test]
    fn a_table_changes_when_its_file_is_written_again() {
        let place = Place::new("changes");
        let writer = place.writer(1 << 20);
        writer.put(&[entry("a", "1")], true, Existing::Report).unwrap();
        let table = open(&format!("lmdb:{}", place.source()), &Settings::default(), OpenFlags::default()).unwrap();
        assert!(!table.changed());
        drop(table);
        let table = open(&format!("hash:{}", place.source()), &Settings::default(), OpenFlags::default()).unwrap();
        let other = std::fs::File::options().write(true).open(&writer.path).unwrap();
        other.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
        assert!(table.changed());
        assert_eq!(table.lookup(b"a").unwrap(), Some(b"1".to_vec()));
    }
}
