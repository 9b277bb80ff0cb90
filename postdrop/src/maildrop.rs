//! The file in maildrop, from its creation to the moment from which it is mail.
//!
//! Order: create, write, complete, on disk; only then is pickup woken up and the caller told. Until
//! the file is complete, a signal removes it.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::{Config, ValueError, param};
use logging::warning;
use nix::sys::signal::{SigSet, Signal};
use queue::create::INCOMPLETE_MAILDROP;
use queue::{NewFile, QueueName, Spool, Type};

/// How long to wait before the next try when no file can be made.
const PAUSE: Duration = Duration::from_secs(10);

/// The file that a signal removes.
static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A submission that is being written.
pub struct Submission {
    file: NewFile,
    limit: u64,
}

/// Why a record could not be written.
#[derive(Debug)]
pub enum WriteError {
    /// The message is larger than `message_size_limit`.
    TooLarge,
    /// The file system refuses.
    Io(io::Error),
}

impl Submission {
    /// Creates the file, with the time as its first record. Waits and tries again as long as no
    /// file can be made: the caller has a message that must not be lost.
    ///
    /// # Errors
    /// A setting cannot be understood.
    pub fn create(config: &Config) -> Result<Self, ValueError> {
        let spool = Spool::working_directory(config)?;
        // enable_long_queue_ids
        let long = config.get(param::ENABLE_LONG_QUEUE_IDS)?;
        // message_size_limit
        let limit = config.get(param::MESSAGE_SIZE_LIMIT)?;
        let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(u64::MAX);
        let mut file = loop {
            match NewFile::create(&spool, QueueName::Maildrop, INCOMPLETE_MAILDROP, long) {
                Ok(file) => break file,
                Err(error) => warning!("mail_queue_enter: {error}"),
            }
            std::thread::sleep(PAUSE);
        };
        remember(Some(file.path()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = format!("{} {}", now.as_secs(), now.subsec_micros());
        // Goes into a buffer: an error appears with the next write.
        let _ = file.push(Type::TIME, time.as_bytes());
        Ok(Self { file, limit })
    }

    /// The message's name.
    pub fn id(&self) -> &str {
        self.file.id().as_str()
    }

    /// Appends a record.
    ///
    /// # Errors
    /// The message is too large, or the file system refuses.
    pub fn push(&mut self, kind: Type, payload: &[u8]) -> Result<(), WriteError> {
        self.file.push(kind, payload).map_err(WriteError::Io)?;
        if self.file.offset() > self.limit { Err(WriteError::TooLarge) } else { Ok(()) }
    }

    /// Completes the file and waits until it is on disk.
    ///
    /// # Errors
    /// The file system refuses; the file is gone.
    pub fn finish(self) -> Result<(), WriteError> {
        let complete = self.file.complete_submission().map_err(WriteError::Io)?;
        // From here on it may be on its way already: a signal no longer removes it.
        remember(None);
        complete.sync().map(drop).map_err(WriteError::Io)
    }
}

/// Has the hangup, interrupt, quit and termination signals remove an unfinished file.
pub fn remove_on_signal() {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
        signals.add(signal);
    }
    // Blocked here and in every later thread; the thread below takes them one by one.
    if signals.thread_block().is_err() {
        return;
    }
    let wait = move || {
        while let Ok(signal) = signals.wait() {
            if let Some(path) = UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner).take() {
                let _ = std::fs::remove_file(path);
                // What a shell reports for a process that a signal ended.
                std::process::exit(128 + signal as i32);
            }
        }
    };
    // Without the thread the signals stay blocked, and the file is finished or its input ends.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
}

fn remember(path: Option<PathBuf>) {
    *UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner) = path;
}
