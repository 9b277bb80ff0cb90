//! What came of a reload: master writes it into a small file, `postfix reload` waits for it there.
//!
//! The file is replaced as a whole, and every verdict differs from the one before: who remembers the old one sees the
//! new one come. It is read by nobody but the user who controls the mail system.

use std::fs;
use std::io;
use std::path::Path;

/// The file, below the queue directory.
pub const FILE: &str = "pid/reload.status";
const NEW: &str = "pid/reload.status.new";

/// What came of one reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Master's process id.
    pub master: u32,
    /// Which of its reloads.
    pub count: u32,
    /// Why the new configuration was refused; None when it is in force.
    pub refused: Option<String>,
}

impl Verdict {
    /// The last verdict in this queue directory.
    #[must_use]
    pub fn read(queue: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(queue.join(FILE)).ok()?)
    }

    /// Replaces the last verdict in this queue directory.
    ///
    /// # Errors
    /// Those of writing and renaming a file.
    pub fn write(&self, queue: &Path) -> io::Result<()> {
        let reason = self.refused.as_deref().map(|why| text::printable(why.as_bytes())).unwrap_or_default();
        fs::write(queue.join(NEW), format!("{} {}\n{reason}\n", self.master, self.count))?;
        fs::rename(queue.join(NEW), queue.join(FILE))
    }

    fn parse(text: &str) -> Option<Self> {
        let (numbers, reason) = text.split_once('\n')?;
        let (master, count) = numbers.split_once(' ')?;
        let reason = reason.strip_suffix('\n')?;
        let refused = (!reason.is_empty()).then(|| reason.to_owned());
        Some(Self { master: master.parse().ok()?, count: count.parse().ok()?, refused })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_as_it_was_written() {
        let queue = std::env::temp_dir().join(format!("verdict-{}", std::process::id()));
        fs::create_dir_all(queue.join("pid")).unwrap();
        assert_eq!(Verdict::read(&queue), None);
        for refused in [None, Some("unknown inet_protocols value \"bogus\" in \"bogus\"".to_owned())] {
            let verdict = Verdict { master: 17, count: 3, refused };
            verdict.write(&queue).unwrap();
            assert_eq!(Verdict::read(&queue), Some(verdict));
        }
        fs::remove_dir_all(queue).unwrap();
    }

    #[test]
    fn what_is_no_verdict_is_none() {
        for text in ["", "1 2", "1 x\n\n", "1\n\n", "1 2\nreason"] {
            assert_eq!(Verdict::parse(text), None, "{text}");
        }
    }
}
