//! The file in maildrop, from its creation to the moment from which it is mail.
//!
//! Order: create, write, complete, on disk; only then is pickup woken up and the caller told. Until the file is
//! complete, a signal removes it.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::{Config, ValueError, param};
use logging::warning;
use nix::sys::signal::{SigSet, Signal};
use queue::create::INCOMPLETE_MAILDROP;
use queue::{NewFile, QueueName, Type};

/// How long to wait before the next try when no file can be made.
const PAUSE: Duration = Duration::from_secs(10);

/// What a signal finds.
static PROGRESS: Mutex<Progress> = Mutex::new(Progress::Nothing);

enum Progress {
    /// No file yet.
    Nothing,
    /// A file that a signal removes.
    Unfinished(PathBuf),
    /// Mail, perhaps on its way already: a signal comes too late.
    Complete,
}

/// A submission that is being written.
pub struct Submission {
    file: NewFile,
    limit: Option<u64>,
}

/// Why a record could not be written.
#[derive(Debug)]
pub enum WriteError {
    /// The message is larger than `message_size_limit`.
    TooLarge,
    /// The file system refuses.
    Io(io::Error),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        // The caller has set a limit of its own.
        if error.kind() == io::ErrorKind::FileTooLarge { Self::TooLarge } else { Self::Io(error) }
    }
}

impl Submission {
    /// Creates the file, with the time as its first record. Waits and tries again as long as no file can be made: the
    /// caller has a message that must not be lost.
    ///
    /// # Errors
    /// A setting cannot be understood.
    pub fn create(config: &Config) -> Result<Self, ValueError> {
        let spool = config.spool()?;
        // enable_long_queue_ids
        let long = config.get(param::ENABLE_LONG_QUEUE_IDS)?;
        // message_size_limit
        let limit = config.read(param::MESSAGE_SIZE_LIMIT)?;
        let mut file = loop {
            match NewFile::create(&spool, QueueName::Maildrop, INCOMPLETE_MAILDROP, long) {
                Ok(file) => break file,
                Err(error) => warning!("mail_queue_enter: {error}", error = text::system_error(&error)),
            }
            std::thread::sleep(PAUSE);
        };
        remember(Progress::Unfinished(file.path()));
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
        self.file.push(kind, payload)?;
        if self.limit.is_some_and(|limit| self.file.offset() > limit) { Err(WriteError::TooLarge) } else { Ok(()) }
    }

    /// Completes the file and waits until it is on disk.
    ///
    /// # Errors
    /// The file system refuses; the file is gone.
    pub fn finish(self) -> Result<(), WriteError> {
        let complete = self.file.complete_submission()?;
        remember(Progress::Complete);
        complete.sync()?;
        Ok(())
    }
}

/// Signals that end no process, or that a process brings on itself.
const OTHERS: [Signal; 13] = [
    Signal::SIGCHLD,
    Signal::SIGCONT,
    Signal::SIGURG,
    Signal::SIGWINCH,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGPIPE,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGTRAP,
];

/// Has every signal that would end the process remove an unfinished file: those of terminals and operators, and those
/// of timers and limits that the caller had set before it called.
pub fn remove_on_signal() {
    let mut signals = SigSet::all();
    OTHERS.iter().for_each(|signal| signals.remove(*signal));
    // Blocked here and in every later thread; the thread below takes them one by one.
    if signals.thread_block().is_err() {
        return;
    }
    let wait = move || {
        loop {
            // A signal without a name is one all the same.
            let number = signals.wait().map_or(0, |signal| signal as i32);
            match &*PROGRESS.lock().unwrap_or_else(PoisonError::into_inner) {
                Progress::Complete => continue,
                Progress::Unfinished(path) => drop(std::fs::remove_file(path)),
                Progress::Nothing => {}
            }
            // What a shell reports for a process that a signal ended.
            std::process::exit(128 + number);
        }
    };
    // Without the thread the signals stay blocked, and the file is finished or its input ends.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
}

fn remember(progress: Progress) {
    *PROGRESS.lock().unwrap_or_else(PoisonError::into_inner) = progress;
}
