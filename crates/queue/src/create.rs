//! Making a queue file: an invisible file first, mail only when it is complete.
//!
//! A new file is made under a name that is no queue identifier, gets its real name once its inode is known, and is
//! ignored by everyone until its mode says that it is complete. The file of a finished message keeps its name among the
//! spare files until it is complete. Whatever ends the work before that (an error, a lost client, a panic) removes the
//! file. It must never be complete before its last byte is written.
//!
//! Files of cleanup are locked from their first byte on, by the descriptor that cleanup then hands to the queue
//! manager: who finds one in between, by its name, leaves it alone.

use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;

use crate::commit::{Committer, Pending, Unsynced};
use crate::record::{self, Type};
use crate::storage::Names;
use crate::transition::name_below;
use crate::{QueueId, QueueName, SizeRecord, Spare, Spares, Spool};

/// Mode of a file that cleanup is writing.
pub const INCOMPLETE: u32 = 0o600;
/// Mode of a complete file.
pub const COMPLETE: u32 = 0o700;
/// Mode of a file that postdrop is writing: pickup, another user, must be able to read it.
pub const INCOMPLETE_MAILDROP: u32 = 0o644;
/// Mode of a complete file in maildrop.
pub const COMPLETE_MAILDROP: u32 = 0o744;

/// Bytes that are gathered before they are written.
const BUFFER: usize = 64 * 1024;
/// Names to try before giving up.
const ATTEMPTS: usize = 1000;

/// A queue file that is being written. Dropping it removes the file.
pub struct NewFile {
    guard: Guard,
    unsynced: Unsynced,
    /// The file's present mode.
    mode: u32,
    buffer: Vec<u8>,
    written: u64,
}

impl NewFile {
    /// Creates an empty file in `queue`.
    ///
    /// Transition: nothing -> incomplete. A crash before the rename leaves `QUEUE/USEC.PID`, after it `QUEUE/ID` with
    /// an incomplete mode: neither is mail, and `postsuper -p` removes both when they are a week old.
    ///
    /// `long` is `enable_long_queue_ids`. Errors name the file; the caller decides whether to wait and try again.
    pub fn create(spool: &Spool, queue: QueueName, mode: u32, long: bool) -> io::Result<Self> {
        Self::named(spool, queue, mode, Unnamed::create(spool, queue, mode)?, long)
    }

    /// A locked file: that of a finished message, if there is one, or a new one with the mode [`INCOMPLETE`].
    ///
    /// Transition: as [`Self::create`] or [`Self::create_in`].
    pub fn create_from(spool: &Spool, queue: QueueName, spares: &mut Spares, long: bool) -> io::Result<Self> {
        if let Some(spare) = spares.take(spool) {
            let id = spare.id(since_epoch(), long);
            return Self::create_in(spool, queue, spare, id);
        }
        let new = Self::create(spool, queue, INCOMPLETE, long)?;
        sys::lock::lock(new.unsynced.file.as_fd())?;
        Ok(new)
    }

    /// The same with this file, and an identifier that was made for it.
    ///
    /// Transition: none yet; a crash leaves a file among the spare ones that is not empty, and is removed.
    pub fn create_in(spool: &Spool, queue: QueueName, spare: Spare, id: QueueId) -> io::Result<Self> {
        let (name, file) = spare.into_file_of(&id)?;
        Ok(Self::of(Guard::new(spool, queue, id, Some(name)), Unsynced::new(file, Names::Follow), COMPLETE))
    }

    fn named(spool: &Spool, queue: QueueName, mode: u32, unnamed: Unnamed, long: bool) -> io::Result<Self> {
        let (id, names) = unnamed.give_name(spool, queue, long).map_err(|error| {
            let _ = fs::remove_file(&unnamed.path);
            named(error, &unnamed.path)
        })?;
        Ok(Self::of(Guard::new(spool, queue, id, None), Unsynced::new(unnamed.file, names), mode))
    }

    fn of(guard: Guard, unsynced: Unsynced, mode: u32) -> Self {
        Self { guard, unsynced, mode, buffer: Vec::with_capacity(4096), written: 0 }
    }

    /// The identifier of the message.
    pub fn id(&self) -> &QueueId {
        &self.guard.id
    }

    /// The file's present path.
    pub fn path(&self) -> PathBuf {
        self.guard.path()
    }

