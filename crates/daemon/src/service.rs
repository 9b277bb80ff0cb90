//! What a daemon is and may do, as a constant that its source begins with.

use std::time::Duration;

use config::Param;

use crate::siblings::Sibling;

/// One daemon. Its constant is the source of the sandbox, of the checks at start, and of the table in ARCHITECTURE.md.
#[derive(Debug)]
pub struct Service {
    /// Program name.
    pub name: &'static str,
    /// How it serves clients.
    pub skeleton: Skeleton,
    /// When a process of it ends.
    pub lifetime: Lifetime,
    /// Whose rights it has.
    pub privilege: Privilege,
    /// Why it needs them, in a few words.
    pub why: &'static str,
    /// Services that it talks to; it finds the sockets of no others.
    pub siblings: &'static [Sibling],
    /// Files that it opens while it serves clients.
    pub files: &'static [Access],
    /// What it reaches outside of the queue directory, through its porter.
    pub outside: &'static [Outside],
    /// What it does with the network.
    pub network: Network,
    /// Whether it has threads beside the one that serves, which wait for the disk or work out what takes long.
    pub threads: bool,
}

/// How a daemon serves clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skeleton {
    /// Any number of processes.
    Sessions,
    /// The same, for clients that are processes of this mail system and keep their connections: the process limit is
    /// one of processes, each of which serves whoever comes. A client that waited for a place could wait for ever.
    Shared,
    /// Any number of processes, and master must not limit them (process limit 0): a full house would be a deadlock.
    Unlimited,
    /// Exactly one process that holds state (process limit 1).
    Solitary,
    /// One process that is woken by letters, and by our own clients on the same socket.
    Trigger,
    /// One process that reads datagrams.
    Datagram,
}

/// When a process of a daemon ends, beside when master says so.
#[derive(Debug, Clone, Copy)]
pub enum Lifetime {
    /// After max_use clients, or max_idle without any.
    Limited,
    /// After the time of a parameter without any client, or max_idle if that is longer: what it knows is worth nothing
    /// then.
    Remembers(Param<Duration>),
    /// After max_idle without any client, where this parameter names a file that keeps what it knows; never where it
    /// names none.
    Keeps(Param<String>),
    /// Never: its state would be lost.
    Endless,
}

/// Whose rights a daemon has while it serves clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// $mail_owner, whatever master.cf says.
    MailOwner,
    /// Started as root for a helper process that becomes other users; the part that serves clients is $mail_owner.
    Delivers,
    /// Started as root for a helper process that goes on to open the files with private keys; the part that serves
    /// clients is $mail_owner, and its memory is closed to other processes of that user.
    KeepsKeys,
}

/// Files that a daemon opens while it serves clients. Paths are relative to the queue directory unless said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads files below this directory of the queue.
    QueueRead(&'static str),
    /// Creates, changes, renames and removes files below this directory of the queue.
    QueueWrite(&'static str),
    /// Reads and writes $data_directory.
    DataDirectory,
    /// Makes files without a name in the incoming queue, where smtpd_proxy_options says that messages are stored before
    /// a filter hears of them.
    BeforeQueue,
}

/// What lies outside of a daemon's walls and is reached through its porter, a process of its own beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Which users there are.
    UserDatabase,
    /// Stream sockets of other programs, wherever they are.
    UnixSockets,
    /// Servers that the configuration names, on this machine or another.
    Servers,
    /// The databases of tables; which they are is told when the porter starts.
    Databases,
}

impl Outside {
    /// The word for it on a porter's command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::UserDatabase => "users",
            Self::UnixSockets => "sockets",
            Self::Servers => "servers",
            Self::Databases => "databases",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        let all = [Self::UserDatabase, Self::UnixSockets, Self::Servers, Self::Databases];
        all.into_iter().find(|outside| outside.word() == word)
    }
}

/// What a daemon does with the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Unix sockets only.
    None,
    /// Connects to other hosts (DNS included) and serves inherited sockets.
    Internet,
}
