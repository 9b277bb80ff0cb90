//! Which files a message is in a list, and in which state: what has not changed need not be read again.

use std::time::SystemTime;

use queue::Stamp;

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

    /// A message that waits, with the log that says why.
    pub(crate) fn with_defer_log(file: Stamp, log: Stamp) -> Self {
        // In the order of Logs::ORDER: the defer log comes first.
        Self { file, logs: [Some(log), None] }
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

    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_message_is_settled_when_its_file_and_all_its_logs_are() {
        let stamp = Stamp { inode: 1, size: 1, mode: 0o100_700, modified: 0, changed: 10_000_000_000 };
        let at = |milliseconds| UNIX_EPOCH + Duration::from_millis(milliseconds);
        let logs = [None, Some(Stamp { changed: 12_000_000_000, ..stamp })];
        let identity = Identity { logs, ..Identity::of(stamp) };
        assert!(!identity.was_settled(at(13_000)) && identity.was_settled(at(15_000)));
    }
}
