//! Files of messages that are done with, kept empty for messages to come.
//!
//! A file system may take long to make a file where many were removed a moment ago: ext4 gives no inode away that was
//! freed within the last seconds, and looks at each of them again for every new file; of a busy relay that was a third
//! of the time. So a finished file is not removed: it goes to `spare/ID`, under the name that it had, and is emptied; a
//! new message is written into it there, and takes it away under an identifier of its own when it is complete. It has
//! the mode of a complete message all the time, for where it is it is none.
//!
//! A spare file belongs to whoever has locked it. Who takes one opens it under a name that was read before, locks it,
//! and looks at that name afterwards: where there is none any more, another was faster, for a file leaves its name
//! while it is locked, and no other file ever gets that name. A file that is not empty yet, or has another name, is no
//! spare file. So names may be remembered for as long as anybody likes.
//!
//! What is there is no mail: nothing reads it. A queue directory without this folder is as good; each message has a new
//! file then.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use crate::create::COMPLETE;
use crate::{QueueId, QueueName, Spool};

/// The folder.
const SPARE: &str = "spare";
/// Names that are remembered at a time: others take from the same files.
/// told: nobody; the others are read next time.
const REMEMBERED: usize = 64;
/// Attempts for one file, of which the last may have been good, that say that there are too few.
const BAD_LUCK: usize = 3;
/// How long a folder that had nothing is left alone.
const PAUSE: Duration = Duration::from_millis(20);

impl Spool {
    /// Whether finished files are worth keeping here.
    pub fn keeps_spares(&self) -> bool {
        self.storage().is_slow_after_removal()
    }

    /// Removes a message, and keeps its file, which `file` is and nobody else will write to.
    ///
    /// Transition: active -> nothing. A crash before: its recipients are marked done, and the next reader removes it.
    /// After the rename: a file that is no mail, with its content or without. Whoever finds it with its content removes
    /// it.
    ///
    /// # Errors
    /// As [`Spool::remove`]; where there is no folder for it, the file is removed.
    pub fn retire(&self, id: &QueueId, file: &File) -> io::Result<bool> {
        match fs::rename(self.path(QueueName::Active, id), self.spare(id)) {
            Ok(()) => {}
            // The message is where it was, or gone: removing it says which.
            Err(_) => return self.remove(id, QueueName::Active).map(|()| false),
        }
        Ok(file.set_len(0).is_ok())
    }

    /// How many spare files there are.
    pub fn count_spares(&self) -> usize {
        fs::read_dir(self.root().join(SPARE)).map_or(0, Iterator::count)
    }

    /// Removes what was to become a spare file when the system or the queue manager stopped, and was not emptied, or
    /// was to become a message when cleanup stopped.
    pub fn sort_out_spares(&self) {
        for entry in fs::read_dir(self.root().join(SPARE)).into_iter().flatten().flatten() {
            if entry.metadata().is_ok_and(|found| is_spare(&found)) {
                continue;
            }
            match QueueId::parse(entry.file_name().as_bytes()) {
                // It goes with the look at it, unless somebody is writing to it.
                Some(name) => drop(Spare::take(self, name)),
                // What cannot be removed is found again by the next one.
                None => drop(fs::remove_file(entry.path())),
            }
        }
    }

    pub(crate) fn spare(&self, name: &QueueId) -> PathBuf {
        self.root().join(SPARE).join(name.as_str())
    }
}

/// A spare file that is locked for its owner, and goes back when it is dropped.
#[derive(Debug)]
pub struct Spare {
    name: QueueId,
    file: File,
    inode: u64,
}

impl Spare {
    /// Takes the file of this name; `None` when there is no such spare file, or somebody else has it.
    pub fn take(spool: &Spool, name: QueueId) -> Option<Self> {
        let path = spool.spare(&name);
        // name: nothing but the mail system writes to this folder.
        let file = fs::OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path);
        let file = file.ok()?;
        if !sys::lock::lock(file.as_fd()).unwrap_or(false) {
            return None;
        }
        let found = fs::symlink_metadata(&path).ok()?;
        if is_spare(&found) {
            return Some(Self { name, file, inode: found.ino() });
        }
        let _ = fs::remove_file(&path);
        None
    }

    /// The name that it has until it becomes the file of a message.
    pub fn name(&self) -> &QueueId {
        &self.name
    }

    /// An identifier for the message that it will be the file of.
    pub fn id(&self, now: Duration, long: bool) -> QueueId {
        QueueId::new(now, self.inode, long)
    }

    /// The file for a message, whose identifier was made by [`Self::id`]; and its name so far.
    pub(crate) fn into_file_of(self, id: &QueueId) -> io::Result<(QueueId, File)> {
        if id.inode() != Some(self.inode) {
            return Err(io::Error::other(format!("{id} is no name for the file {}", self.name)));
        }
        Ok((self.name, self.file))
    }
}

/// Names of spare files, as one process remembers them.
#[derive(Debug, Default)]
pub struct Spares {
    names: Vec<QueueId>,
    /// How often names were read.
    looks: usize,
    /// There was nothing.
    empty_since: Option<Instant>,
    /// So many are made, and not taken, because there are too few for all who take some.
    missing: usize,
}

impl Spares {
    /// Takes a file; `None` when there is none, or when there should be more of them: then each attempt meets files
    /// that others have locked, and a new file costs less.
    pub fn take(&mut self, spool: &Spool) -> Option<Spare> {
        if self.missing > 0 {
            self.missing -= 1;
            return None;
        }
        let remembered = self.next(spool);
        remembered.or_else(|| {
            self.look(spool);
            self.next(spool)
        })
    }

    /// The first that nobody else has taken.
    fn next(&mut self, spool: &Spool) -> Option<Spare> {
        let mut attempts = 0;
        let found = std::iter::from_fn(|| self.names.pop()).find_map(|name| {
            attempts += 1;
            Spare::take(spool, name)
        });
        self.missing = attempts / BAD_LUCK;
        found
    }

    /// Reads names: some of those that there are, each process and each time others as far as possible. Those that
    /// somebody has locked are among them.
    fn look(&mut self, spool: &Spool) {
        if self.empty_since.is_some_and(|since| since.elapsed() < PAUSE) {
            return;
        }
        let folder = fs::read_dir(spool.root().join(SPARE)).into_iter().flatten().flatten();
        let mut names: Vec<_> = folder.filter_map(|entry| QueueId::parse(entry.file_name().as_bytes())).collect();
        if !names.is_empty() {
            let first = (sys::process::id() as usize).wrapping_add(self.looks).wrapping_mul(REMEMBERED) % names.len();
            self.looks = (self.looks + 1) % names.len();
            names.rotate_left(first);
            // told: see there
            names.truncate(REMEMBERED);
        }
        self.empty_since = names.is_empty().then(Instant::now);
        self.names = names;
    }
}

fn is_spare(found: &Metadata) -> bool {
    (found.is_file(), found.len(), found.mode() & 0o7777, found.nlink()) == (true, 0, COMPLETE, 1)
}
