//! Reading a user's file: .forward, or an :include: list.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use ipc::carrier::{FoundFile, Path};

/// The first of the paths that exists. A file that others may write decides nothing; neither does one that is no
/// regular file.
pub(crate) fn first(paths: &[Path], limit: u64) -> FoundFile {
    for path in paths {
        let opened = File::options()
            .read(true)
            // A named pipe must not hold the delivery up.
            .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
            .open(OsStr::from_bytes(&path.0));
        match opened {
            Ok(file) => return look(path, file, limit),
            Err(error) if is_absent(&error) => {}
            Err(error) => return unusable(path, &error),
        }
    }
    FoundFile::None
}

fn look(path: &Path, file: File, limit: u64) -> FoundFile {
    let meta = match file.metadata() {
        Ok(meta) => meta,
        Err(error) => return unusable(path, &error),
    };
    let why = match () {
        () if !meta.is_file() => "file is not a regular file",
        () if meta.mode() & 0o002 != 0 => "file is world writable",
        () => "",
    };
    if !why.is_empty() {
        return FoundFile::Unusable { path: path.clone(), why: why.to_owned(), temporary: false };
    }
    let mut bytes = Vec::new();
    match file.take(limit).read_to_end(&mut bytes) {
        Ok(_) => FoundFile::Found { path: path.clone(), owner: meta.uid(), bytes },
        Err(error) => unusable(path, &error),
    }
}

/// A home directory that is not there, or is closed to the user, holds no .forward.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}

fn unusable(path: &Path, error: &io::Error) -> FoundFile {
    FoundFile::Unusable { path: path.clone(), why: text::system_error(error), temporary: true }
}
