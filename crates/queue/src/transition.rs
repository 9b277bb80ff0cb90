//! Transitions between the states of a message: each is one rename or one unlink.
//!
//! A rename is atomic: a crash of a process leaves the message in the one place or the other, never in both or in none.
//! After a crash of the system a message may be found in the state before, which is a state in which it is mail: a
//! journaling file system keeps the order of changes, and none of these waits for the disk. On a file system that keeps
//! no order the old name could be gone on disk before the new one is there, so the new directory is waited for at once.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::scan::Found;
use crate::storage::Names;
use crate::{QueueId, QueueName, Spool};

/// Mode bit: the queue manager gives the message one attempt at dead destinations.
pub const UNTHROTTLE: u32 = 0o040;
/// Mode bit: the message expires at its next attempt (`postsuper -e`).
pub const FORCE_EXPIRE: u32 = 0o010;

impl Spool {
    /// Takes a message for delivery.
    ///
    /// Transition: incoming or deferred -> active. A crash before: the next scan finds it. After: the queue manager
    /// moves it back when it starts.
    pub fn activate(&self, id: &QueueId, from: QueueName) -> io::Result<()> {
        self.rename(id, from, QueueName::Active)
    }

    /// Returns a message that a former queue manager left behind.
    ///
    /// Transition: active -> incoming, time set first so that the next scan takes it at once. A crash between the two
    /// leaves it in active, where the next start does it again.
    pub fn reclaim(&self, id: &QueueId) -> io::Result<()> {
        self.set_time(id, QueueName::Active, SystemTime::now())?;
        self.rename(id, QueueName::Active, QueueName::Incoming)
    }

    /// Lets a message wait until `next`.
    ///
    /// Transition: active -> deferred, time set first: a file in deferred always has the time of its next attempt. A
    /// crash between the two leaves it in active.
    pub fn defer(&self, id: &QueueId, next: SystemTime) -> io::Result<()> {
        self.set_time(id, QueueName::Active, next)?;
        self.rename(id, QueueName::Active, QueueName::Deferred)
    }

    /// Has a message that waits tried now; `anyway`: one attempt though its destination is known to be dead.
    ///
    /// Transition: deferred -> incoming, mode and time set first. A crash before the rename: it is due in deferred. A
    /// message that is in incoming already has its time and mode changed.
    pub fn urge(&self, id: &QueueId, anyway: bool) -> io::Result<()> {
        let hurry = |queue| {
            if anyway {
                self.add_mode(id, queue, UNTHROTTLE)?;
            }
            self.set_time(id, queue, SystemTime::now())
        };
        match hurry(QueueName::Deferred) {
            Ok(()) => self.rename(id, QueueName::Deferred, QueueName::Incoming),
            Err(error) if error.kind() == io::ErrorKind::NotFound => hurry(QueueName::Incoming),
            Err(error) => Err(error),
        }
    }

    /// Freezes a message.
    ///
    /// Transition: any message queue -> hold. A crash before: it is delivered. After: it waits for an operator.
    pub fn hold(&self, id: &QueueId, from: QueueName) -> io::Result<()> {
        self.rename(id, from, QueueName::Hold)
    }

    /// Releases a frozen message.
    ///
    /// Transition: hold -> deferred. A crash before: it stays frozen. After: the next scan takes it.
    pub fn release(&self, id: &QueueId) -> io::Result<()> {
        self.rename(id, QueueName::Hold, QueueName::Deferred)
    }

    /// Puts a file aside that cannot be understood.
    ///
    /// Transition: any -> corrupt. A crash before: the next reader does it again. Nothing reads corrupt but an
    /// operator.
    pub fn set_aside(&self, id: &QueueId, from: QueueName) -> io::Result<()> {
        self.rename(id, from, QueueName::Corrupt)
    }

    /// Has a message submitted again, under a new name, by pickup.
    ///
    /// Transition: any -> maildrop, then time set to now. A crash between the two leaves a file in maildrop that pickup
    /// takes as well.
    pub fn requeue(&self, id: &QueueId, from: QueueName) -> io::Result<()> {
        self.rename(id, from, QueueName::Maildrop)?;
        self.set_time(id, QueueName::Maildrop, SystemTime::now())
    }

