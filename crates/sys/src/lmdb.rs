//! Opening an LMDB file to be changed: the one step of heed that is unsafe, because it maps the file into memory. For
//! commands that an administrator runs: daemons read such files without LMDB.
//!
//! The caller must do what the flags leave to it: NO_LOCK means that a writer holds an exclusive fcntl lock on the
//! file. That is the locking of Postfix's postmap, and both programs work on the same files.

use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};

/// Opens the LMDB file at `path` (a file, not a directory). `map_size` bytes of address space are reserved, more if the
/// file already is larger.
///
/// # Errors
/// Those of LMDB: not an LMDB file, no permission, open in this process already.
pub fn open(path: &Path, map_size: usize) -> heed::Result<Env<WithoutTls>> {
    let page = 4096;
    let flags = EnvFlags::NO_SUB_DIR | EnvFlags::NO_LOCK;
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_size.max(page).next_multiple_of(page));
    // SAFETY: the flags only choose the file layout, and locking by the caller (see above): nobody else changes the
    // file while it is mapped, unless its owner does so against the lock, and the process has the rights of that owner.
    unsafe {
        options.flags(flags);
        options.open(path)
    }
}
