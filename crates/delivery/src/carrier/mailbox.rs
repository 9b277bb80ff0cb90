//! Appending to a mailbox file.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ipc::carrier::{Mailbox, WriteProblem};
use nix::fcntl::OFlag;

use super::lock;
use super::{Failure, Incoming};

/// Appends the message, and has it on stable storage.
///
/// A failure, and an agent that disappears, leave the file at its old length. A crash in between leaves a part of the
/// message at the end of the file; the message is delivered again.
pub(crate) async fn deliver(target: &Mailbox, message: &mut Incoming<'_>) -> Result<(), Failure> {
    let path = Path::new(OsStr::from_bytes(&target.path.0));
    let _dot_lock = dot_lock(path, target).await?;
    let file = open(path, target)?;
    check(&file, target)?;
    let is_regular = file.metadata().is_ok_and(|meta| meta.is_file());
    if is_regular {
        let locked = lock::open_file(&file, target).await;
        locked.map_err(|error| Failure::system("unable to lock for exclusive access", &error))?;
    }
    let length = file.metadata().map_err(|error| Failure::system("cannot stat file", &error))?.len();
    let written = append(&file, message, is_regular).await;
    if written.is_err() && is_regular {
        // Nothing more can be done about a failure of this one.
        let _ = file.set_len(length);
    }
    written
}

async fn append(mut file: &File, message: &mut Incoming<'_>, is_regular: bool) -> Result<(), Failure> {
    while let Some(bytes) = message.next().await? {
        file.write_all(&bytes).map_err(|error| Failure::system("error writing message", &error))?;
    }
    if is_regular {
        file.sync_all().map_err(|error| Failure::system("error writing message", &error))?;
    }
    Ok(())
}

/// The lock file, where one is asked for. A file that an alias names may lie where its writer may make no files; then
/// the other locks must do.
async fn dot_lock(path: &Path, target: &Mailbox) -> Result<Option<lock::DotLock>, Failure> {
    if !target.locks.contains(&ipc::carrier::Lock::DotLock) || is_special(path) {
        return Ok(None);
    }
    match lock::dot(path, target).await {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if !target.personal && error.kind() != io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(Failure::system(format!("unable to create lock file {}.lock", path.display()), &error)),
    }
}

fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file())
}

fn open(path: &Path, target: &Mailbox) -> Result<File, Failure> {
    if let Ok(meta) = fs::symlink_metadata(path)
        && target.personal
        && meta.is_symlink()
        && meta.uid() != 0
    {
        // With a group that may write to the mail spool, a link could lead to another's mailbox.
        return Err(Failure::system("cannot open file", &io::Error::from_raw_os_error(nix::libc::ELOOP)));
    }
    let mut options = OpenOptions::new();
    options.append(true).custom_flags(OFlag::O_NONBLOCK.bits());
    match options.open(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let created = options.create_new(true).mode(0o600).open(path);
            created.map_err(|error| Failure::system("cannot create file exclusively", &error))
        }
        Err(error) => Err(Failure::system("cannot open file", &error)),
    }
}

fn check(file: &File, target: &Mailbox) -> Result<(), Failure> {
    let meta = file.metadata().map_err(|error| Failure::system("cannot stat file", &error))?;
    if target.personal && !meta.is_file() {
        return Err(Failure::Problem(WriteProblem::NotRegular));
    }
    // strict_mailbox_ownership
    if target.personal && target.owned && meta.uid() != nix::unistd::geteuid().as_raw() {
        return Err(Failure::Problem(WriteProblem::NotOwned));
    }
    if !target.personal && meta.is_file() && meta.mode() & 0o111 != 0 {
        return Err(Failure::Problem(WriteProblem::Executable));
    }
    Ok(())
}
