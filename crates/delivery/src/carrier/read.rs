//! Reading a user's file: .forward, or an :include: list.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use ipc::carrier::{FoundFile, Path};

/// The first of the paths that exists, and its content. A file that others may write decides nothing; neither does one
/// that is no regular file, or is larger than `limit` bytes.
pub(crate) fn first(paths: &[Path], limit: u64) -> (FoundFile, Vec<u8>) {
    for path in paths {
        let opened = File::options()
            .read(true)
            // A named pipe must not hold the delivery up.
            .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
            .open(OsStr::from_bytes(&path.0));
        match opened {
            Ok(file) => return look(path, file, limit),
            Err(error) if is_absent(&error) => {}
            Err(error) => return (unusable(path, &error), Vec::new()),
        }
    }
    (FoundFile::None, Vec::new())
}

fn look(path: &Path, file: File, limit: u64) -> (FoundFile, Vec<u8>) {
    let unusable = |error: &io::Error| (unusable(path, error), Vec::new());
    let refused = |why: String, temporary| (FoundFile::Unusable { path: path.clone(), why, temporary }, Vec::new());
    let meta = match file.metadata() {
        Ok(meta) => meta,
        Err(error) => return unusable(&error),
    };
    if !meta.is_file() {
        return refused("file is not a regular file".to_owned(), false);
    }
    if meta.mode() & 0o002 != 0 {
        return refused("file is world writable".to_owned(), false);
    }
    let mut bytes = Vec::new();
    // told: who asked, for one byte more is read.
    match file.take(limit.saturating_add(1)).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > limit => refused(format!("file is larger than {limit} bytes"), true),
        Ok(_) => (FoundFile::Found { path: path.clone(), owner: meta.uid() }, bytes),
        Err(error) => unusable(&error),
    }
}

/// A home directory that is not there, or is closed to the user, holds no .forward.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}

fn unusable(path: &Path, error: &io::Error) -> FoundFile {
    FoundFile::Unusable { path: path.clone(), why: text::system_error(error), temporary: true }
}
