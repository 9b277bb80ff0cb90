//! Opening an LMDB file: the one step of heed that is unsafe, because it maps the file into memory.
//!
//! The caller must do what the flags leave to it: NO_LOCK means that a reader holds a shared fcntl lock on the file
//! for as long as a transaction lasts, and a writer an exclusive one. That is the locking of Postfix's postmap, and
//! both programs work on the same files.

use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};

/// Opens the LMDB file at `path` (a file, not a directory). `map_size` bytes of address space are reserved, more if
/// the file already is larger.
///
/// # Errors
/// Those of LMDB: not an LMDB file, no permission, open in this process already.
pub fn open(path: &Path, read_only: bool, map_size: usize) -> heed::Result<Env<WithoutTls>> {
    let page = 4096;
    let mut flags = EnvFlags::NO_SUB_DIR | EnvFlags::NO_LOCK;
    if read_only {
        flags |= EnvFlags::READ_ONLY;
    }
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_size.max(page).next_multiple_of(page));
    // SAFETY: the flags only choose the file layout, reading, and locking by the caller (see above). The mapping is
    // changed by nobody but LMDB writers, who never touch pages of the snapshot that a locked reader sees.
    unsafe {
        options.flags(flags);
        options.open(path)
    }
}
