//! Lists of queues with files that a real system wrote, and of what happens to a queue between two lists.

use std::fs::{self, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::Config;
use queue::delivery_log::{self, Entry};
use queue::{FORCE_EXPIRE, Hashing, QueueId, QueueName, SizeRecord, Spool, Type, mark, record};
use wire::showq::{Header, Reader, Recipient};

use crate::service::Showq;
use crate::source::Source;

type Listed = Vec<(Header, Vec<Recipient>)>;

/// A queue of its own, removed at the end, and the daemon that lists it.
struct Queue(PathBuf, Showq);

impl Queue {
    fn new(name: &str, level: &str) -> Self {
        Self::with(name, level, SystemTime::now)
    }

    /// A queue in which nothing has changed for an hour.
    fn settled(name: &str) -> Self {
        Self::with(name, "3.11", || SystemTime::now() + Duration::from_secs(3600))
    }

    fn with(name: &str, level: &str, clock: fn() -> SystemTime) -> Self {
        let root = std::env::temp_dir().join(format!("showq-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let spool = Spool::new(&root, Hashing::default());
        let text = format!("compatibility_level = {level}\n");
        let config = Config::parse(text.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
        let mut source = Source::new(&config, spool).unwrap();
        source.clock = clock;
        Self(root, Showq::of(source))
    }

    fn path(&self, queue: QueueName, id: &str) -> PathBuf {
        let path = self.1.source.spool.path(queue, &name(id));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn put(&self, queue: QueueName, id: &str, fixture: &str, mode: u32) {
        let path = self.path(queue, id);
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/queue/tests/fixtures");
        fs::copy(fixtures.join(fixture), &path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    /// The message with one recipient that waits, and its log.
    fn put_deferred(&self, id: &str) {
        self.put(QueueName::Deferred, id, "deferred-5768855217D", 0o700);
        self.put(QueueName::Defer, id, "defer-log-5768855217D", 0o600);
    }

    /// A message that waits for so many recipients.
    fn put_long(&self, id: &str, recipients: usize) {
        let mut envelope = Vec::new();
        record::encode(&mut envelope, Type::TIME, b"1795348674 0");
        record::encode(&mut envelope, Type::SENDER, b"long@example.test");
        for number in 0..recipients {
            record::encode(&mut envelope, Type::RECIPIENT, format!("recipient{number}@defer.test").as_bytes());
        }
        record::encode(&mut envelope, Type::MESSAGE, b"");
        let data_offset = SizeRecord::default().encode().len() + envelope.len();
        let size = SizeRecord { data_offset: data_offset as u64, ..SizeRecord::default() };
        let mut file = [size.encode(), envelope].concat();
        record::encode(&mut file, Type::EXTRACTED, b"");
        record::encode(&mut file, Type::END, b"");
        let path = self.path(QueueName::Deferred, id);
        fs::write(&path, file).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    }

    fn list(&self) -> Listed {
        let mut out = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(self.1.list(&mut out)).unwrap();
        let mut reader = Reader::new(out.as_slice()).unwrap();
        let mut found = Vec::new();
        while let Some(header) = reader.next_message().unwrap() {
            let mut recipients = Vec::new();
            while let Some(recipient) = reader.next_recipient().unwrap() {
                recipients.push(recipient);
            }
            found.push((header, recipients));
        }
        found
    }

    /// How many messages are kept for the next list.
    fn kept(&self) -> usize {
        self.1.source.cache().len()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn name(id: &str) -> QueueId {
    QueueId::parse(id.as_bytes()).unwrap()
}

/// Does something to a file until the clock for files has moved on.
fn change(path: &Path, action: impl Fn()) {
    let changed = || fs::metadata(path).map(|now| (now.ctime(), now.ctime_nsec())).ok();
    let before = changed();
    action();
    while changed().is_some() && changed() == before {
        action();
    }
}

/// Overwrites bytes of a file that stays as long as it was.
fn overwrite(path: &Path, old: &[u8], new: &[u8]) {
    assert_eq!(old.len(), new.len());
    let at = fs::read(path).unwrap().windows(old.len()).position(|part| part == old).unwrap();
    change(path, || {
        let mut file = fs::File::options().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(new).unwrap();
    });
}

/// The queue, sender, recipients and reasons of the only message.
fn only(list: &Listed) -> (String, String, Vec<(String, String)>) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let [(header, recipients)] = list.as_slice() else { panic!("{list:?}") };
    let recipients = recipients.iter().map(|one| (text(&one.address), text(&one.reason))).collect();
    (text(&header.queue_name), text(&header.sender), recipients)
}

#[test]
fn a_deferred_message_is_listed_with_the_reason_of_its_log() {
    let queue = Queue::new("deferred", "3.11");
    queue.put(QueueName::Deferred, "5768855217D", "deferred-5768855217D", 0o710);
    queue.put(QueueName::Defer, "5768855217D", "defer-log-5768855217D", 0o600);
    let list = queue.list();
    let [(header, recipients)] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!((header.size, header.time, header.forced_expire), (338, 1_795_348_674, true));
    assert_eq!(header.sender, b"alice@example.test");
    let [recipient] = recipients.as_slice() else { panic!("{recipients:?}") };
    assert_eq!(recipient.modern, Some((b"".to_vec(), b"defer".to_vec())));
    assert_eq!(recipient.address, b"later@defer.test");
    assert_eq!(recipient.reason, b"connect to 127.0.0.1[127.0.0.1]:1: Connection refused");
}

#[test]
fn without_a_log_a_recipient_has_no_reason() {
    let queue = Queue::new("hold", "3.6");
    queue.put(QueueName::Hold, "936CE55217E", "deferred-936CE55217E", 0o700);
    let list = queue.list();
    assert_eq!(list[0].0.sender, b"MAILER-DAEMON");
    let expected = Recipient { modern: None, address: b"later@defer.test".to_vec(), reason: Vec::new() };
    assert_eq!(list[0].1, [expected]);
}

#[test]
fn submissions_are_listed_and_what_is_incomplete_or_damaged_is_not() {
    let queue = Queue::new("maildrop", "3.11");
    queue.put(QueueName::Maildrop, "A63DC552175", "maildrop-A63DC552175", 0o744);
    queue.put(QueueName::Maildrop, "889B9552174", "maildrop-889B9552174", 0o644);
    queue.put(QueueName::Incoming, "ABCDEF", "deferred-936CE55217E.postcat", 0o700);
    queue.put(QueueName::Active, "4jXSJ76dbkzp2ys", "deferred-4jXSJ76dbkzp2ys", 0o700);
    let list = queue.list();
    let names: Vec<_> = list.iter().map(|(header, _)| header.queue_name.as_slice()).collect();
    assert_eq!(names, [b"maildrop".as_slice(), b"active"]);
    assert_eq!(list[0].0.size, 5175);
    assert_eq!(list[0].1.len(), 2);
    assert_eq!(list[1].1[0].modern, Some((b"x@defer.test".to_vec(), b"".to_vec())));
}

/// When the file was read the last time, as far as the system says.
fn accessed(path: &Path) -> (i64, i64) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.atime(), metadata.atime_nsec())
}

const ID: &str = "5768855217D";
const REFUSED: &str = "connect to 127.0.0.1[127.0.0.1]:1: Connection refused";

#[test]
fn what_has_not_changed_is_not_read_again() {
    let queue = Queue::settled("unchanged");
    queue.put_deferred(ID);
    let first = queue.list();
    assert_eq!((queue.list(), queue.kept()), (first, 1));
    // What is kept is what is sent: nothing else tells it from the files.
    let mut other = wire::showq::Writer::part();
    other.message(&Header { queue_name: b"deferred".into(), sender: b"from@memory".into(), ..Header::default() });
    other.end_message();
    queue.1.source.cache().replace_all(other.pending());
    assert_eq!(only(&queue.list()), ("deferred".to_owned(), "from@memory".to_owned(), Vec::new()));
}

#[test]
fn what_operators_do_between_two_lists_is_in_the_second() {
    let queue = Queue::settled("operators");
    let spool = queue.1.source.spool.clone();
    queue.put_deferred(ID);
    let later = [("later@defer.test".to_owned(), REFUSED.to_owned())];
    let shown = |queue: &str, sender: &str| (queue.to_owned(), sender.to_owned(), later.to_vec());
    assert_eq!(only(&queue.list()), shown("deferred", "alice@example.test"));
    queue.path(QueueName::Hold, ID);
    spool.hold(&name(ID), QueueName::Deferred).unwrap();
    assert_eq!(only(&queue.list()), shown("hold", "alice@example.test"));
    assert_eq!(queue.kept(), 1);
    spool.release(&name(ID)).unwrap();
    assert_eq!(only(&queue.list()), shown("deferred", "alice@example.test"));
    let path = queue.path(QueueName::Deferred, ID);
    overwrite(&path, b"S\x12alice", b"S\x12alisa");
    assert_eq!(only(&queue.list()), shown("deferred", "alisa@example.test"));
    // An editor that makes a new file, and keeps the time of the old one.
    let edited = fs::read(&path).unwrap();
    let times = fs::metadata(&path).unwrap().modified().unwrap();
    let other = queue.path(QueueName::Deferred, "other");
    fs::write(&other, bstr::ByteSlice::replace(edited.as_slice(), "alisa", "alina")).unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o700)).unwrap();
    fs::File::options().write(true).open(&other).unwrap().set_modified(times).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(only(&queue.list()), shown("deferred", "alina@example.test"));
    change(&path, || fs::set_permissions(&path, Permissions::from_mode(0o700 | FORCE_EXPIRE)).unwrap());
    assert!(queue.list()[0].0.forced_expire);
    fs::remove_file(&path).unwrap();
    assert_eq!((queue.list(), queue.kept()), (Vec::new(), 0));
}

#[test]
fn what_deliveries_do_between_two_lists_is_in_the_second() {
    let queue = Queue::settled("deliveries");
    let spool = queue.1.source.spool.clone();
    queue.put_long(ID, 2);
    let path = queue.path(QueueName::Deferred, ID);
    let recipients = |queue: &Queue| only(&queue.list()).2;
    let waits = |number: usize, reason: &str| (format!("recipient{number}@defer.test"), reason.to_owned());
    assert_eq!(recipients(&queue), [waits(0, ""), waits(1, "")]);
    // The first recipient is delivered.
    let file = fs::File::options().read(true).write(true).open(&path).unwrap();
    let envelope = queue::Envelope::read(&file, &queue::Limits::default()).unwrap();
    mark::done(&file, envelope.recipients[0].offset).unwrap();
    change(&path, || fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap());
    assert_eq!(recipients(&queue), [waits(1, "")]);
    // The second one is deferred, twice, for reasons of the same length.
    let log = queue.path(QueueName::Defer, ID);
    for reason in ["busy", "down"] {
        change(&log, || {
            let entry = Entry { recipient: b"recipient1@defer.test".into(), reason: reason.into(), ..Entry::default() };
            delivery_log::empty(&spool, QueueName::Defer, &name(ID)).unwrap();
            delivery_log::append(&spool, QueueName::Defer, &name(ID), &[entry], true).unwrap();
        });
        assert_eq!(recipients(&queue), [waits(1, reason)]);
        assert_eq!((recipients(&queue), queue.kept()), (vec![waits(1, reason)], 1));
    }
    // The next attempt begins, and a bounce log appears.
    delivery_log::empty(&spool, QueueName::Defer, &name(ID)).unwrap();
    assert_eq!(recipients(&queue), [waits(1, "")]);
    queue.put(QueueName::Bounce, ID, "defer-log-5768855217D", 0o600);
    assert_eq!(recipients(&queue), [("later@defer.test".to_owned(), REFUSED.to_owned()), waits(1, "")]);
    delivery_log::remove(&spool, QueueName::Bounce, &name(ID)).unwrap();
    assert_eq!(recipients(&queue), [waits(1, "")]);
}

#[test]
fn a_list_leaves_no_trace_at_the_files() {
    let queue = Queue::settled("traces");
    queue.put_deferred(ID);
    let message = queue.path(QueueName::Deferred, ID);
    let (read, next) = (UNIX_EPOCH + Duration::from_secs(1_000_000), SystemTime::now() + Duration::from_secs(4000));
    let times = fs::FileTimes::new().set_accessed(read).set_modified(next);
    fs::File::options().write(true).open(&message).unwrap().set_times(times).unwrap();
    let listed = queue.list().len();
    assert_eq!((listed, accessed(&message)), (1, (1_000_000, 0)));
}

#[test]
fn what_has_changed_a_moment_ago_is_read_again() {
    let queue = Queue::new("moment", "3.11");
    queue.put_deferred(ID);
    assert_eq!((queue.list().len(), queue.kept()), (1, 0));
}

#[test]
fn what_does_not_fit_is_read_from_its_files() {
    let queue = Queue::settled("full");
    queue.1.source.cache().hold_at_most(1000);
    (0..20).for_each(|number| queue.put_deferred(&format!("{number:05X}ABC")));
    let first = queue.list();
    assert!((1..20).contains(&queue.kept()), "{}", queue.kept());
    assert_eq!(first.len(), 20);
    assert!(queue.list().iter().all(|(_, recipients)| recipients[0].reason == REFUSED.as_bytes()));
    assert_eq!(queue.list().len(), 20);
}

#[test]
fn a_long_message_is_listed_to_its_end_among_others_and_is_not_kept() {
    let queue = Queue::settled("long");
    queue.put_deferred("00000AAA");
    queue.put_long("00001AAA", 12_000);
    queue.put_long("00002AAA", 6_000);
    queue.put_deferred("00003AAA");
    for _ in 0..2 {
        let mut list = queue.list();
        list.sort_by(|a, b| a.0.queue_id.cmp(&b.0.queue_id));
        let counts: Vec<usize> = list.iter().map(|(_, recipients)| recipients.len()).collect();
        assert_eq!((counts, queue.kept()), (vec![1, 12_000, 6_000, 1], 2));
        let addresses = list[1].1.iter().map(|recipient| recipient.address.clone());
        assert!(addresses.eq((0..12_000).map(|number| format!("recipient{number}@defer.test").into_bytes())));
    }
}

#[test]
fn every_message_of_a_long_queue_is_listed_once_with_its_reason() {
    let queue = Queue::settled("many");
    let names: Vec<String> = (0..500).map(|number| format!("{:05X}ABC", number * 2003)).collect();
    names.iter().for_each(|id| queue.put_deferred(id));
    queue.put(QueueName::Deferred, "00000DEF", "deferred-936CE55217E", 0o700);
    for _ in 0..2 {
        let mut list = queue.list();
        list.sort_by(|a, b| a.0.queue_id.cmp(&b.0.queue_id));
        let with_reason = list.iter().filter(|(_, recipients)| !recipients[0].reason.is_empty());
        let mut expected: Vec<_> = names.iter().map(|id| id.clone().into_bytes()).collect();
        expected.sort();
        assert!(with_reason.map(|(header, _)| header.queue_id.clone()).eq(expected));
        assert_eq!((list.len(), queue.kept()), (501, 501));
    }
}

#[test]
fn a_message_whose_log_cannot_be_read_does_not_take_others_with_it() {
    let queue = Queue::settled("broken");
    queue.put_deferred("00000AAA");
    queue.put(QueueName::Deferred, "00001AAA", "deferred-5768855217D", 0o700);
    fs::create_dir(queue.path(QueueName::Defer, "00001AAA")).unwrap();
    queue.put_deferred("00002AAA");
    for _ in 0..2 {
        let mut counts: Vec<_> = queue.list().into_iter().map(|(header, all)| (header.queue_id, all.len())).collect();
        counts.sort();
        assert_eq!(counts, [(b"00000AAA".to_vec(), 1), (b"00001AAA".to_vec(), 0), (b"00002AAA".to_vec(), 1)]);
        assert_eq!(queue.kept(), 2);
    }
}