    /// Removes a message: all its recipients are done, or it was handed on.
    ///
    /// Transition: any -> nothing. A crash before: its recipients are marked done and the next reader removes it
    /// (maildrop: it is submitted twice). After: nothing is left.
    pub fn remove(&self, id: &QueueId, from: QueueName) -> io::Result<()> {
        fs::remove_file(self.path(from, id))
    }

    /// Marks a message so that its next attempt is its last.
    ///
    /// Transition: mode 0700 -> 0710. A crash before: nothing happened.
    pub fn force_expire(&self, id: &QueueId, queue: QueueName) -> io::Result<()> {
        self.add_mode(id, queue, FORCE_EXPIRE)
    }

    fn add_mode(&self, id: &QueueId, queue: QueueName, bit: u32) -> io::Result<()> {
        let file = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(self.path(queue, id))?;
        let mode = file.metadata()?.mode();
        file.set_permissions(Permissions::from_mode(mode & 0o7777 | bit))
    }

    /// Clears a request of `postqueue -i`.
    ///
    /// Transition: mode 0740 -> 0700. A crash before: the request is honoured once more.
    pub fn clear_unthrottle(&self, file: &File) -> io::Result<()> {
        let mode = file.metadata()?.mode();
        file.set_permissions(Permissions::from_mode(mode & 0o7777 & !UNTHROTTLE))
    }

    /// Renames a file from queue to queue, and makes the subdirectory of a hashed queue when it is missing.
    pub fn rename(&self, id: &QueueId, from: QueueName, to: QueueName) -> io::Result<()> {
        let target = self.path(to, id);
        let names = name_below(self, &target, || fs::rename(self.path(from, id), &target))?;
        if self.storage().loses_renamed_files() {
            // The file has its new name, whatever the disk says of it. Nobody was told anything.
            let _ = names.sync_directory();
        }
        Ok(())
    }

    /// Brings a message that a scan has found to where the settings say, which may have changed since it was put there.
    /// Whether it is there now: one that is not complete stays where whoever writes it has it.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn settle(&self, queue: QueueName, found: &Found) -> io::Result<bool> {
        let target = self.path(queue, &found.id);
        if found.path == target {
            return Ok(true);
        }
        let meta = fs::symlink_metadata(&found.path)?;
        if !meta.is_file() || meta.mode() & 0o700 != 0o700 || target.exists() {
            return Ok(false);
        }
        let names = name_below(self, &target, || fs::rename(&found.path, &target))?;
        if self.storage().loses_renamed_files() {
            // As for every other rename: nobody was told anything.
            let _ = names.sync_directory();
        }
        Ok(true)
    }

    /// Sets access and modification time, in whole seconds.
    pub fn set_time(&self, id: &QueueId, queue: QueueName, time: SystemTime) -> io::Result<()> {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
        let spec = TimeSpec::new(i64::try_from(seconds).unwrap_or(i64::MAX), 0);
        let path = self.path(queue, id);
        utimensat(nix::fcntl::AT_FDCWD, &path, &spec, &spec, UtimensatFlags::NoFollowSymlink)?;
        Ok(())
    }
}

/// Runs `action`, which makes the name `target` in the queue directory; when a directory is missing, makes the parents
/// of `target` and tries again. The names are those that `action` has changed.
pub(crate) fn name_below(
    spool: &Spool,
    target: &Path,
    mut action: impl FnMut() -> io::Result<()>,
) -> io::Result<Names> {
    let mut attempt = || {
        let names = Names::around(spool.storage(), target)?;
        action().map(|()| names)
    };
    match attempt() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some(parent) = target.parent() else { return Err(error) };
            make_directories(spool, parent)?;
            attempt()
        }
        result => result,
    }
}

/// Makes a directory and what is missing above it. Their names are on disk as soon as anything in them can be.
fn make_directories(spool: &Spool, directory: &Path) -> io::Result<()> {
    if directory == Path::new("") || directory.is_dir() {
        return Ok(());
    }
    if let Some(above) = directory.parent() {
        make_directories(spool, above)?;
    }
    let names = Names::around(spool.storage(), directory)?;
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        result => result?,
    }
    Ok(names.sync_directory()?)
}
