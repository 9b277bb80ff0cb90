//! Files of finished messages that new ones take: nothing of the old message is left, and no two get the same file.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use queue::create::INCOMPLETE;
use queue::{Hashing, NewFile, QueueId, QueueName, Slot, Spool, Type};

struct Scratch {
    root: PathBuf,
    spool: Spool,
}

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("queue-spares-{}-{number}", std::process::id()));
        for folder in ["incoming", "active", "spare"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        Self { spool: Spool::new(&root, Hashing::default()), root }
    }

    /// A finished message in the active queue, and its open file.
    fn finished(&self) -> (QueueId, File) {
        let id = self.store(NewFile::create(&self.spool, QueueName::Incoming, INCOMPLETE, false).unwrap());
        self.spool.activate(&id, QueueName::Incoming).unwrap();
        let path = self.spool.path(QueueName::Active, &id);
        (id, OpenOptions::new().read(true).write(true).open(path).unwrap())
    }

    fn store(&self, mut file: NewFile) -> QueueId {
        file.push(Type::LINE, b"a secret of the old message").unwrap();
        file.complete_submission().unwrap().sync().unwrap()
    }

    fn slot(&self, slot: Slot) -> PathBuf {
        self.root.join("spare").join(slot.number().to_string())
    }

    fn take(&self, slot: Slot) -> NewFile {
        NewFile::create_from(&self.spool, QueueName::Incoming, Some(slot), false).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn inode(path: PathBuf) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.ino())
}

#[test]
fn a_new_message_takes_the_file_of_a_finished_one_and_nothing_that_was_in_it() {
    let scratch = Scratch::new();
    let (old, file) = scratch.finished();
    assert!(scratch.spool.retire(&old, &file, Slot::FIRST).unwrap());
    assert!(!scratch.spool.path(QueueName::Active, &old).exists());
    let spare = inode(scratch.slot(Slot::FIRST));
    let new = scratch.take(Slot::FIRST);
    assert_eq!((inode(new.path()), new.id().inode()), (spare, spare));
    assert_ne!(*new.id(), old);
    let found = fs::metadata(new.path()).unwrap();
    assert_eq!((found.len(), found.permissions().mode() & 0o7777), (0, 0o600));
    assert!(!scratch.slot(Slot::FIRST).exists());
    drop(new);
    assert_eq!(fs::read_dir(scratch.spool.queue(QueueName::Incoming)).unwrap().count(), 0);
}

#[test]
fn a_slot_that_is_empty_or_whose_file_is_not_empty_yet_gives_a_new_file() {
    let scratch = Scratch::new();
    assert_eq!(fs::metadata(scratch.take(Slot::FIRST).path()).unwrap().len(), 0);

    // The queue manager has come no further than the rename.
    let (old, file) = scratch.finished();
    fs::rename(scratch.spool.path(QueueName::Active, &old), scratch.slot(Slot::FIRST)).unwrap();
    let new = scratch.take(Slot::FIRST);
    assert_ne!(new.id().inode(), Some(file.metadata().unwrap().ino()));
    // And goes on after that: nothing of the new message is touched.
    let id = scratch.store(new);
    file.set_len(0).unwrap();
    assert!(fs::metadata(scratch.spool.path(QueueName::Incoming, &id)).unwrap().len() > 0);

    // No longer than it was, but with a second name, or of another mode.
    for spoil in [
        |path: PathBuf| fs::hard_link(&path, path.with_extension("second")).unwrap(),
        |path: PathBuf| fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap(),
    ] {
        let (old, file) = scratch.finished();
        assert!(scratch.spool.retire(&old, &file, Slot::FIRST).unwrap());
        spoil(scratch.slot(Slot::FIRST));
        assert_ne!(scratch.take(Slot::FIRST).id().inode(), Some(file.metadata().unwrap().ino()));
    }
}

#[test]
fn a_message_that_an_operator_has_taken_away_meanwhile_keeps_its_content() {
    let scratch = Scratch::new();
    let (id, file) = scratch.finished();
    let held = scratch.root.join("held");
    fs::rename(scratch.spool.path(QueueName::Active, &id), &held).unwrap();
    assert!(scratch.spool.retire(&id, &file, Slot::FIRST).is_err());
    assert!(fs::metadata(held).unwrap().len() > 0);
}

#[test]
fn without_the_folder_a_finished_message_is_removed_and_a_new_one_has_a_new_file() {
    let scratch = Scratch::new();
    fs::remove_dir(scratch.root.join("spare")).unwrap();
    let (id, file) = scratch.finished();
    assert!(!scratch.spool.retire(&id, &file, Slot::FIRST).unwrap());
    assert_eq!(file.metadata().unwrap().nlink(), 0);
    assert_eq!(fs::metadata(scratch.take(Slot::FIRST).path()).unwrap().len(), 0);
}

#[test]
fn a_slot_is_filled_again_and_what_a_former_queue_manager_left_is_removed() {
    let scratch = Scratch::new();
    let last = (0..256).fold(Slot::FIRST, |slot, _| {
        let (id, file) = scratch.finished();
        assert!(scratch.spool.retire(&id, &file, slot).unwrap());
        slot.next()
    });
    assert_eq!(last.number(), 2);
    assert_eq!(fs::read_dir(scratch.root.join("spare")).unwrap().count(), 255);
    scratch.spool.clear_spares();
    assert_eq!(fs::read_dir(scratch.root.join("spare")).unwrap().count(), 0);
}

#[test]
fn a_number_that_is_told_twice_gives_the_file_to_the_first() {
    let scratch = Scratch::new();
    let (id, file) = scratch.finished();
    assert!(scratch.spool.retire(&id, &file, Slot::FIRST).unwrap());
    let (first, second) = (scratch.take(Slot::FIRST), scratch.take(Slot::FIRST));
    assert_eq!(first.id().inode(), Some(file.metadata().unwrap().ino()));
    assert_ne!(second.id().inode(), first.id().inode());
}
