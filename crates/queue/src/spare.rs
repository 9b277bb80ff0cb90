//! Files of messages that are done with, kept empty for messages to come.
//!
//! A file system may take long to make a file where many were removed a moment ago: ext4 gives no inode away that was
//! freed within the last seconds, and looks at each of them again for every new file; of a busy relay that was a third
//! of the time. So a finished file is not removed: it goes to `spare/ID`, under the name that it had, and is emptied; a
//! new message takes it from there under a name and an identifier of its own.
//!
//! A spare file belongs to nobody. Who takes one does so by a rename to a name of its own, so that of two only one gets
//! it, and looks at it afterwards: a file that is not empty yet, or has another name, is no spare file. So names may be
//! remembered for as long as anybody likes.
//!
//! What is there is no mail: nothing reads it. A queue directory without this folder is as good; each message has a new
//! file then.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

use crate::create::{INCOMPLETE, Unnamed};
use crate::{QueueId, QueueName, Spool};

/// The folder.
const SPARE: &str = "spare";
/// Names that are remembered at a time: others take from the same files.
/// told: nobody; the others are read next time.
const REMEMBERED: usize = 64;
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
    /// After the rename: a file that is no mail, with its content or without. The mode is changed last: whoever finds
    /// it before takes it for what it is, a file that is not empty yet, and removes it.
    ///
    /// # Errors
    /// As [`Spool::remove`]; where there is no folder for it, the file is removed.
    pub fn retire(&self, id: &QueueId, file: &File) -> io::Result<bool> {
        match fs::rename(self.path(QueueName::Active, id), self.spare(id.as_str())) {
            Ok(()) => {}
            // The message is where it was, or gone: removing it says which.
            Err(_) => return self.remove(id, QueueName::Active).map(|()| false),
        }
        let emptied = file.set_len(0).and_then(|()| file.set_permissions(Permissions::from_mode(INCOMPLETE)));
        Ok(emptied.is_ok())
    }

    /// How many spare files there are.
    pub fn count_spares(&self) -> usize {
        fs::read_dir(self.root().join(SPARE)).map_or(0, Iterator::count)
    }

    /// Removes what was to become a spare file when the system or the queue manager stopped, and was not emptied.
    pub fn sort_out_spares(&self) {
        for entry in fs::read_dir(self.root().join(SPARE)).into_iter().flatten().flatten() {
            if !entry.metadata().is_ok_and(|found| is_spare(&found)) {
                // What cannot be removed is found again by the next one.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn spare(&self, name: &str) -> PathBuf {
        self.root().join(SPARE).join(name)
    }
}

/// Names of spare files, as one process remembers them.
#[derive(Debug, Default)]
pub struct Spares {
    names: Vec<PathBuf>,
    /// There was nothing.
    empty_since: Option<Instant>,
}

impl Spares {
    /// Takes a file, to the path that `to` gives; `None` when there is none that can be used.
    pub(crate) fn take(&mut self, spool: &Spool, to: impl Fn() -> PathBuf) -> Option<Unnamed> {
        let remembered = self.next(&to);
        remembered.or_else(|| {
            self.look(spool);
            self.next(&to)
        })
    }

    /// The first that nobody else has taken.
    fn next(&mut self, to: impl Fn() -> PathBuf) -> Option<Unnamed> {
        std::iter::from_fn(|| self.names.pop()).find_map(|name| {
            let path = to();
            fs::rename(name, &path).ok()?;
            open(path)
        })
    }

    /// Reads names: some of those that there are, each process others as far as possible.
    fn look(&mut self, spool: &Spool) {
        if self.empty_since.is_some_and(|since| since.elapsed() < PAUSE) {
            return;
        }
        let folder = fs::read_dir(spool.root().join(SPARE)).into_iter().flatten().flatten();
        let mut names: Vec<PathBuf> = folder.map(|entry| entry.path()).collect();
        if names.len() > REMEMBERED {
            let first = sys::process::id() as usize * REMEMBERED % names.len();
            names.rotate_left(first);
            // told: see there
            names.truncate(REMEMBERED);
        }
        self.empty_since = names.is_empty().then(Instant::now);
        self.names = names;
    }
}

/// Opens what was taken; what is no spare file is removed.
fn open(path: PathBuf) -> Option<Unnamed> {
    // name: ours since the rename, in a folder of the mail system.
    let opened = fs::OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path);
    let empty = opened.ok().and_then(|file| {
        let found = file.metadata().ok()?;
        is_spare(&found).then(|| (file, found.ino()))
    });
    match empty {
        Some((file, inode)) => Some(Unnamed { path, file, inode }),
        None => {
            let _ = fs::remove_file(&path);
            None
        }
    }
}

fn is_spare(found: &Metadata) -> bool {
    (found.is_file(), found.len(), found.mode() & 0o7777, found.nlink()) == (true, 0, INCOMPLETE, 1)
}
