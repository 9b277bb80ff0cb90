//! Which file it is, and in which state: what has not changed need not be read again.
//!
//! The kernel's clock for files goes in steps, of some milliseconds on a local disk and of one or two seconds on
//! others: a file that changes twice within a step looks as if it had changed once. So what was read of a file is
//! believed later only when its last change was two seconds ago before it was opened ([`Stamp::was_settled`]), or where
//! the clock has a step for every change that somebody could have seen (`Storage::dates_every_change`).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest step of a clock for files.
const STEP: Duration = Duration::from_secs(2);

/// A file in one of its states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Its inode number.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// As stat(2) has it.
    pub mode: u32,
    /// Nanoseconds.
    pub modified: i64,
    /// Nanoseconds; the kernel's own, which nobody can set.
    pub changed: i64,
}

impl Stamp {
    /// The file as it is.
    pub fn of(metadata: &Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000).wrapping_add(rest);
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether nothing had changed for a while at this moment: what was read later belongs to this stamp, or to another
    /// one.
    pub fn was_settled(&self, moment: SystemTime) -> bool {
        let age = moment.checked_sub(STEP).and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
        age.is_some_and(|age| i128::from(self.changed) < age.as_nanos() as i128)
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
        assert!(!stamp.was_settled(UNIX_EPOCH));
    }
}
