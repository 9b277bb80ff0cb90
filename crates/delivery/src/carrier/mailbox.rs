//! Appending to a mailbox file.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ipc::carrier::{Mailbox, Reply, WriteProblem};
use sys::open::{APPENDED, Refusal};

use super::names::Directory;
use super::{Failure, Incoming, WRITING, errno, lock};

/// Appends the message, and has it on stable storage, with the name of a file that was not there before.
///
/// A failure, and an agent that disappears, leave the file at its old length. A crash in between leaves a part of the
/// message at the end of the file; the message is delivered again.
///
/// `lent`: the file, where somebody else has locked, opened and looked at it. The result is where the message begins.
pub(crate) async fn deliver(target: &Mailbox, lent: Option<&File>, message: &mut Incoming<'_>) -> Result<u64, Failure> {
    if let Some(file) = lent {
        return fill(file, target, message).await;
    }
    let path = Path::new(OsStr::from_bytes(&target.path.0));
    let _dot_lock = dot_lock(path, target, message).await?;
    let directory = Directory::around(path);
    let (file, is_new) = open(path)?;
    check(&file, target)?;
    let at = fill(&file, target, message).await?;
    if is_new {
        // Not delivered where this fails: the message is tried again, and the file is there then.
        directory.sync(&file).map_err(|error| Failure::system(WRITING, &error))?;
    }
    Ok(at)
}

/// Takes the locks on the open file, and appends.
async fn fill(file: &File, target: &Mailbox, message: &mut Incoming<'_>) -> Result<u64, Failure> {
    let is_regular = file.metadata().is_ok_and(|meta| meta.is_file());
    if is_regular {
        let locked = lock::open_file(file, target).await;
        locked.map_err(|error| Failure::system("unable to lock for exclusive access", &error))?;
    }
    let length = file.metadata().map_err(|error| Failure::system("cannot stat file", &error))?.len();
    let written = append(file, message, is_regular).await;
    if written.is_err() && is_regular {
        // Nothing more can be done about a failure of this one.
        let _ = file.set_len(length);
    }
    written.map(|()| length)
}

async fn append(mut file: &File, message: &mut Incoming<'_>, is_regular: bool) -> Result<(), Failure> {
    while let Some(bytes) = message.next().await? {
        file.write_all(&bytes).map_err(|error| Failure::system(WRITING, &error))?;
    }
    if is_regular {
        file.sync_all().map_err(|error| Failure::system(WRITING, &error))?;
    }
    Ok(())
}

/// The lock file, where one is asked for. A file that an alias names may lie where its writer may make no files; then
/// the other locks must do.
async fn dot_lock(path: &Path, target: &Mailbox, message: &mut Incoming<'_>) -> Result<Option<sys::LockFile>, Failure> {
    if !target.locks.contains(&ipc::carrier::Lock::DotLock) || is_special(path) {
        return Ok(None);
    }
    let what = || format!("unable to create lock file {}.lock", path.display());
    match lock::dot(path, target).await {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if !target.personal && error.kind() != io::ErrorKind::AlreadyExists => {
            message.warn(&Reply::Warning(ipc::cut(what()), errno(&error)))?;
            Ok(None)
        }
        Err(error) => Err(Failure::system(what(), &error)),
    }
}

fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file())
}

/// Opens the file, or makes it; whoever may write to the directory may have put something else there.
fn open(path: &Path) -> Result<(File, bool), Failure> {
    sys::open::to_append_or_create(path, 0o600, &APPENDED).map_err(|refusal| match refusal {
        Refusal::System(error) => {
            // The directory is there or not, writable or not: which of the two calls it was tells that.
            let is_new = fs::symlink_metadata(path).is_err();
            Failure::system(if is_new { "cannot create file exclusively" } else { "cannot open file" }, &error)
        }
        Refusal::HardLinks(count) => Failure::Problem(WriteProblem::HardLinks(count)),
        Refusal::Link => Failure::Problem(WriteProblem::Link),
        Refusal::NotRegular | Refusal::WorldWritable => Failure::Problem(WriteProblem::NotRegular),
        Refusal::Owner(_) => Failure::Problem(WriteProblem::NotOwned),
    })
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
