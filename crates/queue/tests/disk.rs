//! What is acknowledged is on the disk: on a disk that fails for a while, and after a loss of power. Needs root; each
//! test has a file system of its own, on a loop device, in a mount namespace of its thread.

use std::fs;
use std::future::Future;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::SystemTime;

use queue::create::{INCOMPLETE, INCOMPLETE_MAILDROP};
use queue::delivery_log::{self, Entry};
use queue::{Committer, Hashing, NewFile, QueueId, QueueName, SizeRecord, Spares, Spool, Type};
use testing::Disk;

/// Runs a test on a queue on a new disk.
fn on_a_disk(kind: &str, hashed: &[&str], test: impl Fn(&Disk, &Spool) + Send + Sync) {
    let body = || {
        let Some(disk) = Disk::make(kind) else { return };
        let root = disk.path().join("queue");
        for queue in QueueName::ALL {
            fs::create_dir_all(root.join(queue.as_str())).unwrap();
        }
        disk.sync_by_somebody().unwrap();
        let names = hashed.iter().map(|name| name.to_string()).collect();
        test(&disk, &Spool::new(&root, Hashing { names, depth: 1 }));
    };
    std::thread::scope(|scope| scope.spawn(body).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// A message with this many bytes of text, complete.
fn message(spool: &Spool, queue: QueueName, text: usize) -> queue::create::Complete {
    let mut file = open(spool, queue);
    write(&mut file, text);
    complete(file)
}

fn open(spool: &Spool, queue: QueueName) -> NewFile {
    let mut file = NewFile::create(spool, queue, INCOMPLETE, false).unwrap();
    file.push_encoded(&SizeRecord::default().encode()).unwrap();
    file
}

fn write(file: &mut NewFile, text: usize) {
    for _ in 0..text / LINE.len() {
        file.push(Type::LINE, LINE).unwrap();
    }
    file.flushed().unwrap();
}

const LINE: &[u8] = b"precious precious precious precious precious precious precious precious";

fn complete(file: NewFile) -> queue::create::Complete {
    file.complete(&SizeRecord::default()).unwrap()
}

/// Where a file of the queue is in what is left after a crash.
fn left(crashed: &Path, spool: &Spool, queue: QueueName, id: &QueueId) -> PathBuf {
    let path = spool.path(queue, id);
    crashed.join("queue").join(path.strip_prefix(spool.root()).unwrap())
}

type Commit = Pin<Box<dyn Future<Output = std::io::Result<QueueId>>>>;

/// Waits for all of them at once.
fn together(mut commits: Vec<Commit>) -> Vec<std::io::Result<QueueId>> {
    struct Signal(Mutex<mpsc::Sender<()>>);
    impl Wake for Signal {
        fn wake(self: Arc<Self>) {
            let _ = self.0.lock().unwrap().send(());
        }
    }
    let (sender, receiver) = mpsc::channel();
    let waker = Waker::from(Arc::new(Signal(Mutex::new(sender))));
    let mut results: Vec<Option<_>> = commits.iter().map(|_| None).collect();
    loop {
        for (commit, result) in commits.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(outcome) = commit.as_mut().poll(&mut Context::from_waker(&waker))
            {
                *result = Some(outcome);
            }
        }
        if results.iter().all(Option::is_some) {
            return results.into_iter().flatten().collect();
        }
        receiver.recv().unwrap();
    }
}

/// The kernel tells somebody else of a write error, and a file that is opened afterwards is not told any more.
#[test]
fn a_file_whose_bytes_were_lost_is_refused_whoever_is_committed_with_it() {
    for lost_at in 0..3 {
        on_a_disk("ext2", &[], |disk, spool| {
            let committer = Committer::start(spool.storage()).unwrap();
            let mut lost = open(spool, QueueName::Incoming);
            disk.fill();
            write(&mut lost, 400_000);
            disk.sync_by_somebody().expect_err("the disk was full");
            disk.make_room();
            // The disk is busy with this one while the others gather.
            let busy = message(spool, QueueName::Incoming, 3_000_000);
            let mut files = vec![message(spool, QueueName::Incoming, 100), message(spool, QueueName::Incoming, 100)];
            files.insert(lost_at, complete(lost));
            let boxed = |file: queue::create::Complete| {
                let committer = committer.clone();
                Box::pin(async move { Ok(file.commit(&committer).await?.id().clone()) }) as Commit
            };
            let results = together([busy].into_iter().chain(files).map(boxed).collect());
            assert!(results[1 + lost_at].is_err(), "acknowledged");
            let others = results.iter().enumerate().filter(|(at, _)| *at != 1 + lost_at);
            others.for_each(|(_, result)| assert!(result.is_ok(), "not its fault: {result:?}"));
        });
    }
}

#[test]
fn a_message_that_was_acknowledged_alone_is_there_after_a_crash() {
    for (kind, hashed) in [("ext2", &["incoming"][..]), ("ext2", &[]), ("ext4", &["incoming"])] {
        on_a_disk(kind, hashed, |disk, spool| {
            let id = message(spool, QueueName::Incoming, 5000).sync().unwrap();
            let found = fs::read(left(&disk.after_a_crash(), spool, QueueName::Incoming, &id)).unwrap();
            assert_eq!(found, fs::read(spool.path(QueueName::Incoming, &id)).unwrap());
        });
    }
}

#[test]
fn messages_that_were_acknowledged_together_are_there_after_a_crash() {
    on_a_disk("ext2", &["incoming"], |disk, spool| {
        let committer = Committer::start(spool.storage()).unwrap();
        let commits = (0..8).map(|_| {
            let (file, committer) = (message(spool, QueueName::Incoming, 5000), committer.clone());
            Box::pin(async move { Ok(file.commit(&committer).await?.id().clone()) }) as Commit
        });
        let ids: Vec<QueueId> = together(commits.collect()).into_iter().map(Result::unwrap).collect();
        let crashed = disk.after_a_crash();
        for id in ids {
            let found = fs::read(left(&crashed, spool, QueueName::Incoming, &id)).unwrap();
            assert_eq!(found, fs::read(spool.path(QueueName::Incoming, &id)).unwrap());
        }
    });
}

#[test]
fn a_message_on_hold_and_a_submission_are_there_after_a_crash() {
    on_a_disk("ext2", &["hold"], |disk, spool| {
        let mut file = open(spool, QueueName::Incoming);
        file.move_to(QueueName::Hold).unwrap();
        let held = complete(file).sync().unwrap();
        let mut file = NewFile::create(spool, QueueName::Maildrop, INCOMPLETE_MAILDROP, false).unwrap();
        file.push(Type::LINE, LINE).unwrap();
        let submitted = file.complete_submission().unwrap().sync().unwrap();
        let crashed = disk.after_a_crash();
        for (queue, id) in [(QueueName::Hold, held), (QueueName::Maildrop, submitted)] {
            let found = fs::read(left(&crashed, spool, queue, &id)).unwrap();
            assert_eq!(found, fs::read(spool.path(queue, &id)).unwrap());
        }
    });
}

#[test]
fn a_log_that_a_report_is_made_from_is_there_after_a_crash() {
    on_a_disk("ext2", &["bounce", "trace"], |disk, spool| {
        let id = message(spool, QueueName::Incoming, 100).sync().unwrap();
        let entry = Entry { recipient: b"alice@mail.test".to_vec(), ..Entry::default() };
        for queue in [QueueName::Bounce, QueueName::Trace] {
            delivery_log::append(spool, queue, &id, std::slice::from_ref(&entry), false).unwrap();
        }
        let crashed = disk.after_a_crash();
        for queue in [QueueName::Bounce, QueueName::Trace] {
            let found = fs::read(left(&crashed, spool, queue, &id)).unwrap();
            assert_eq!(found, fs::read(spool.path(queue, &id)).unwrap());
        }
    });
}

/// A finished message in the active queue, which says who it was for.
fn finished(spool: &Spool) -> (QueueId, fs::File) {
    let mut file = open(spool, QueueName::Incoming);
    (0..50).for_each(|_| file.push(Type::LINE, b"for somebody else's eyes").unwrap());
    let id = complete(file).sync().unwrap();
    spool.activate(&id, QueueName::Incoming).unwrap();
    let path = spool.path(QueueName::Active, &id);
    (id, fs::File::options().read(true).write(true).open(path).unwrap())
}

/// Complete files of the incoming queue in what is left after a crash.
fn complete_files(crashed: &Path) -> Vec<Vec<u8>> {
    let files = fs::read_dir(crashed.join("queue/incoming")).unwrap().map(|entry| entry.unwrap().path());
    let is_complete = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o700 == 0o700;
    files.filter(is_complete).map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn a_message_in_the_file_of_another_is_there_after_a_crash_and_the_other_is_not() {
    for (old_is_on_disk, spare_is_on_disk) in [(false, false), (true, false), (true, true)] {
        on_a_disk("ext4", &[], |disk, spool| {
            fs::create_dir(spool.root().join("spare")).unwrap();
            let (old, file) = finished(spool);
            let sync = |wanted: bool| {
                if wanted {
                    disk.sync_by_somebody().unwrap()
                }
            };
            sync(old_is_on_disk);
            assert!(spool.retire(&old, &file).unwrap());
            sync(spare_is_on_disk);
            let mut new = NewFile::create_from(spool, QueueName::Incoming, &mut Spares::default(), false).unwrap();
            assert_eq!(new.id().inode(), Some(file.metadata().unwrap().ino()));
            new.push_encoded(&SizeRecord::default().encode()).unwrap();
            write(&mut new, 300);
            let id = complete(new).sync().unwrap();
            let crashed = disk.after_a_crash();
            let found = fs::read(left(&crashed, spool, QueueName::Incoming, &id)).unwrap();
            assert_eq!(found, fs::read(spool.path(QueueName::Incoming, &id)).unwrap());
            assert!(!left(&crashed, spool, QueueName::Active, &old).exists());
            assert_eq!(complete_files(&crashed).len(), 1);
        });
    }
}

#[test]
fn a_message_that_was_not_acknowledged_does_not_come_back_as_another() {
    on_a_disk("ext4", &[], |disk, spool| {
        fs::create_dir(spool.root().join("spare")).unwrap();
        let (old, file) = finished(spool);
        disk.sync_by_somebody().unwrap();
        assert!(spool.retire(&old, &file).unwrap());
        let mut new = NewFile::create_from(spool, QueueName::Incoming, &mut Spares::default(), false).unwrap();
        new.push_encoded(&SizeRecord::default().encode()).unwrap();
        write(&mut new, 300);
        let unacknowledged = complete(new);
        // What the journal knows goes to the disk with somebody else's file.
        fs::write(disk.path().join("other"), b"x").unwrap();
        fs::File::open(disk.path().join("other")).unwrap().sync_all().unwrap();
        let found = complete_files(&disk.after_a_crash());
        assert!(found.iter().all(|content| !content.windows(8).any(|part| part == b"somebody")), "{found:?}");
        drop(unacknowledged);
    });
}

/// The old name on disk may be gone before the new one is there.
#[test]
fn a_message_that_moves_within_the_queue_has_its_new_name_after_a_crash() {
    on_a_disk("ext2", &["deferred", "hold"], |disk, spool| {
        let id = message(spool, QueueName::Incoming, 100).sync().unwrap();
        spool.activate(&id, QueueName::Incoming).unwrap();
        spool.defer(&id, SystemTime::now()).unwrap();
        assert!(left(&disk.after_a_crash(), spool, QueueName::Deferred, &id).exists());
    });
    on_a_disk("ext2", &["deferred", "hold"], |disk, spool| {
        let id = message(spool, QueueName::Incoming, 100).sync().unwrap();
        spool.hold(&id, QueueName::Incoming).unwrap();
        spool.requeue(&id, QueueName::Hold).unwrap();
        assert!(left(&disk.after_a_crash(), spool, QueueName::Maildrop, &id).exists());
    });
}
