//! Carrier: the child process that delivers one message with one user's rights.
//!
//! A delivery agent (local, virtual, pipe) serves qmgr without any rights. For each delivery its root helper starts a
//! carrier that has become the user before it was executed; agent and carrier then talk over a private socket. The
//! carrier opens what the user may open, and reports facts; the agent decides what they mean. It sees the message as
//! text, never the queue file.
//!
//! `Read` → `List`, and for a file that is found `Text`..., `TextEnd`; `Look` → `List`; any number of times. Then at
//! most one `Deliver`, `Content`..., `End` → `Warning`..., `Done`. `Stop` ends a command that takes too long. A carrier
//! whose agent disappears before `End` undoes what it has written.
//!
//! A command that serves a client gets no message: `Serve`, with the client's socket → `Running`, `Done`. The arguments
//! of a command that is not a line travel before `Deliver` or `Serve`: `Arguments`...

use serde::{Deserialize, Serialize};

use crate::bounds::{Chunk, Weigh};
use crate::channel::Service;

/// The private protocol between a delivery agent and its carriers.
pub struct Carrier;

impl Service for Carrier {
    const NAME: &'static str = "carrier";
    const VERSION: u16 = 4;
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
        /// What the file is for.
        role: Role,
    },
    /// Say who owns a list, without reading it.
    Look(Path),
    /// Arguments of the command to come.
    Arguments(Chunk<Path>),
    /// Run a command for the client whose socket comes with this.
    Serve(Box<Command>),
    /// Deliver the text that follows.
    Deliver(Box<Deposit>),
    /// A piece of the message, with line feeds.
    Content(#[serde(with = "crate::bounds::block")] Vec<u8>),
    /// The message is complete.
    End,
    /// The command has had its time.
    Stop,
}

/// What a list is for, and so what must be true of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The .forward file of this user: he or root owns it, and it is no link.
    Forward(u32),
    /// An :include: file, whoever owns it.
    Include,
    /// An :include: file that gives the carrier's rights: the carrier's user owns it.
    OwnInclude,
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

impl Lock {
    /// The locks of these names (mailbox_delivery_lock, virtual_mailbox_lock).
    pub fn named(names: Vec<String>) -> Vec<Lock> {
        let lock = |name: &String| match name.as_str() {
            "fcntl" => Lock::Fcntl,
            "flock" => Lock::Flock,
            // The table of words has no other.
            _ => Lock::DotLock,
        };
        names.iter().map(lock).collect()
    }
}

impl Weigh for Lock {
    fn weight(&self) -> usize {
        1
    }
}

/// A command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    /// What is run.
    pub words: Words,
    /// Working directory; empty: the carrier's own.
    #[serde(with = "crate::bounds::bytes")]
    pub directory: Vec<u8>,
    /// The whole environment: `NAME=value`.
    #[serde(with = "crate::bounds::list")]
    pub environment: Vec<Path>,
}

/// What a command consists of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Words {
    /// A line that its owner wrote for a shell.
    Line {
        /// As written.
        #[serde(with = "crate::bounds::bytes")]
        line: Vec<u8>,
        /// Program and arguments that the line is appended to (local_command_shell); empty: /bin/sh where the line
        /// needs it.
        #[serde(with = "crate::bounds::list")]
        shell: Vec<String>,
    },
    /// The program and its arguments that have come before. No shell sees them.
    Arguments,
}

/// What the carrier says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The list that was asked for.
    List(FoundList),
    /// A piece of its text.
    Text(#[serde(with = "crate::bounds::block")] Vec<u8>),
    /// The end of its text, or why it cannot be read to the end.
    TextEnd(Result<(), i32>),
    /// The command of a client runs, as this process.
    Running(u32),
    /// Something that did not keep the delivery from going on: what was tried, and errno.
    Warning(#[serde(with = "crate::bounds::text")] String, i32),
    /// The delivery has happened and is on stable storage, or has not and left nothing.
    Done(Done),
}

/// The result of looking for a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FoundList {
    /// None of the paths exists.
    None,
    /// A file.
    Found {
        /// Which one.
        path: Path,
        /// Who owns it: what this carrier says, which only a carrier with these rights can confirm.
        owner: u32,
    },
    /// A path exists and cannot be used.
    Unusable {
        /// Which one.
        path: Path,
        /// Why.
        why: ListProblem,
    },
}

/// Why a list is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListProblem {
    /// A link, a directory, a pipe.
    NotRegular,
    /// This user owns it.
    Owner(u32),
    /// Everybody may write it.
    WorldWritable,
    /// The system refuses: errno.
    System(i32),
}

/// The result of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Done {
    /// It is there.
    Delivered {
        /// What a command printed, cut.
        #[serde(with = "crate::bounds::bytes")]
        output: Vec<u8>,
        /// Where in a mailbox file the message begins.
        at: Option<u64>,
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
    /// The name is a symbolic link.
    Link,
    /// It has this many names.
    HardLinks(u64),
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
    /// Its working directory could not be entered: errno.
    NoDirectory(i32),
}
