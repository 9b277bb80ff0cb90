//! Files of messages that are done with, kept empty for messages to come.
//!
//! A file system may take long to make a file where many were removed a moment ago: ext4 gives no inode away that was
//! freed within the last seconds, and looks at each of them again for every new file; of a busy relay that was a third
//! of the time. So a finished file is not removed: it goes to a slot, `spare/1` to `spare/255`, and is emptied; a new
//! message takes it from there under a name and an identifier of its own.
//!
//! No slot belongs to anybody. Who fills one may replace what is there; who empties one does it by a rename to a name
//! of its own, so that of two only one gets the file. The queue manager tells the numbers of slots that it has filled,
//! each to one process, and it does no harm when a number is told twice, late, or of a slot that has been emptied.
//!
//! What is in a slot is no mail: nothing reads it, and the queue manager empties the folder when it starts. A queue
//! directory without this folder is as good; each message has a new file then.

use std::fs::{self, File, Permissions};
use std::io;
use std::num::NonZeroU8;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use nix::fcntl::OFlag;

use crate::create::{INCOMPLETE, Unnamed};
use crate::{QueueId, QueueName, Spool};

/// The folder.
const SPARE: &str = "spare";

/// A place for one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(NonZeroU8);

impl Slot {
    /// The first of them.
    pub const FIRST: Self = Self(NonZeroU8::MIN);

    /// The slot of this number; 0 is none.
    pub fn new(number: u8) -> Option<Self> {
        NonZeroU8::new(number).map(Self)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0.get()
    }

    /// The one after it; after the last the first.
    pub fn next(self) -> Self {
        self.0.checked_add(1).map_or(Self::FIRST, Self)
    }

    fn path(self, spool: &Spool) -> PathBuf {
        spool.root().join(SPARE).join(self.number().to_string())
    }
}

impl Spool {
    /// Whether finished files are worth keeping here.
    pub fn keeps_spares(&self) -> bool {
        self.storage().is_slow_after_removal()
    }

    /// Removes a message, and keeps its file, which `file` is and nobody else will write to.
    ///
    /// Transition: active -> nothing. A crash before: its recipients are marked done, and the next reader removes it.
    /// After the rename: a file that is no mail, with its content or without. The mode is changed last: whoever finds
    /// it in the slot before takes it for what it is, a file that is not empty yet, and removes it.
    ///
    /// # Errors
    /// As [`Spool::remove`]; where there is no folder for it, the file is removed.
    pub fn retire(&self, id: &QueueId, file: &File, slot: Slot) -> io::Result<bool> {
        match fs::rename(self.path(QueueName::Active, id), slot.path(self)) {
            Ok(()) => {}
            // The message is where it was, or gone: removing it says which.
            Err(_) => return self.remove(id, QueueName::Active).map(|()| false),
        }
        let emptied = file.set_len(0).and_then(|()| file.set_permissions(Permissions::from_mode(INCOMPLETE)));
        Ok(emptied.is_ok())
    }

    /// Takes the file of a slot out, to a path of the caller's; `None` when there is none that can be used.
    pub(crate) fn take_spare(&self, slot: Slot, path: PathBuf) -> Option<Unnamed> {
        fs::rename(slot.path(self), &path).ok()?;
        // name: ours since the rename, in a folder of the mail system.
        let opened = fs::OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path);
        let empty = opened.ok().and_then(|file| {
            let found = file.metadata().ok()?;
            let is = (found.is_file(), found.len(), found.mode() & 0o7777, found.nlink());
            (is == (true, 0, INCOMPLETE, 1)).then(|| (file, found.ino()))
        });
        match empty {
            Some((file, inode)) => Some(Unnamed { path, file, inode }),
            None => {
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// Removes what a former queue manager has kept.
    pub fn clear_spares(&self) {
        let folder = fs::read_dir(self.root().join(SPARE));
        for entry in folder.into_iter().flatten().flatten() {
            // What cannot be removed is found again by the next one.
            let _ = fs::remove_file(entry.path());
        }
    }
}
