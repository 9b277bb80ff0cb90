//! Which file it is, and in which state: what has not changed need not be read again.
//!
//! The kernel's clock for files goes in steps, of some milliseconds on a local disk and of one or two seconds on
//! others: a file that changes twice within a step looks as if it had changed once. So what was read of a file is kept
//! only when its last change was two seconds ago before it was opened.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest step of a clock for files.
const STEP: Duration = Duration::from_secs(2);

/// A file in one of its states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    inode: u64,
    size: u64,
    mode: u32,
    /// Nanoseconds.
    modified: i64,
    /// Nanoseconds; the kernel's own, which nobody can set.
    changed: i64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn was_settled(&self, moment: SystemTime) -> bool {
        let age = moment.checked_sub(STEP).and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
        age.is_some_and(|age| i128::from(self.changed) < age.as_nanos() as i128)
    }
}

/// A message: its file and its logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    file: Stamp,
    /// In the order of [`Logs::ORDER`](crate::logs::Logs::ORDER); those that there are.
    pub(crate) logs: [Option<Stamp>; 2],
}

impl Identity {
    /// A message without logs.
    pub(crate) fn of(file: Stamp) -> Self {
        Self { file, logs: [None; 2] }
    }

    /// Whether nothing of it had changed for a while at this moment: what was read later belongs to this identity, or
    /// to another one.
    pub(crate) fn was_settled(&self, moment: SystemTime) -> bool {
        self.logs.iter().flatten().chain([&self.file]).all(|stamp| stamp.was_settled(moment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_less_than_two_seconds_ago_or_has_a_time_to_come_is_not_settled() {
        let metadata = std::fs::metadata("/").unwrap();
        let stamp = Stamp { changed: 10_000_000_000, ..Stamp::of(&metadata) };
        let at = |milliseconds| UNIX_EPOCH + Duration::from_millis(milliseconds);
        let settled = [9_000, 10_000, 11_999, 12_000, 12_001].map(|moment| stamp.was_settled(at(moment)));
        assert_eq!(settled, [false, false, false, false, true]);
        let logs = [None, Some(Stamp { changed: 12_000_000_000, ..stamp })];
        let identity = Identity { logs, ..Identity::of(stamp) };
        assert!(!identity.was_settled(at(13_000)) && identity.was_settled(at(15_000)));
        assert!(!stamp.was_settled(UNIX_EPOCH));
    }
}
