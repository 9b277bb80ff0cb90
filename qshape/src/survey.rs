//! The way through the queues, message by message.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use logging::warning;
use nix::fcntl::OFlag;
use queue::scan::Scan;
use queue::{Envelope, Limits};

use crate::counts::Counts;

/// The owner's bit of a message that is complete.
const COMPLETE: u32 = 0o100;

/// Messages that are counted.
pub(crate) struct Survey {
    /// What there is.
    pub(crate) counts: Counts,
    /// Senders are counted in place of recipients.
    pub(crate) senders: bool,
    /// Something could not be read.
    pub(crate) incomplete: bool,
    /// Seconds since 1970.
    now: i64,
}

impl Survey {
    /// Before the first queue.
    pub(crate) fn new(counts: Counts, senders: bool) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { counts, senders, incomplete: false, now: i64::try_from(now).unwrap_or(i64::MAX) }
    }

    /// Counts the messages of a queue, and calls `after` behind each of them.
    ///
    /// # Errors
    /// There are too many domains.
    pub(crate) fn queue(&mut self, queue: &Path, mut after: impl FnMut(&Counts)) -> Result<(), String> {
        let scan = match Scan::of(queue) {
            Ok(scan) => scan,
            Err(error) => {
                self.passed_over(queue, &text::system_error(&error));
                return Ok(());
            }
        };
        let is_submitted = queue.file_name().is_some_and(|name| name == "maildrop");
        for found in scan {
            let path = match found {
                Ok(found) => found.path,
                Err(error) => {
                    self.passed_over(queue, &text::system_error(&error));
                    continue;
                }
            };
            match open(&path) {
                Ok(Some(file)) => {
                    self.message(&path, &file, is_submitted)?;
                    after(&self.counts);
                }
                Ok(None) => {}
                Err(error) => self.passed_over(&path, &text::system_error(&error)),
            }
        }
        Ok(())
    }

    fn message(&mut self, path: &Path, file: &File, is_submitted: bool) -> Result<(), String> {
        let limits = Limits::default();
        let read = if is_submitted { Envelope::read_submitted } else { Envelope::read_outline };
        let mut envelope = match read(file, &limits) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.passed_over(path, &error.to_string());
                return Ok(());
            }
        };
        let age = self.now.saturating_sub(envelope.arrival.0);
        if self.senders {
            return self.counts.add_sender(&envelope.sender, age);
        }
        loop {
            for recipient in &envelope.recipients {
                self.counts.add_recipient(&recipient.address, age)?;
            }
            if envelope.resume.is_none() {
                return Ok(());
            }
            if let Err(error) = envelope.read_more(file, &limits) {
                self.passed_over(path, &error.to_string());
                return Ok(());
            }
        }
    }

    fn passed_over(&mut self, path: &Path, why: &str) {
        self.incomplete = true;
        warning!("{}: {why}", text::printable(path.as_os_str().as_encoded_bytes()));
    }
}

/// A complete message; none where there is none, or no longer.
fn open(path: &Path) -> io::Result<Option<File>> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    Ok(Some(file).filter(|_| metadata.is_file() && metadata.mode() & COMPLETE != 0))
}
