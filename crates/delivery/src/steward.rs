//! The steward: the small root process beside a delivery agent, which starts carriers.
//!
//! The agent that serves qmgr has no rights. When it needs to write into a user's mailbox it asks the steward, over a
//! private socket of packets, for a carrier of that user. The steward looks the user up and executes a [carrier] with
//! the user's ids and groups already set; it passes the carrier the agent's socket and nothing else.
//!
//! What it must never do: read anything that a user wrote, open a user's file, start anything but its own program, or
//! start it as root. Its whole input is a packet with a user name or a number. Not started as root, it starts carriers
//! as itself: a private mail system.
//!
//! [carrier]: crate::carrier

mod client;
pub mod packet;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitCode};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use daemon::threads::{Limits, Threads};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Uid, User};
use sys::identity::{Identity, is_root};
use sys::process::{Spawn, own_program, spawn};

use crate::carrier;
pub use client::{StartProblem, Started, Steward};
pub use packet::{Account, Purpose, Who};
use packet::{Order, Reply};

/// The argument that makes a delivery agent's program a steward.
pub const STEWARD: &str = "--steward";
/// The argument that makes a delivery agent's program a carrier.
pub const CARRIER: &str = "--carrier";

/// The descriptor that the socket to the agent has in a steward.
const DESCRIPTOR: i32 = 3;
/// How often finished carriers are collected while nothing else happens, in milliseconds.
const COLLECT: u16 = 1000;

/// What the administrator decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The user for deliveries on nobody's behalf, or root's (default_privs).
    pub default_user: String,
    /// Where mailboxes are made (mail_spool_directory), or empty: carriers for it get the directory's group when that
    /// group may write there.
    pub spool_directory: String,
}

/// Runs this program as what its first argument says, if that is a steward or a carrier.
pub fn run_as_helper(program: &'static str) -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next()?.to_str()? {
        CARRIER => {
            name_process(program);
            Some(carrier::run())
        }
        STEWARD => {
            name_process(program);
            let mut text = || arguments.next().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
            let policy = Policy { default_user: text(), spool_directory: text() };
            Some(match sys::descriptor::inherit(DESCRIPTOR).and_then(|socket| serve(program, policy, socket)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            })
        }
        _ => None,
    }
}

/// The name in ps(1): that of the file is `exe` for a program that was started by the kernel's link to it.
fn name_process(program: &str) {
    // Only a name: where the file is not there, or closed to this user, the process is called otherwise.
    let _ = std::fs::write("/proc/self/comm", program);
}

/// A steward at work.
struct Desk {
    program: &'static str,
    agent: Arc<OwnedFd>,
    carriers: HashMap<u32, Child>,
    /// Look-ups that are done.
    found: Receiver<Looked>,
    threads: Arc<Threads<(Order, Option<OwnedFd>)>>,
    /// Readable when look-ups are done.
    bell: UnixStream,
}

/// An order whose user has been looked up.
struct Looked {
    order: Order,
    socket: Option<OwnedFd>,
    found: Result<Found, Reply>,
}

/// A user, and whose rights a carrier gets, if one is wanted.
struct Found {
    account: Account,
    identity: Option<Identity>,
}

/// Users that are looked up at the same time, and orders that may wait for it.
const LIMITS: Limits = Limits { threads: 32, waiting: 10_000 };

/// Serves until the agent is gone. The user database may be a server somewhere else: threads wait for it, and a look-up
/// that takes long holds up no other delivery.
fn serve(program: &'static str, policy: Policy, agent: OwnedFd) -> io::Result<()> {
    let (bell, rope) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    rope.set_nonblocking(true)?;
    let (done, found) = channel();
    let threads = Threads::new(LIMITS, move |(order, socket): (Order, Option<OwnedFd>)| {
        let found = look_up(&policy, &order, socket.is_some());
        // The desk is as old as this process. A bell that rings already needs no second pull.
        if done.send(Looked { order, socket, found }).is_ok() {
            let _ = (&rope).write(&[1]);
        }
    });
    let mut desk = Desk { program, agent: Arc::new(agent), carriers: HashMap::new(), found, threads, bell };
    while desk.turn()? {}
    Ok(())
}

