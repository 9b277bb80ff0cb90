//! Where queue files are: `QUEUE/ID`, or `QUEUE/X/ID` in a hashed queue.
//!
//! A path is made from a [`QueueName`] and a [`QueueId`] alone, so that nothing that came from outside can name a file
//! elsewhere. The position that the settings imply is the only one that is looked at; `postsuper -s` moves files when
//! the settings changed.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::QueueId;
use crate::storage::Storage;

/// A directory of the queue. Message queues hold queue files; log queues hold per-message logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum QueueName {
    /// Being received (mode 0600), or complete (0700) and not yet seen by the queue manager.
    Incoming,
    /// Opened by the queue manager.
    Active,
    /// Waiting for the time in its modification time.
    Deferred,
    /// Frozen until an operator releases it.
    Hold,
    /// Files that could not be understood.
    Corrupt,
    /// What local users submitted; written by postdrop, read by pickup.
    Maildrop,
    /// Log of the recipients of a message that failed.
    Bounce,
    /// Log of the recipients of a message that wait.
    Defer,
    /// Log of the recipients of a message whose sender asked for a report.
    Trace,
    /// Per destination, the messages that wait for it.
    Flush,
    /// Files that would have been removed (`dont_remove`).
    Saved,
}

impl QueueName {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Incoming,
        Self::Active,
        Self::Deferred,
        Self::Hold,
        Self::Corrupt,
        Self::Maildrop,
        Self::Bounce,
        Self::Defer,
        Self::Trace,
        Self::Flush,
        Self::Saved,
    ];

    /// The directory's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Active => "active",
            Self::Deferred => "deferred",
            Self::Hold => "hold",
            Self::Corrupt => "corrupt",
            Self::Maildrop => "maildrop",
            Self::Bounce => "bounce",
            Self::Defer => "defer",
            Self::Trace => "trace",
            Self::Flush => "flush",
            Self::Saved => "saved",
        }
    }

    /// The queue with this directory name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == name)
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which queues have subdirectories.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hashing {
    /// `hash_queue_names`; names that are no queue are of no effect.
    pub names: Vec<String>,
    /// `hash_queue_depth`: levels of one-character subdirectories.
    pub depth: usize,
}

impl Default for Hashing {
    /// Postfix's defaults: `deferred, defer`, one level.
    fn default() -> Self {
        Self { names: vec!["deferred".into(), "defer".into()], depth: 1 }
    }
}

/// The queue directory: its path and how its queues are hashed.
///
/// Daemons have the queue directory as their working directory and use `.` for the path.
#[derive(Clone, Debug)]
pub struct Spool {
    root: PathBuf,
    hashing: Hashing,
    storage: Storage,
}

impl Spool {
    /// The queue directory at `root` (`queue_directory`). To be made before a sandbox is entered: it looks up what kind
    /// of file system that is.
    pub fn new(root: impl Into<PathBuf>, hashing: Hashing) -> Self {
        let root = root.into();
        // Paths appear in warnings as Postfix writes them: without a leading "./".
        let root = if root == Path::new(".") { PathBuf::new() } else { root };
        Self { storage: Storage::of(&root), root, hashing }
    }

    /// `queue_directory`, empty when it is the working directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the file system of the queue directory promises.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// The directory of one queue.
    pub fn queue(&self, queue: QueueName) -> PathBuf {
        self.root.join(queue.as_str())
    }

    /// The number of subdirectory levels of one queue.
    pub fn depth(&self, queue: QueueName) -> usize {
        // maildrop is written by an unprivileged program that must not make directories.
        let hashed = queue != QueueName::Maildrop && self.hashing.names.iter().any(|name| name == queue.as_str());
        if hashed { self.hashing.depth } else { 0 }
    }

    /// The file of message `id` in one queue.
    pub fn path(&self, queue: QueueName, id: &QueueId) -> PathBuf {
        let depth = self.depth(queue);
        let mut path = String::with_capacity(16 + 2 * depth + id.as_str().len());
        path.push_str(queue.as_str());
        path.push('/');
        // told: nobody; so many levels there are.
        for character in id.hash_characters().take(depth) {
            path.push(char::from(character));
            path.push('/');
        }
        path.push_str(id.as_str());
        self.root.join(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(queue: QueueName, id: &str, depth: usize) -> String {
        let hashing = Hashing { depth, ..Hashing::default() };
        let spool = Spool::new("", hashing);
        spool.path(queue, &QueueId::parse(id.as_bytes()).unwrap()).display().to_string()
    }

    #[test]
    fn a_hashed_queue_has_one_subdirectory_a_level() {
        assert_eq!(path(QueueName::Deferred, "DAD8C552116", 1), "deferred/D/DAD8C552116");
        assert_eq!(path(QueueName::Deferred, "DAD8C552116", 2), "deferred/D/A/DAD8C552116");
        assert_eq!(path(QueueName::Deferred, "4jXRJr3hS0zp2vF", 1), "deferred/7/4jXRJr3hS0zp2vF");
        assert_eq!(path(QueueName::Deferred, "AB", 3), "deferred/A/B/_/AB");
    }

    #[test]
    fn a_queue_that_is_not_listed_is_flat() {
        assert_eq!(path(QueueName::Active, "DAD8C552116", 1), "active/DAD8C552116");
    }

    #[test]
    fn maildrop_is_flat_whatever_the_settings_say() {
        let hashing = Hashing { names: vec!["maildrop".into()], depth: 1 };
        let spool = Spool::new(".", hashing);
        let id = QueueId::parse(b"DAD8C552116").unwrap();
        assert_eq!(spool.path(QueueName::Maildrop, &id), Path::new("maildrop/DAD8C552116"));
    }

    #[test]
    fn every_queue_is_found_by_its_name() {
        for queue in QueueName::ALL {
            assert_eq!(QueueName::parse(queue.as_str()), Some(queue));
        }
        assert_eq!(QueueName::parse("private"), None);
    }
}
