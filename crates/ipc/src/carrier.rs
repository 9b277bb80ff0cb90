//! Carrier: the child process that delivers one message with one user's rights.
//!
//! A delivery agent (local, virtual, pipe) serves qmgr without any rights. For each delivery its root helper starts a
//! carrier that has become the user before it was executed; agent and carrier then talk over a private socket. The
//! carrier opens what the user may open, and reports facts; the agent decides what they mean. It sees the message as
//! text, never the queue file.
//!
//! `Read` → `File`, after a `Found` followed by `Bytes`... up to an empty one, any number of times; then at most one `Deliver`, `Content`..., `End` → `Done`. A carrier whose
//! agent disappears before `End` undoes what it has written.

use serde::{Deserialize, Serialize};

use crate::bounds::Weigh;
use crate::channel::Service;

/// The private protocol between a delivery agent and its carriers.
pub struct Carrier;

impl Service for Carrier {
    const NAME: &'static str = "carrier";
    const VERSION: u16 = 1;
    type Request = Request;
    type Reply = Reply;
}

/// What the agent says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Read the first of these files that exists.
    Read {
        /// Absolute paths, in the order of preference.
        #[serde(with = "crate::bounds::list")]
        paths: Vec<Path>,
        /// The largest file in bytes that is read; a larger one is unusable.
        limit: u64,
    },
    /// Deliver the text that follows.
    Deliver(Box<Deposit>),
    /// A piece of the message, with line feeds.
    Content(#[serde(with = "crate::bounds::block")] Vec<u8>),
    /// The message is complete.
    End,
}

/// A path, or any other bytes in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path(#[serde(with = "crate::bounds::bytes")] pub Vec<u8>);

impl Weigh for Path {
    fn weight(&self) -> usize {
        self.0.len()
    }
}

/// A delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deposit {
    /// Where the message goes.
    pub target: Target,
    /// What stands in front of the message: lines with line feeds.
    #[serde(with = "crate::bounds::block")]
    pub heading: Vec<u8>,
    /// Largest file in bytes that this delivery may write, its commands included; 0: no limit.
    pub size_limit: u64,
}

/// Where a message goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Target {
    /// A file that holds many messages.
    Mailbox(Mailbox),
    /// A directory with one file a message; the path of its top.
    Maildir {
        /// Absolute path.
        path: Path,
        /// The host in file names.
        #[serde(with = "crate::bounds::text")]
        hostname: String,
    },
    /// The standard input of a command.
    Command(Command),
}

/// A mailbox file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mailbox {
    /// Absolute path.
    pub path: Path,
    /// The mailbox of a user: a regular file. Otherwise a file that an alias names: a device or a pipe is fine, a file
    /// that could be executed is not, and a lock file is not insisted on.
    pub personal: bool,
    /// Only a file that belongs to the carrier's user (strict_mailbox_ownership).
    pub owned: bool,
    /// How the file is locked (mailbox_delivery_lock).
    #[serde(with = "crate::bounds::list")]
    pub locks: Vec<Lock>,
    /// Attempts to lock (deliver_lock_attempts).
    pub attempts: u32,
    /// Milliseconds between attempts (deliver_lock_delay).
    pub delay: u64,
    /// Seconds after which a lock file counts as forgotten (stale_lock_time).
    pub stale: u64,
}

/// A way to lock a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lock {
    /// fcntl(2).
    Fcntl,
    /// flock(2).
    Flock,
    /// A file `PATH.lock`.
    DotLock,
}

impl Weigh for Lock {
    fn weight(&self) -> usize {
        1
    }
}

/// A command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    /// The command line as written.
    #[serde(with = "crate::bounds::bytes")]
    pub line: Vec<u8>,
    /// Program and arguments that the line is appended to (local_command_shell); empty: /bin/sh where the line needs it.
    #[serde(with = "crate::bounds::list")]
    pub shell: Vec<String>,
    /// Working directory; empty: the carrier's own.
    #[serde(with = "crate::bounds::bytes")]
    pub directory: Vec<u8>,
    /// The whole environment: `NAME=value`.
    #[serde(with = "crate::bounds::list")]
    pub environment: Vec<Path>,
    /// Seconds that it may take (command_time_limit).
    pub time_limit: u64,
}

/// What the carrier says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The file that was asked for; its content follows.
    File(FoundFile),
    /// A block of the file; the last one is empty.
    Bytes(#[serde(with = "crate::bounds::block")] Vec<u8>),
    /// The delivery has happened and is on stable storage, or has not and left nothing.
    Done(Done),
}

/// The result of looking for a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FoundFile {
    /// None of the paths exists.
    None,
    /// A file.
    Found {
        /// Which one.
        path: Path,
        /// Who owns it.
        owner: u32,
    },
    /// A path exists and cannot be used.
    Unusable {
        /// Which one.
        path: Path,
        /// Why: `file is world writable`, `Permission denied`.
        #[serde(with = "crate::bounds::text")]
        why: String,
        /// Whether it may be different later.
        temporary: bool,
    },
}

/// The result of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// It is there.
    Delivered {
        /// What a command printed, cut.
        #[serde(with = "crate::bounds::bytes")]
        output: Vec<u8>,
    },
    /// A file or directory could not be written.
    NotWritten(WriteProblem),
    /// A command ended otherwise than with status 0.
    Command {
        /// How.
        ending: Ending,
        /// What it printed, cut.
        #[serde(with = "crate::bounds::bytes")]
        output: Vec<u8>,
    },
}

/// Why a file was not written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteProblem {
    /// It belongs to somebody else.
    NotOwned,
    /// It is no regular file.
    NotRegular,
    /// It could be executed.
    Executable,
    /// The system refuses.
    System {
        /// What was tried: `cannot open file`.
        #[serde(with = "crate::bounds::text")]
        what: String,
        /// errno.
        code: i32,
    },
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// It took too long and was killed.
    TimedOut,
    /// It could not be started; the output says why.
    NotStarted,
}
