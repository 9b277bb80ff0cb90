//! Mailboxes that are opened for a carrier, which gets the descriptor and no other right to them.
//!
//! A mail spool that its group or everybody may write to needs none of this: the carrier has the group, or is anybody.
//! In one where root alone may make files, and for users whose rights nobody gets, this process makes the lock file,
//! makes or opens the mailbox, looks at what it has opened, and lends it. Its names are those of users below the
//! directory that main.cf names; it never reads what is in a mailbox.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipc::carrier::WriteProblem;
use nix::errno::Errno;
use nix::unistd::User;
use sys::LockFile;
use sys::open::{APPENDED, Refusal, Rules};

use super::policy::{Ids, Policy, Users};

/// What a carrier needs for a mailbox.
pub(super) struct Mailbox {
    /// The file.
    pub(super) path: PathBuf,
    /// The carrier's user and group; `None`: those of this process.
    pub(super) ids: Option<(u32, u32)>,
    /// The open file, where the carrier cannot open it itself.
    pub(super) lent: Option<Lent>,
}

/// An open mailbox, and its lock.
pub(super) struct Lent {
    pub(super) file: File,
    /// Kept until the delivery is over.
    pub(super) lock: Option<LockFile>,
}

/// The mailbox of a user, and how a carrier gets at it.
///
/// # Errors
/// It cannot be written, by anybody.
pub(super) fn mailbox(policy: &Policy, users: &Users, user: &User) -> Result<Mailbox, WriteProblem> {
    let directory = Path::new(&users.spool_directory);
    let path = directory.join(&user.name);
    let Some(ids) = &policy.accounts else { return Ok(Mailbox { path, ids: None, lent: None }) };
    let spool = fs::metadata(directory).map_err(|error| system("cannot stat mail spool directory", &error))?;
    let (uid, gid) = (user.uid.as_raw(), ids.group(user.gid.as_raw()));
    if ids.is_withheld(uid) {
        let lent = lend(users, ids, &path, user, true)?;
        return Ok(Mailbox { path, ids: Some(ids.default), lent: Some(lent) });
    }
    let group = match spool.mode() & 0o022 {
        0o020 => Some(spool.gid()),
        0 => None,
        _ => Some(gid),
    };
    match group.filter(|group| ids.group(*group) == *group) {
        Some(group) => Ok(Mailbox { path, ids: Some((uid, group)), lent: None }),
        // Root alone may make files, or a group that has more than the spool and is not given away for it.
        None => {
            let lent = lend(users, ids, &path, user, users.owned)?;
            Ok(Mailbox { path, ids: Some((uid, gid)), lent: Some(lent) })
        }
    }
}

fn lend(users: &Users, ids: &Ids, path: &Path, user: &User, owned: bool) -> Result<Lent, WriteProblem> {
    let lock = if users.lock_files { Some(lock(path, users.stale)?) } else { None };
    let rules = Rules { regular: true, ..APPENDED };
    let (file, is_new) = sys::open::to_append_or_create(path, 0o600, &rules).map_err(refused)?;
    if is_new {
        // A user who has no group that may be given away keeps the one that the directory gives.
        let uid = user.uid.as_raw();
        let gid = Some(ids.group(user.gid.as_raw())).filter(|_| !ids.is_withheld(uid));
        fchown(&file, Some(uid), gid).map_err(|error| {
            // Root's, it would be nobody's mailbox for ever.
            let _ = fs::remove_file(path);
            system("cannot change the owner of file", &error)
        })?;
        // name: the mail spool directory, which main.cf names. The carrier waits for the text of the message, and may
        // have no right to open the directory.
        let directory = path.parent().unwrap_or(Path::new("/"));
        let synced = file.sync_all().and_then(|()| File::open(directory)?.sync_all());
        synced.map_err(|error| system("cannot create file exclusively", &error))?;
    }
    let meta = file.metadata().map_err(|error| system("cannot stat file", &error))?;
    // strict_mailbox_ownership
    if owned && meta.uid() != user.uid.as_raw() {
        return Err(WriteProblem::NotOwned);
    }
    Ok(Lent { file, lock })
}

/// Makes `PATH.lock`, once: whoever asked asks again. One that is older than stale_lock_time is taken for forgotten.
fn lock(path: &Path, stale: u64) -> Result<LockFile, WriteProblem> {
    LockFile::make(path, Duration::from_secs(stale))
        .map_err(|error| system(format!("unable to create lock file {}", LockFile::name(path).display()), &error))
}

fn refused(refusal: Refusal) -> WriteProblem {
    match refusal {
        Refusal::System(error) => system("cannot open file", &error),
        Refusal::Link => WriteProblem::Link,
        Refusal::HardLinks(count) => WriteProblem::HardLinks(count),
        Refusal::NotRegular | Refusal::WorldWritable => WriteProblem::NotRegular,
        Refusal::Owner(_) => WriteProblem::NotOwned,
    }
}

fn system(what: impl Into<String>, error: &io::Error) -> WriteProblem {
    WriteProblem::System { what: what.into(), code: error.raw_os_error().unwrap_or(Errno::EIO as i32) }
}
