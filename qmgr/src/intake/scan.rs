//! Reading queue directories, which may wait for the disk: the one thing that the queue manager does in a thread of its
//! own. A thread that fails has found nothing; what it should have found is there at the next scan.

use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use queue::scan::Found;
use queue::{QueueId, QueueName, Spool};

/// A message in the deferred queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferred {
    /// Its name.
    pub id: QueueId,
    /// When it is due, seconds since the epoch.
    pub due: i64,
}

/// The messages that are due first, and what is known of the others.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Earliest {
    /// Not more than asked for, in no order.
    pub messages: Vec<Deferred>,
    /// When the first of those that were left out is due.
    pub horizon: Option<i64>,
}

/// When the deferred queue's directories changed: equal values mean that no name has come or gone in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryTimes(Vec<(Vec<u8>, Option<SystemTime>)>);

/// Looks into the queues.
pub struct Scanner {
    spool: Spool,
}

impl Scanner {
    /// For the queues of this directory.
    pub fn new(spool: Spool) -> Self {
        Self { spool }
    }

    /// Moves what a former queue manager had in the active queue back to the incoming queue.
    pub async fn empty_active(&self) {
        if let Some(Err(error)) = self.in_thread(empty_active).await {
            logging::warning!("scan active queue: {error}", error = text::system_error(&error));
        }
    }

    /// The first `limit` names in the incoming queue, and whether there are more.
    pub async fn incoming(&self, limit: usize) -> Option<(Vec<QueueId>, bool)> {
        self.in_thread(move |spool| incoming(spool, limit)).await
    }

    /// So many messages of the deferred queue with their times: those that are due first.
    pub async fn deferred(&self, limit: usize) -> Option<Earliest> {
        self.in_thread(move |spool| earliest(due_times(spool, names(spool, QueueName::Deferred)), limit)).await
    }

    /// The names of all messages of the deferred queue, if they are not more than `limit`.
    pub async fn deferred_names(&self, limit: usize) -> Option<Vec<QueueId>> {
        let found = self.in_thread(move |spool| -> Vec<QueueId> {
            // told: the caller, who gets nothing.
            names(spool, QueueName::Deferred).take(limit + 1).collect()
        });
        found.await.filter(|names| names.len() <= limit)
    }

    /// The first `limit` names of the deferred queue behind a name, in their order.
    pub async fn deferred_behind(&self, last: Option<QueueId>, limit: usize) -> Option<Vec<QueueId>> {
        self.in_thread(move |spool| {
            let behind = names(spool, QueueName::Deferred).filter(|id| last.as_ref().is_none_or(|last| id > last));
            let mut first = smallest(behind, limit).0;
            first.sort_unstable();
            first
        })
        .await
    }

    /// When these messages are due; what is gone or incomplete is left out.
    pub async fn due_times(&self, names: Vec<QueueId>) -> Option<Vec<Deferred>> {
        self.in_thread(move |spool| due_times(spool, names.into_iter()).collect()).await
    }

    /// When the directories of the deferred queue have changed.
    pub async fn directory_times(&self) -> DirectoryTimes {
        self.in_thread(directory_times).await.unwrap_or_default()
    }

    async fn in_thread<T: Send + 'static>(&self, work: impl FnOnce(&Spool) -> T + Send + 'static) -> Option<T> {
        let spool = self.spool.clone();
        tokio::task::spawn_blocking(move || work(&spool)).await.ok()
    }
}