impl Desk {
    /// One turn of the loop; false when the agent is gone.
    fn turn(&mut self) -> io::Result<bool> {
        let mut watched =
            [PollFd::new(self.agent.as_fd(), PollFlags::POLLIN), PollFd::new(self.bell.as_fd(), PollFlags::POLLIN)];
        let timeout = if self.carriers.is_empty() { PollTimeout::NONE } else { PollTimeout::from(COLLECT) };
        match poll(&mut watched, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [asked, rung] = watched.map(|one| one.revents().is_some_and(|events| !events.is_empty()));
        self.carriers.retain(|_, child| matches!(child.try_wait(), Ok(None)));
        if rung {
            // Emptied before the results are taken: a later one rings again.
            while (&self.bell).read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
            while let Ok(looked) = self.found.try_recv() {
                self.obey(looked)?;
            }
        }
        if asked { self.receive() } else { Ok(true) }
    }

    fn receive(&self) -> io::Result<bool> {
        let mut buffer = vec![0; ipc::questions::MAX];
        let (count, mut descriptors) = sys::descriptor::receive_with(self.agent.as_fd(), &mut buffer)?;
        if count == 0 {
            return Ok(false);
        }
        let order = Order::decode(&buffer[..count]).ok_or(io::ErrorKind::InvalidData)?;
        if let Err(((order, _), error)) = self.threads.push((order, descriptors.pop())) {
            self.reply(&order, &Reply::Failed(text::system_error(&error)))?;
        }
        Ok(true)
    }

    /// Starts a carrier where a socket for it came with the order.
    fn obey(&mut self, looked: Looked) -> io::Result<()> {
        let Looked { order, socket, found } = looked;
        let reply = match (found, socket) {
            (Err(reply), _) => reply,
            (Ok(found), None) => Reply::Account(found.account),
            (Ok(found), Some(socket)) => match start(self.program, found.identity, socket.as_fd()) {
                Ok(child) => {
                    self.carriers.insert(child.id(), child);
                    Reply::Account(found.account)
                }
                Err(error) => Reply::Failed(text::system_error(&error)),
            },
        };
        self.reply(&order, &reply)
    }

    fn reply(&self, order: &Order, reply: &Reply) -> io::Result<()> {
        sys::descriptor::send_with(self.agent.as_fd(), &reply.encode(order.number), &[]).map(drop)
    }
}

/// Looks the user up, and for a carrier also whose rights it gets.
fn look_up(policy: &Policy, order: &Order, starts: bool) -> Result<Found, Reply> {
    let unanswered = |error: io::Error| Reply::Unanswered(text::system_error(&error));
    let found = match &order.who {
        Who::Name(name) => user_of_name(name),
        Who::Uid(uid) => User::from_uid(Uid::from_raw(*uid)).map_err(io::Error::from),
        Who::Default => user_of_name(policy.default_user.as_bytes()),
    };
    let user = found.map_err(unanswered)?.ok_or(Reply::Unknown)?;
    let identity = match starts {
        true => identity(policy, &user, order.purpose).map_err(|error| Reply::Failed(text::system_error(&error)))?,
        false => None,
    };
    let account = Account {
        name: user.name.clone(),
        uid: user.uid.as_raw(),
        home: user.dir.to_string_lossy().into_owned(),
        shell: user.shell.to_string_lossy().into_owned(),
    };
    Ok(Found { account, identity })
}

fn user_of_name(name: &[u8]) -> io::Result<Option<User>> {
    match std::str::from_utf8(name) {
        Ok(name) if !name.is_empty() && !name.contains(['/', '\0', ':']) => Ok(User::from_name(name)?),
        _ => Ok(None),
    }
}

/// Whose rights the carrier gets; `None`: the steward's own, when that is not root.
fn identity(policy: &Policy, user: &User, purpose: Purpose) -> io::Result<Option<Identity>> {
    if !is_root() {
        return Ok(None);
    }
    // Mail for root is delivered with the rights of default_privs.
    let name = if user.uid.is_root() { policy.default_user.as_str() } else { user.name.as_str() };
    let mut identity = Identity::of_user(name)?.ok_or_else(|| io::Error::other(format!("unknown user: {name}")))?;
    if purpose == Purpose::Spool {
        // The group of a mail spool that its group may write to, and no other.
        let spool = std::fs::metadata(&policy.spool_directory)?;
        if spool.mode() & 0o022 == 0o020 {
            identity.gid = spool.gid();
            identity.groups = vec![spool.gid()];
        }
    }
    if identity.uid == 0 {
        return Err(io::Error::other(format!("delivery with the rights of {name} is refused")));
    }
    Ok(Some(identity))
}

fn start(program: &'static str, identity: Option<Identity>, socket: BorrowedFd<'_>) -> io::Result<Child> {
    spawn(&Spawn {
        path: own_program()?,
        arguments: vec![program.into(), CARRIER.into()],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        descriptors: vec![(carrier::DESCRIPTOR, socket)],
        identity,
        directory: None,
        own_group: true,
    })
}

/// Starts a steward; called while the agent still has the rights that the steward needs.
fn launch(program: &'static str, policy: &Policy, socket: BorrowedFd<'_>) -> io::Result<Child> {
    spawn(&Spawn {
        path: own_program()?,
        arguments: vec![
            program.into(),
            STEWARD.into(),
            OsString::from(&policy.default_user),
            OsString::from(&policy.spool_directory),
        ],
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        descriptors: vec![(DESCRIPTOR, socket)],
        identity: None,
        directory: None,
        own_group: false,
    })
}