    /// Where the next record starts.
    pub fn offset(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Appends a record.
    pub fn push(&mut self, kind: Type, payload: &[u8]) -> io::Result<()> {
        record::encode(&mut self.buffer, kind, payload);
        self.flush_when_full()
    }

    /// Appends an attribute record.
    pub fn push_attribute(&mut self, name: &str, value: &[u8]) -> io::Result<()> {
        record::encode_attribute(&mut self.buffer, name, value);
        self.flush_when_full()
    }

    /// Appends encoded records.
    pub fn push_encoded(&mut self, records: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(records);
        self.flush_when_full()
    }

    /// Overwrites bytes that were appended before.
    pub fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let buffered = offset.checked_sub(self.written).and_then(|n| usize::try_from(n).ok());
        let in_buffer = buffered.and_then(|start| self.buffer.get_mut(start..start.checked_add(bytes.len())?));
        if let Some(target) = in_buffer {
            target.copy_from_slice(bytes);
            return Ok(());
        }
        self.flush()?;
        self.unsynced.file.write_all_at(bytes, offset)
    }

    /// The file with everything in it that was appended so far.
    pub fn flushed(&mut self) -> io::Result<&File> {
        self.flush()?;
        Ok(&self.unsynced.file)
    }

    /// The same under the name of the message, for other processes.
    ///
    /// Transition: as [`Self::create`].
    pub fn shown(&mut self) -> io::Result<&File> {
        self.flush()?;
        if self.guard.spare.is_some() {
            self.set_mode(INCOMPLETE)?;
            self.give_name()?;
        }
        Ok(&self.unsynced.file)
    }

    /// Moves the incomplete file to another queue (a message that is put on hold).
    ///
    /// Transition: incomplete -> incomplete elsewhere. A crash before or after leaves no mail.
    pub fn move_to(&mut self, queue: QueueName) -> io::Result<()> {
        let before = std::mem::replace(&mut self.guard.queue, queue);
        // What has no name yet gets one there.
        if self.guard.spare.is_none()
            && let Err(error) = self.rename(&self.guard.spool.path(before, &self.guard.id))
        {
            self.guard.queue = before;
            return Err(error);
        }
        Ok(())
    }

    /// Completes a file of cleanup: the size record at the start, the time, the mode.
    ///
    /// Transition: incomplete -> complete but not yet certain to be on disk. A crash of this process just before: no
    /// mail, the client was told nothing. Just after: mail that the client was not told of and will submit again, a
    /// duplicate. A crash of the system: either of them.
    pub fn complete(mut self, size: &SizeRecord) -> io::Result<Complete> {
        self.overwrite(0, &size.encode())?;
        self.complete_with(COMPLETE)
    }

    /// Completes a file of postdrop, which has no size record.
    ///
    /// Transition: as [`Self::complete`].
    pub fn complete_submission(self) -> io::Result<Complete> {
        self.complete_with(COMPLETE_MAILDROP)
    }

    fn complete_with(mut self, mode: u32) -> io::Result<Complete> {
        self.flush()?;
        let file = &self.unsynced.file;
        // The queue manager leaves files of the future alone.
        if !self.guard.spool.storage().has_own_clock() {
            let now = SystemTime::now();
            file.set_times(FileTimes::new().set_accessed(now).set_modified(now))?;
        }
        if self.mode != mode {
            self.set_mode(mode)?;
        }
        if self.guard.spare.is_some() {
            self.give_name()?;
        }
        Ok(Complete { guard: self.guard, unsynced: Arc::new(self.unsynced) })
    }

    fn set_mode(&mut self, mode: u32) -> io::Result<()> {
        self.unsynced.file.set_permissions(Permissions::from_mode(mode))?;
        self.mode = mode;
        Ok(())
    }

    /// Gives a file that was a spare one the name of its message.
    fn give_name(&mut self) -> io::Result<()> {
        self.rename(&self.guard.path())?;
        self.guard.spare = None;
        Ok(())
    }

    /// Gives it the name of its message in place of this one.
    fn rename(&mut self, from: &Path) -> io::Result<()> {
        let Guard { spool, queue, id, .. } = &self.guard;
        let target = spool.path(*queue, id);
        let names = name_below(spool, &target, || fs::rename(from, &target));
        self.unsynced.names = names.map_err(|error| named(error, &target))?;
        Ok(())
    }