/// A file that cannot be moved is logged, and stays.
fn empty_active(spool: &Spool) -> io::Result<()> {
    for found in spool.scan(QueueName::Active)? {
        let found = found?;
        if !is_settled(spool, QueueName::Active, &found) {
            continue;
        }
        match spool.reclaim(&found.id) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                logging::warning!(id: found.id, "active to incoming: {error}", error = text::system_error(&error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn incoming(spool: &Spool, limit: usize) -> (Vec<QueueId>, bool) {
    // told: the caller, who looks again.
    let mut names: Vec<QueueId> = names(spool, QueueName::Incoming).take(limit.saturating_add(1)).collect();
    let more = names.len() > limit;
    // told: see above.
    names.truncate(limit);
    (names, more)
}

fn earliest(found: impl Iterator<Item = Deferred>, limit: usize) -> Earliest {
    let by_time = found.map(|Deferred { id, due }| (due, id));
    let (first, next) = smallest(by_time, limit);
    let messages = first.into_iter().map(|(due, id)| Deferred { id, due }).collect();
    Earliest { messages, horizon: next.map(|(due, _)| due) }
}

/// The smallest of some values, in no order, and the smallest of the rest. No more than these are in memory at a time.
fn smallest<T: Ord>(values: impl Iterator<Item = T>, limit: usize) -> (Vec<T>, Option<T>) {
    let (mut heap, mut next) = (BinaryHeap::new(), None);
    for value in values {
        heap.push(value);
        if heap.len() > limit
            && let Some(largest) = heap.pop()
        {
            next = Some(match next {
                Some(known) => largest.min(known),
                None => largest,
            });
        }
    }
    (heap.into_vec(), next)
}

fn due_times(spool: &Spool, names: impl Iterator<Item = QueueId>) -> impl Iterator<Item = Deferred> {
    names.filter_map(|id| {
        let found = fs::symlink_metadata(spool.path(QueueName::Deferred, &id)).ok()?;
        let complete = found.is_file() && found.mode() & 0o700 == 0o700;
        complete.then(|| Deferred { id, due: found.mtime() })
    })
}

/// The names in one queue. What lies where other settings have put it (hash_queue_depth, hash_queue_names) is moved, so
/// that it is found by its name from here on; a directory that is still to be read may show it once more.
fn names(spool: &Spool, queue: QueueName) -> impl Iterator<Item = QueueId> + use<> {
    let mover = spool.clone();
    let scan = spool.scan(queue).inspect_err(|error| {
        logging::warning!("open {queue}: {error}", error = text::system_error(error));
    });
    let found = scan.into_iter().flatten().filter_map(Result::ok);
    found.filter(move |found| is_settled(&mover, queue, found)).map(|found| found.id)
}

fn is_settled(spool: &Spool, queue: QueueName, found: &Found) -> bool {
    spool.settle(queue, found).unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            let (path, error) = (found.path.display(), text::system_error(&error));
            logging::warning!(id: found.id, "{path} is not where it should be, and cannot be moved: {error}");
        }
        false
    })
}

fn directory_times(spool: &Spool) -> DirectoryTimes {
    let root = spool.queue(QueueName::Deferred);
    let mut times = Vec::new();
    note_times(&root, spool.depth(QueueName::Deferred), &mut times);
    times.sort();
    DirectoryTimes(times)
}

fn note_times(directory: &Path, depth: usize, times: &mut Vec<(Vec<u8>, Option<SystemTime>)>) {
    let modified = fs::metadata(directory).and_then(|found| found.modified()).ok();
    times.push((directory.as_os_str().as_encoded_bytes().to_vec(), modified));
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        // Subdirectories of a hashed queue have names of one character.
        if entry.file_name().len() == 1 {
            note_times(&entry.path(), depth - 1, times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use queue::Hashing;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    fn spool(name: &str) -> (Spool, PathBuf) {
        let root = std::env::temp_dir().join(format!("qmgr-scan-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for queue in ["incoming", "active", "deferred/A", "deferred/B"] {
            fs::create_dir_all(root.join(queue)).unwrap();
        }
        (Spool::new(&root, Hashing::default()), root)
    }

    fn put(path: PathBuf, mode: u32) {
        fs::write(&path, b"x").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn messages_that_lie_where_other_settings_have_put_them_are_found_and_moved() {
        let (spool, root) = spool("settings");
        fs::create_dir_all(root.join("deferred/A/1")).unwrap();
        fs::create_dir_all(root.join("active/B")).unwrap();
        put(root.join("deferred/A/1/A1234567"), 0o700);
        put(root.join("deferred/C1234567"), 0o700);
        put(root.join("active/B/B1234567"), 0o700);
        empty_active(&spool).unwrap();
        assert!(root.join("incoming/B1234567").exists());
        let mut found: Vec<String> = names(&spool, QueueName::Deferred).map(|id| id.as_str().to_owned()).collect();
        found.sort();
        // One that moves ahead of the scan is seen twice.
        found.dedup();
        assert_eq!(found, ["A1234567", "C1234567"]);
        let right = |id: &str| spool.path(QueueName::Deferred, &QueueId::parse(id.as_bytes()).unwrap()).exists();
        assert!(right("A1234567") && right("C1234567"));
        // Somebody is writing it.
        fs::create_dir_all(root.join("incoming/D")).unwrap();
        put(root.join("incoming/D/D1234567"), 0o600);
        assert_eq!(incoming(&spool, 10).0.len(), 1);
        assert!(root.join("incoming/D/D1234567").exists());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_active_queue_is_emptied_into_the_incoming_queue() {
        let (spool, root) = spool("active");
        put(root.join("active/A1234567"), 0o700);
        empty_active(&spool).unwrap();
        assert_eq!(incoming(&spool, 10).0.len(), 1);
        assert!(incoming(&spool, 0).1);
        assert_eq!(names(&spool, QueueName::Active).count(), 0);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn incomplete_files_are_not_deferred_mail() {
        let (spool, root) = spool("deferred");
        put(root.join("deferred/A/A1234567"), 0o700);
        put(root.join("deferred/B/B1234567"), 0o600);
        let found: Vec<Deferred> = due_times(&spool, names(&spool, QueueName::Deferred)).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id.as_str(), "A1234567");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn of_a_long_queue_the_messages_that_are_due_first_are_taken_and_the_next_time_is_known() {
        let deferred = |due: i64| Deferred { id: QueueId::parse(format!("A{due}").as_bytes()).unwrap(), due };
        let found = |limit| {
            let mut found = earliest([50, 10, 40, 20, 30].into_iter().map(deferred), limit);
            found.messages.sort_by_key(|message| message.due);
            found
        };
        assert_eq!(found(3), Earliest { messages: vec![deferred(10), deferred(20), deferred(30)], horizon: Some(40) });
        assert_eq!((found(5).messages.len(), found(5).horizon), (5, None));
        assert_eq!(found(0), Earliest { messages: vec![], horizon: Some(10) });
    }

    #[test]
    fn a_name_that_comes_or_goes_changes_the_directory_times() {
        let (spool, root) = spool("times");
        let before = directory_times(&spool);
        assert_eq!(before, directory_times(&spool));
        put(root.join("deferred/A/A1234567"), 0o700);
        assert_ne!(before, directory_times(&spool));
        fs::remove_dir_all(root).unwrap();
    }
}
