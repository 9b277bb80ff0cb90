//! Files of finished messages that new ones take: nothing of the old message is left, and no two get the same file.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use queue::create::INCOMPLETE;
use queue::{Hashing, NewFile, QueueId, QueueName, SizeRecord, Spare, Spares, Spool, Type};

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
        let size = SizeRecord::default();
        file.push_encoded(&size.encode()).unwrap();
        file.push(Type::LINE, b"a secret of the old message").unwrap();
        file.complete(&size).unwrap().sync().unwrap()
    }

    /// The names of spare files.
    fn spares(&self) -> Vec<PathBuf> {
        fs::read_dir(self.root.join("spare")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    fn spare(&self, id: &QueueId) -> PathBuf {
        self.root.join("spare").join(id.as_str())
    }

    /// As a process that remembers nothing.
    fn take(&self) -> NewFile {
        self.take_as(&mut Spares::default())
    }

    fn take_as(&self, spares: &mut Spares) -> NewFile {
        NewFile::create_from(&self.spool, QueueName::Incoming, spares, false).unwrap()
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
    assert!(scratch.spool.retire(&old, &file).unwrap());
    assert!(!scratch.spool.path(QueueName::Active, &old).exists());
    let spare = inode(scratch.spare(&old));
    let new = scratch.take();
    assert_eq!((inode(new.path()), new.id().inode()), (spare, spare));
    assert_ne!(*new.id(), old);
    assert_eq!(fs::metadata(new.path()).unwrap().len(), 0);
    let in_queue = || fs::read_dir(scratch.spool.queue(QueueName::Incoming)).unwrap().count();
    // It is no mail, and has no name of mail, until it is complete.
    assert_eq!((scratch.spares(), in_queue()), (vec![scratch.spare(&old)], 0));
    let id = scratch.store(new);
    let found = fs::metadata(scratch.spool.path(QueueName::Incoming, &id)).unwrap();
    assert_eq!((Some(found.ino()), found.permissions().mode() & 0o7777), (spare, 0o700));
    assert!(scratch.spares().is_empty());
}

#[test]
fn a_message_that_is_given_up_leaves_no_file_with_what_it_had() {
    let scratch = Scratch::new();
    for is_shown in [false, true] {
        let (old, file) = scratch.finished();
        assert!(scratch.spool.retire(&old, &file).unwrap());
        let mut new = scratch.take();
        new.push(Type::LINE, b"a secret of the new message").unwrap();
        if is_shown {
            new.shown().unwrap();
            let found = fs::metadata(scratch.spool.path(QueueName::Incoming, new.id())).unwrap();
            assert_eq!(found.permissions().mode() & 0o7777, 0o600);
        }
        drop(new);
        assert_eq!(fs::read_dir(scratch.spool.queue(QueueName::Incoming)).unwrap().count(), 0);
        assert!(scratch.spares().is_empty());
    }
}

#[test]
fn a_message_that_goes_on_hold_has_its_name_there_as_soon_as_it_is_complete() {
    let scratch = Scratch::new();
    let (old, file) = scratch.finished();
    assert!(scratch.spool.retire(&old, &file).unwrap());
    let mut new = scratch.take();
    new.move_to(QueueName::Hold).unwrap();
    let id = scratch.store(new);
    assert!(scratch.spool.path(QueueName::Hold, &id).exists());
}

#[test]
fn a_file_that_is_not_empty_yet_is_taken_by_nobody() {
    let scratch = Scratch::new();
    // The queue manager has come no further than the rename.
    let (old, file) = scratch.finished();
    fs::rename(scratch.spool.path(QueueName::Active, &old), scratch.spare(&old)).unwrap();
    let new = scratch.take();
    assert_ne!(new.id().inode(), Some(file.metadata().unwrap().ino()));
    // And goes on after that: nothing of the new message is touched.
    let id = scratch.store(new);
    file.set_len(0).unwrap();
    assert!(fs::metadata(scratch.spool.path(QueueName::Incoming, &id)).unwrap().len() > 0);

    // No longer than it was, but with a second name, or of another mode.
    for spoil in [
        |path: PathBuf| fs::hard_link(&path, path.with_file_name("../second")).unwrap(),
        |path: PathBuf| fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap(),
    ] {
        let (old, file) = scratch.finished();
        assert!(scratch.spool.retire(&old, &file).unwrap());
        spoil(scratch.spare(&old));
        assert_ne!(scratch.take().id().inode(), Some(file.metadata().unwrap().ino()));
    }
}

#[test]
fn a_message_that_an_operator_has_taken_away_meanwhile_keeps_its_content() {
    let scratch = Scratch::new();
    let (id, file) = scratch.finished();
    let held = scratch.root.join("held");
    fs::rename(scratch.spool.path(QueueName::Active, &id), &held).unwrap();
    assert!(scratch.spool.retire(&id, &file).is_err());
    assert!(fs::metadata(held).unwrap().len() > 0);
}

#[test]
fn without_the_folder_a_finished_message_is_removed_and_a_new_one_has_a_new_file() {
    let scratch = Scratch::new();
    fs::remove_dir(scratch.root.join("spare")).unwrap();
    let (id, file) = scratch.finished();
    assert!(!scratch.spool.retire(&id, &file).unwrap());
    assert_eq!(file.metadata().unwrap().nlink(), 0);
    assert_eq!(fs::metadata(scratch.take().path()).unwrap().len(), 0);
}

#[test]
fn what_was_not_emptied_when_the_system_stopped_is_removed_and_the_rest_is_kept() {
    let scratch = Scratch::new();
    // What a message is being written to is neither.
    let (old, file) = scratch.finished();
    assert!(scratch.spool.retire(&old, &file).unwrap());
    drop(file);
    let mut written = scratch.take();
    written.push_encoded(&SizeRecord::default().encode()).unwrap();
    written.flushed().unwrap();
    let (left, _file) = scratch.finished();
    fs::rename(scratch.spool.path(QueueName::Active, &left), scratch.spare(&left)).unwrap();
    let (good, file) = scratch.finished();
    assert!(scratch.spool.retire(&good, &file).unwrap());
    assert_eq!(scratch.spool.count_spares(), 3);
    scratch.spool.sort_out_spares();
    scratch.store(written);
    assert_eq!(scratch.spares(), [scratch.spare(&good)]);
}

#[test]
fn of_two_that_know_the_same_names_each_file_goes_to_one() {
    let scratch = Scratch::new();
    let mut files = Vec::new();
    for _ in 0..100 {
        let (id, file) = scratch.finished();
        assert!(scratch.spool.retire(&id, &file).unwrap());
        files.push(file.metadata().unwrap().ino());
    }
    let (mut one, mut other) = (Spares::default(), Spares::default());
    let mut inodes = Vec::new();
    for _ in 0..50 {
        let (first, second) = (scratch.take_as(&mut one), scratch.take_as(&mut other));
        inodes.extend([scratch.store(first), scratch.store(second)].iter().filter_map(QueueId::inode));
    }
    files.sort_unstable();
    inodes.sort_unstable();
    assert_eq!(inodes, files);
    assert!(scratch.spares().is_empty());
}

#[test]
fn a_file_that_is_kept_for_a_message_is_nobody_elses_until_it_is_let_go() {
    let scratch = Scratch::new();
    let (old, file) = scratch.finished();
    assert!(scratch.spool.retire(&old, &file).unwrap());
    let inode = file.metadata().unwrap().ino();
    drop(file);
    let kept = Spare::take(&scratch.spool, old.clone()).unwrap();
    let id = kept.id(std::time::Duration::from_micros(7), false);
    assert_ne!(scratch.take().id().inode(), Some(inode));
    assert!(Spare::take(&scratch.spool, old.clone()).is_none());
    // Another process gets it by the two names.
    drop(kept);
    let kept = Spare::take(&scratch.spool, old.clone()).unwrap();
    let new = NewFile::create_in(&scratch.spool, QueueName::Incoming, kept, id.clone()).unwrap();
    assert_eq!((new.id().inode(), new.id()), (Some(inode), &id));
    assert!(Spare::take(&scratch.spool, old).is_none());
    // Who finds it by its name leaves it to whom it is handed to.
    let opened = File::open(new.path()).unwrap();
    assert!(!sys::lock::lock(std::os::fd::AsFd::as_fd(&opened)).unwrap());
}

#[test]
fn a_file_gets_no_name_that_was_made_for_another() {
    let scratch = Scratch::new();
    let (old, file) = scratch.finished();
    assert!(scratch.spool.retire(&old, &file).unwrap());
    drop(file);
    let kept = Spare::take(&scratch.spool, old).unwrap();
    let other = QueueId::short(std::time::Duration::ZERO, 1);
    assert!(NewFile::create_in(&scratch.spool, QueueName::Incoming, kept, other).is_err());
}

#[test]
fn where_all_files_are_in_use_some_more_are_made() {
    let scratch = Scratch::new();
    let held: Vec<Spare> = (0..10)
        .map(|_| {
            let (id, file) = scratch.finished();
            assert!(scratch.spool.retire(&id, &file).unwrap());
            drop(file);
            Spare::take(&scratch.spool, id).unwrap()
        })
        .collect();
    let mut spares = Spares::default();
    assert!(spares.take(&scratch.spool).is_none());
    drop(held);
    let made = std::iter::from_fn(|| spares.take(&scratch.spool).is_none().then_some(())).take(20).count();
    assert_eq!(made, 3);
}
