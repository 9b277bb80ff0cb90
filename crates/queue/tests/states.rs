//! The states of a message in a real directory: creation, commit, marks, transitions, scans, logs.

use std::fs;
use std::future::Future;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, SystemTime};

use queue::commit::Unsynced;
use queue::create::{INCOMPLETE, INCOMPLETE_MAILDROP};
use queue::delivery_log::{self, Entry};
use queue::storage::Names;
use queue::{
    Committer, Envelope, Hashing, Limits, NewFile, QueueId, QueueName, SizeRecord, Spool, Stamp, Trace, Type, mark,
};

/// A queue directory of its own, removed at the end.
struct Scratch {
    root: PathBuf,
    spool: Spool,
}

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("queue-test-{}-{number}", std::process::id()));
        for queue in QueueName::ALL {
            fs::create_dir_all(root.join(queue.as_str())).unwrap();
        }
        Self { spool: Spool::new(&root, Hashing::default()), root }
    }

    fn message(&self) -> NewFile {
        let mut file = NewFile::create(&self.spool, QueueName::Incoming, INCOMPLETE, false).unwrap();
        file.push_encoded(&SizeRecord::default().encode()).unwrap();
        file.push(Type::TIME, b"1795345978 892203").unwrap();
        file.push(Type::SENDER, b"alice@example.test").unwrap();
        file.push(Type::RECIPIENT, b"bob@example.test").unwrap();
        file.push(Type::MESSAGE, b"").unwrap();
        file
    }

    fn complete(&self) -> queue::create::Complete {
        let mut file = self.message();
        let data_offset = file.offset();
        file.push(Type::LINE, b"Subject: hi").unwrap();
        let data_size = file.offset() - data_offset;
        file.push(Type::EXTRACTED, b"").unwrap();
        file.push(Type::END, b"").unwrap();
        let size =
            SizeRecord { data_size, data_offset, recipients: 1, content_length: data_size, ..Default::default() };
        file.complete(&size).unwrap()
    }

    fn files(&self, queue: QueueName) -> Vec<QueueId> {
        self.spool.scan(queue).unwrap().map(|found| found.unwrap().id).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

struct Signal(mpsc::Sender<()>);

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let (sender, receiver) = mpsc::channel();
    let waker = Waker::from(Arc::new(Signal(sender)));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        receiver.recv().unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_new_file_has_a_name_that_tells_its_inode_and_an_incomplete_mode() {
    let scratch = Scratch::new();
    for long in [false, true] {
        let file = NewFile::create(&scratch.spool, QueueName::Incoming, INCOMPLETE, long).unwrap();
        let path = file.path();
        assert_eq!(file.id().inode(), Some(fs::metadata(&path).unwrap().ino()));
        assert_eq!(file.id().is_long(), long);
        assert_eq!(mode(&path), 0o600);
    }
}

#[test]
fn a_file_that_is_not_completed_leaves_nothing() {
    let scratch = Scratch::new();
    drop(scratch.message());
    drop(scratch.complete());
    assert_eq!(fs::read_dir(scratch.spool.queue(QueueName::Incoming)).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_synced_stays_and_can_be_read() {
    let scratch = Scratch::new();
    let id = scratch.complete().sync().unwrap();
    let path = scratch.spool.path(QueueName::Incoming, &id);
    assert_eq!(mode(&path), 0o700);
    let envelope = Envelope::read(fs::File::open(path).unwrap(), &Limits::default()).unwrap();
    assert_eq!(envelope.recipients[0].address, b"bob@example.test");
}

#[test]
fn a_submission_is_readable_by_pickup() {
    let scratch = Scratch::new();
    let mut file = NewFile::create(&scratch.spool, QueueName::Maildrop, INCOMPLETE_MAILDROP, false).unwrap();
    file.push(Type::END, b"").unwrap();
    let id = file.complete_submission().unwrap().sync().unwrap();
    assert_eq!(mode(&scratch.spool.path(QueueName::Maildrop, &id)), 0o744);
}

#[test]
fn a_long_message_can_be_overwritten_anywhere() {
    let scratch = Scratch::new();
    let mut file = NewFile::create(&scratch.spool, QueueName::Incoming, INCOMPLETE, false).unwrap();
    for _ in 0..3000 {
        file.push(Type::LINE, &[b'x'; 70]).unwrap();
    }
    assert_eq!(file.offset(), 3000 * 72);
    file.overwrite(0, b"A").unwrap();
    file.overwrite(2999 * 72, b"B").unwrap();
    file.overwrite(1000 * 72, b"C").unwrap();
    let path = file.path();
    file.flushed().unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!((bytes[0], bytes[2999 * 72], bytes[1000 * 72]), (b'A', b'B', b'C'));
    assert_eq!(bytes.len(), 3000 * 72);
}

#[test]
fn a_message_on_hold_is_moved_before_it_is_complete() {
    let scratch = Scratch::new();
    let mut file = scratch.message();
    file.move_to(QueueName::Hold).unwrap();
    assert!(scratch.files(QueueName::Incoming).is_empty());
    assert_eq!(file.path(), scratch.spool.path(QueueName::Hold, file.id()));
    assert_eq!(scratch.files(QueueName::Hold), [file.id().clone()]);
}

#[test]
fn messages_that_are_committed_together_all_stay() {
    let scratch = Scratch::new();
    let committer = Committer::start(scratch.spool.storage()).unwrap();
    let waiting: Vec<_> = (0..20).map(|_| Box::pin(scratch.complete().commit(&committer))).collect();
    let mut ids: Vec<_> = waiting.into_iter().map(|future| block_on(future).unwrap().id().clone()).collect();
    let mut found = scratch.files(QueueName::Incoming);
    ids.sort();
    found.sort();
    assert_eq!(ids, found);
}

#[test]
fn a_commit_that_fails_is_reported_and_leaves_no_message() {
    let scratch = Scratch::new();
    let committer = Committer::start(scratch.spool.storage()).unwrap();
    // A pipe cannot be forced to disk.
    let (reader, _writer) = std::io::pipe().unwrap();
    let file = fs::File::from(std::os::fd::OwnedFd::from(reader));
    assert!(block_on(committer.submit(Unsynced::new(file, Names::Follow).into())).is_err());
}

#[test]
fn a_commit_that_nobody_waits_for_any_more_removes_the_message() {
    let scratch = Scratch::new();
    let committer = Committer::start(scratch.spool.storage()).unwrap();
    drop(scratch.complete().commit(&committer));
    assert!(scratch.files(QueueName::Incoming).is_empty());
}

#[test]
fn a_recipient_is_marked_done_once_and_nothing_else_can_be() {
    let scratch = Scratch::new();
    let id = scratch.complete().sync().unwrap();
    let path = scratch.spool.path(QueueName::Incoming, &id);
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let envelope = Envelope::read(&file, &Limits::default()).unwrap();
    let offset = envelope.recipients[0].offset;
    mark::done(&file, offset).unwrap();
    mark::done(&file, offset).unwrap();
    let before = fs::read(&path).unwrap();
    assert!(mark::done(&file, offset + 1).is_err());
    assert!(mark::done(&file, 1 << 40).is_err());
    assert!(mark::warned(&file, offset).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
    let envelope = Envelope::read(&file, &Limits::default()).unwrap();
    assert_eq!((envelope.recipients.len(), envelope.finished), (0, 1));
}

#[test]
fn a_warning_and_a_trace_request_are_answered_in_place() {
    let scratch = Scratch::new();
    let path = scratch.root.join("file");
    let mut bytes = Vec::new();
    queue::record::encode(&mut bytes, Type::TIME, b"1 2");
    queue::record::encode(&mut bytes, Type::SENDER, b"");
    queue::record::encode(&mut bytes, Type::WARNING, format!("{:15}", 1_795_363_074).as_bytes());
    queue::record::encode_attribute(&mut bytes, "trace_flags", b"512");
    for kind in [Type::MESSAGE, Type::EXTRACTED, Type::END] {
        queue::record::encode(&mut bytes, kind, b"");
    }
    fs::write(&path, bytes).unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let read = || Envelope::read_submitted(&file, &Limits::default()).unwrap();
    assert_eq!(read().trace_flags.unwrap().value, Trace::USER_VERIFY);
    mark::warned(&file, read().warning_time.unwrap().offset).unwrap();
    mark::trace_answered(&file, read().trace_flags.unwrap().offset).unwrap();
    assert_eq!(read().warning_time.unwrap().value, -1);
    assert_eq!(read().trace_flags, None);
}

#[test]
fn a_message_goes_from_queue_to_queue_under_its_name() {
    let scratch = Scratch::new();
    let spool = &scratch.spool;
    let id = scratch.complete().sync().unwrap();
    spool.activate(&id, QueueName::Incoming).unwrap();
    let next = SystemTime::now() + Duration::from_secs(300);
    spool.defer(&id, next).unwrap();
    let deferred = spool.path(QueueName::Deferred, &id);
    let modified = fs::metadata(&deferred).unwrap().mtime();
    assert_eq!(modified as u64, next.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
    assert_eq!(scratch.files(QueueName::Deferred), std::slice::from_ref(&id));
    spool.hold(&id, QueueName::Deferred).unwrap();
    spool.force_expire(&id, QueueName::Hold).unwrap();
    assert_eq!(mode(&spool.path(QueueName::Hold, &id)), 0o710);
    spool.release(&id).unwrap();
    spool.activate(&id, QueueName::Deferred).unwrap();
    spool.reclaim(&id).unwrap();
    spool.requeue(&id, QueueName::Incoming).unwrap();
    spool.remove(&id, QueueName::Maildrop).unwrap();
    for queue in QueueName::ALL {
        assert!(scratch.files(queue).is_empty(), "{queue}");
    }
    assert!(spool.activate(&id, QueueName::Incoming).is_err());
}

#[test]
fn a_scan_passes_over_what_is_no_message() {
    let scratch = Scratch::new();
    let deferred = scratch.spool.queue(QueueName::Deferred);
    fs::create_dir_all(deferred.join("A/B")).unwrap();
    for name in ["A/A1234567", "A/B/AB1234567", "C1234567", "123.456", "A/.hidden"] {
        fs::write(deferred.join(name), b"").unwrap();
    }
    let mut names: Vec<_> = scratch.files(QueueName::Deferred).iter().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, ["A1234567", "AB1234567", "C1234567"]);
}

#[test]
fn a_log_is_written_as_postfix_writes_it_and_read_back() {
    let scratch = Scratch::new();
    let id = QueueId::parse(b"5768855217D").unwrap();
    let entry = Entry {
        recipient: b"later@defer.test".to_vec(),
        original: b"Later@defer.test".to_vec(),
        offset: 806,
        dsn: dsn::OriginalRecipient::of(b"later@defer.test"),
        status: b"4.4.1".to_vec(),
        action: b"delayed".to_vec(),
        reason: b"connect to 127.0.0.1[127.0.0.1]:1: Connection refused".to_vec(),
        ..Entry::default()
    };
    delivery_log::append(&scratch.spool, QueueName::Defer, &id, std::slice::from_ref(&entry), true).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/defer-log-5768855217D");
    let expected = fs::read(fixture).unwrap();
    assert_eq!(fs::read(scratch.root.join("defer/5/5768855217D")).unwrap(), expected);

    delivery_log::append(&scratch.spool, QueueName::Defer, &id, &[entry.clone(), Entry::default()], false).unwrap();
    let mut reader = delivery_log::open(&scratch.spool, QueueName::Defer, &id).unwrap().unwrap();
    for _ in 0..2 {
        assert_eq!(reader.next_entry().unwrap().unwrap(), Entry { original: Vec::new(), ..entry.clone() });
    }
    let last = reader.next_entry().unwrap().unwrap();
    assert_eq!((last.recipient.as_slice(), last.status.as_slice()), (&b""[..], &b"4.0.0"[..]));
    assert_eq!(last.reason, b"(description unavailable)");
    assert!(reader.next_entry().unwrap().is_none());

    delivery_log::empty(&scratch.spool, QueueName::Defer, &id).unwrap();
    assert_eq!(delivery_log::open(&scratch.spool, QueueName::Defer, &id).unwrap().unwrap().next_entry().unwrap(), None);
    assert!(delivery_log::remove(&scratch.spool, QueueName::Defer, &id).unwrap());
    delivery_log::empty(&scratch.spool, QueueName::Defer, &id).unwrap();
    assert!(!delivery_log::remove(&scratch.spool, QueueName::Defer, &id).unwrap());
    assert!(delivery_log::open(&scratch.spool, QueueName::Defer, &id).unwrap().is_none());
}

#[test]
fn a_log_that_begins_anew_has_nothing_of_the_old_one_and_a_defer_log_that_says_the_same_is_not_touched() {
    let scratch = Scratch::new();
    let id = QueueId::parse(b"5768855217D").unwrap();
    let [one, two] = [b"r1@a.test", b"r2@a.test"].map(|r| Entry { recipient: r.to_vec(), ..Entry::default() });
    for queue in [QueueName::Defer, QueueName::Bounce] {
        let path = scratch.spool.path(queue, &id);
        let both = [[one.clone(), two.clone()], [two.clone(), one.clone()]];
        for entries in [&both[0][..], from_ref(&one), from_ref(&two), &both[1]] {
            delivery_log::begin(&scratch.spool, queue, &id, entries, true).unwrap();
            let expected: Vec<u8> = entries.iter().flat_map(|entry| entry.encode(true)).collect();
            assert_eq!(fs::read(&path).unwrap(), expected);
        }
    }
    let log = || Stamp::of(&fs::metadata(scratch.spool.path(QueueName::Defer, &id)).unwrap());
    let before = log();
    delivery_log::begin(&scratch.spool, QueueName::Defer, &id, &[two.clone(), one.clone()], true).unwrap();
    assert_eq!(log(), before);
    delivery_log::append(&scratch.spool, QueueName::Defer, &id, &[one], true).unwrap();
    assert_ne!(log(), before);
}

#[test]
fn a_field_of_a_log_comes_back_whole_or_is_unavailable() {
    let scratch = Scratch::new();
    let id = QueueId::parse(b"ABC").unwrap();
    let entry = |length| Entry { recipient: vec![b'a'; length], status: b"5.1.1".to_vec(), ..Entry::default() };
    let entries = [entry(600_000), entry(1 << 20), entry(5)];
    delivery_log::append(&scratch.spool, QueueName::Bounce, &id, &entries, false).unwrap();
    let mut reader = delivery_log::open(&scratch.spool, QueueName::Bounce, &id).unwrap().unwrap();
    let recipients: Vec<Vec<u8>> =
        std::iter::from_fn(|| reader.next_entry().unwrap()).map(|entry| entry.recipient).collect();
    assert_eq!(recipients, [vec![b'a'; 600_000], b"(recipient address unavailable)".to_vec(), vec![b'a'; 5]]);
}
