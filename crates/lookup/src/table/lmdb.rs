//! lmdb: the indexed file that postmap writes.
//!
//! A reader holds a shared fcntl lock during each lookup, because the file is opened without LMDB's own locks: it is
//! also read by processes that may not write beside it. Debian's postmap ends keys and values with a NUL; files
//! without it are read too.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use heed::types::Bytes;
use heed::{Database, Env, RoTxn, WithoutTls};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::fold::fold;
use crate::{OpenError, OpenFlags, Settings, Stamp, Table, TableError, Visitor};

/// LMDB's longest key.
pub(crate) const MAX_KEY: usize = 511;

/// An open lmdb table.
pub(crate) struct Lmdb {
    name: String,
    index: Arc<Index>,
    fold: bool,
    utf8: bool,
    stamp: Stamp,
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
        let stamp = Stamp::of(path);
        let index = Index::open(Path::new(path), settings.map_size)?;
        warn_if_outdated(path, source);
        Ok(Lmdb { name, index, fold: !flags.keep_case, utf8: settings.utf8, stamp })
    }

    fn failed(&self, error: impl std::fmt::Display) -> TableError {
        TableError::failed(&self.name, error)
    }
}

impl Table for Lmdb {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>, TableError> {
        if self.utf8 && !crate::fold::is_searchable(&self.name, key) {
            return Ok(None);
        }
        let mut key = if self.fold { fold(key, self.utf8) } else { key.to_vec() };
        if key.is_empty() || key.len() >= MAX_KEY {
            return Ok(None);
        }
        let lock = SharedLock::take(self.index.file.as_fd()).map_err(|error| self.failed(error.desc()))?;
        let transaction = self.index.env.read_txn().map_err(|error| self.failed(error))?;
        let found = self.index.find(&transaction, &mut key).map_err(|error| self.failed(error))?;
        drop(transaction);
        drop(lock);
        Ok(found)
    }

    fn changed(&self) -> bool {
        self.stamp.changed()
    }

    fn visit(&self, visitor: &mut Visitor<'_>) -> Result<(), TableError> {
        let _lock = SharedLock::take(self.index.file.as_fd()).map_err(|error| self.failed(error.desc()))?;
        let transaction = self.index.env.read_txn().map_err(|error| self.failed(error))?;
        let entries = self.index.database.iter(&transaction).map_err(|error| self.failed(error))?;
        for entry in entries {
            let (key, value) = entry.map_err(|error| self.failed(error))?;
            visitor(without_nul(key), without_nul(value));
        }
        Ok(())
    }
}

/// One open file, shared by all tables of this process that name it: LMDB allows it to be mapped once only.
struct Index {
    file: File,
    env: Env<WithoutTls>,
    database: Database<Bytes, Bytes>,
}

static OPEN: LazyLock<Mutex<HashMap<PathBuf, Weak<Index>>>> = LazyLock::new(Mutex::default);

impl Index {
    fn open(path: &Path, map_size: usize) -> Result<Arc<Index>, OpenError> {
        let action = || format!("open database {}", path.display());
        let canonical = path.canonicalize().map_err(|error| OpenError::file(action(), &error))?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = open.get(&canonical).and_then(Weak::upgrade) {
            return Ok(index);
        }
        let file = File::open(&canonical).map_err(|error| OpenError::file(action(), &error))?;
        let failed = |error: heed::Error| OpenError::File { action: action(), reason: reason(&error) };
        let lock = SharedLock::take(file.as_fd())
            .map_err(|error| OpenError::File { action: action(), reason: error.desc().to_owned() })?;
        let env = sys::lmdb::open(&canonical, true, map_size).map_err(failed)?;
        // The file is mapped: pages that are not there would end the process.
        if file.metadata().is_ok_and(|metadata| metadata.len() < complete_length(&env)) {
            return Err(OpenError::File { action: action(), reason: "file is truncated".into() });
        }
        let transaction = env.read_txn().map_err(failed)?;
        let database = env.open_database::<Bytes, Bytes>(&transaction, None).map_err(failed)?;
        let database = database.ok_or_else(|| OpenError::File { action: action(), reason: "no database".into() })?;
        drop(transaction);
        drop(lock);
        let index = Arc::new(Index { file, env, database });
        open.insert(canonical, Arc::downgrade(&index));
        Ok(index)
    }

    /// Looks a key up as postmap writes it by default, with a NUL at its end, and then without.
    fn find(&self, transaction: &RoTxn<'_, WithoutTls>, key: &mut Vec<u8>) -> heed::Result<Option<Vec<u8>>> {
        key.push(0);
        if let Some(value) = self.database.get(transaction, key)? {
            return Ok(Some(without_nul(value).to_vec()));
        }
        key.pop();
        Ok(self.database.get(transaction, key)?.map(<[u8]>::to_vec))
    }
}

/// The length of a file that has all its pages.
pub(crate) fn complete_length(env: &Env<WithoutTls>) -> u64 {
    (env.info().last_page_number as u64 + 1).saturating_mul(env.stat().page_size.into())
}

/// What LMDB says, in the system's words where it is the system's error.
pub(crate) fn reason(error: &heed::Error) -> String {
    match error {
        heed::Error::Io(error) => net::reason(error),
        other => other.to_string(),
    }
}

fn without_nul(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
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

/// A shared lock on a whole file, released when dropped.
struct SharedLock<'f> {
    file: BorrowedFd<'f>,
}

impl<'f> SharedLock<'f> {
    fn take(file: BorrowedFd<'f>) -> nix::Result<Self> {
        set_lock(file, libc::F_RDLCK)?;
        Ok(SharedLock { file })
    }
}

impl Drop for SharedLock<'_> {
    fn drop(&mut self) {
        // Unlocking what is locked does not fail, and the next lookup locks anew.
        let _ = set_lock(self.file, libc::F_UNLCK);
    }
}

/// Sets a POSIX lock of a kind (F_RDLCK, F_WRLCK, F_UNLCK) on a whole file; waits for whoever holds it.
pub(crate) fn set_lock(file: BorrowedFd<'_>, kind: libc::c_int) -> nix::Result<()> {
    let lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    loop {
        match fcntl(file, FcntlArg::F_SETLKW(&lock)) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.map(|_| ()),
        }
    }
}