    fn flush_when_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unsynced.file.write_all_at(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// A complete file that may not be on disk yet. Dropping it removes the file.
pub struct Complete {
    guard: Guard,
    unsynced: Arc<Unsynced>,
}

impl Complete {
    /// The identifier of the message.
    pub fn id(&self) -> &QueueId {
        &self.guard.id
    }

    /// Waits until file and directory entry are on disk.
    ///
    /// Transition: complete -> acknowledged as soon as the caller says so. The rename came before, so that a journaling
    /// file system has it on disk with the file; on others the directory is waited for too. An error removes the file:
    /// the client keeps the message.
    pub fn sync(mut self) -> io::Result<QueueId> {
        self.unsynced.sync()?;
        self.guard.keep = true;
        Ok(self.guard.id.clone())
    }

    /// The same together with other messages: one wait for all that wait at the same time.
    ///
    /// Transition: as [`Self::sync`]. Dropping the future before it is ready removes the file.
    pub async fn commit(self, committer: &Committer) -> io::Result<Stored> {
        let Self { mut guard, unsynced } = self;
        let pending: Pending = committer.submit(Arc::clone(&unsynced));
        pending.await?;
        guard.keep = true;
        Ok(Stored { id: guard.id.clone(), file: unsynced })
    }
}

/// A message on stable storage, and its file, which is locked as long as this descriptor is open.
pub struct Stored {
    id: QueueId,
    file: Arc<Unsynced>,
}

impl Stored {
    /// The identifier of the message.
    pub fn id(&self) -> &QueueId {
        &self.id
    }
}

impl AsFd for Stored {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.file.as_fd()
    }
}

/// Removes the file unless it is to be kept.
struct Guard {
    spool: Spool,
    queue: QueueName,
    id: QueueId,
    /// Its name among the spare files, as long as it has that one.
    spare: Option<QueueId>,
    keep: bool,
}

impl Guard {
    fn new(spool: &Spool, queue: QueueName, id: QueueId, spare: Option<QueueId>) -> Self {
        Guard { spool: spool.clone(), queue, id, spare, keep: false }
    }

    fn path(&self) -> PathBuf {
        self.spare.as_ref().map_or_else(|| self.spool.path(self.queue, &self.id), |spare| self.spool.spare(spare))
    }
}

impl Drop for Guard {
    /// Transition: incomplete or unacknowledged -> nothing. A crash just before leaves what [`NewFile::create`] or
    /// [`NewFile::complete`] describe.
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_file(self.path());
        }
    }
}

/// A name that is no queue identifier. No other process has it, and this one not at this moment.
fn temporary_path(spool: &Spool, queue: QueueName) -> PathBuf {
    spool.queue(queue).join(format!("{}.{}", since_epoch().subsec_micros(), sys::process::id()))
}

/// A file under a name that is no queue identifier.
struct Unnamed {
    path: PathBuf,
    file: File,
    inode: u64,
}

impl Unnamed {
    /// A new one.
    fn create(spool: &Spool, queue: QueueName, mode: u32) -> io::Result<Self> {
        let mut last = io::Error::from(Errno::EEXIST);
        for _ in 0..ATTEMPTS {
            let path = temporary_path(spool, queue);
            match OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(&path) {
                Ok(file) => {
                    let found = file.metadata().inspect_err(|_| drop(fs::remove_file(&path)))?;
                    return Ok(Self { path, file, inode: found.ino() });
                }
                Err(error)
                    if [Some(Errno::EEXIST as i32), Some(Errno::EISDIR as i32)].contains(&error.raw_os_error()) =>
                {
                    last = named(error, &path);
                }
                Err(error) => return Err(named(error, &path)),
            }
        }
        Err(last)
    }

    /// Renames it to a name that tells the inode; no other file can have it at the same time.
    fn give_name(&self, spool: &Spool, queue: QueueName, long: bool) -> io::Result<(QueueId, Names)> {
        let mut attempt = 0;
        loop {
            let id = QueueId::new(since_epoch(), self.inode, long);
            let target = spool.path(queue, &id);
            attempt += 1;
            match name_below(spool, &target, || fs::rename(&self.path, &target)) {
                Ok(names) => return Ok((id, names)),
                Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EPERM | Errno::EISDIR) if attempt < ATTEMPTS => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

fn since_epoch() -> std::time::Duration {
    // A clock before 1970 gives names that are still unique.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn named(error: io::Error, path: &std::path::Path) -> io::Error {
    let reason = text::system_error(&error);
    io::Error::new(error.kind(), format!("create file {}: {reason}", path.display()))
}
