//! The steward: the small root process beside a delivery agent, which starts carriers.
//!
//! The agent that serves qmgr has no rights. When it needs to write into a user's mailbox it asks the steward, over a
//! private socket of packets, for a carrier of that user. The steward looks the user up, decides by the policy that it
//! was started with, and executes a [carrier] that becomes the user before it reads anything; it passes the carrier the
//! agent's socket, and for a mailbox in a directory of root's the open file.
//!
//! It ends a carrier and all that it has started when the agent says so, and one that was stopped or killed by itself:
//! a carrier belongs to the user whose commands it runs, and so does not keep their time.
//!
//! What it must never do: read anything that a user wrote, open a file outside of a mail spool that root alone may
//! write to, start anything but its own program, give the rights of root, of the mail system or of their groups. Its
//! whole input is a packet with a user name or a number. Not started as root, it starts carriers as itself: a private
//! mail system.
//!
//! [carrier]: crate::carrier

mod client;
mod lend;
pub mod packet;
mod policy;
mod runner;
mod running;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use daemon::threads::{Limits, Threads};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Uid, User, geteuid};
use sys::process::{Spawn, own_program, spawn};

use crate::carrier::{self, Duty, Orders};
pub use client::{Cause, StartProblem, Started, Steward};
use lend::Mailbox;
pub use packet::{Account, Who};
use packet::{Order, Reply, Task};
pub use policy::Policy;
use policy::{Business, Users};
pub use runner::{Runner, RunnerError};
use running::Running;

/// The argument that makes a delivery agent's program a steward.
pub const STEWARD: &str = "--steward";
/// The argument that makes a delivery agent's program a carrier.
pub const CARRIER: &str = "--carrier";

/// The descriptor that the socket to the agent has in a steward.
const DESCRIPTOR: i32 = 3;
/// How often carriers are looked at while nothing else happens, in milliseconds.
const COLLECT: u16 = 1000;

/// Runs this program as what its first argument says, if that is a steward or a carrier.
pub fn run_as_helper(program: &'static str) -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let outcome = match arguments.next()?.to_str()? {
        CARRIER => {
            name_process(program);
            Orders::parse(arguments).ok_or(()).and_then(|orders| carrier::run(&orders).map_err(drop))
        }
        STEWARD => {
            name_process(program);
            let socket = sys::descriptor::inherit(DESCRIPTOR).map_err(drop);
            let policy = Policy::parse(arguments).ok_or(());
            policy.and_then(|policy| serve(program, policy, socket?).map_err(drop))
        }
        _ => return None,
    };
    // The agent sees the closed socket, and says what it means for the message.
    Some(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The name in ps(1): that of the file is `exe` for a program that was started by the kernel's link to it.
fn name_process(program: &str) {
    // Only a name: where the file is not there, or closed to this user, the process is called otherwise.
    let _ = std::fs::write("/proc/self/comm", program);
}

/// A steward at work.
struct Desk {
    program: &'static str,
    /// The largest file that a carrier may write.
    size_limit: u64,
    agent: Arc<OwnedFd>,
    carriers: Running,
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

/// A user, and the carrier to be started.
struct Found {
    account: Account,
    start: Option<Start>,
}

/// Whose rights a carrier gets, and for what.
struct Start {
    /// User and group; `None`: those of this process, which is not root then.
    ids: Option<(u32, u32)>,
    duty: Duty,
    lent: Option<lend::Lent>,
    /// The root directory; empty: as it is.
    root: PathBuf,
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
    let size_limit = policy.size_limit;
    let threads = Threads::new(LIMITS, move |(order, socket): (Order, Option<OwnedFd>)| {
        let found = prepare(&policy, &order.task);
        // The desk is as old as this process. A bell that rings already needs no second pull.
        if done.send(Looked { order, socket, found }).is_ok() {
            let _ = (&rope).write(&[1]);
        }
    });
    let mut desk =
        Desk { program, size_limit, agent: Arc::new(agent), carriers: Running::default(), found, threads, bell };
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
        self.carriers.collect();
        if rung {
            // Emptied before the results are taken: a later one rings again.
            while (&self.bell).read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
            while let Ok(looked) = self.found.try_recv() {
                self.obey(looked)?;
            }
        }
        if asked { self.receive() } else { Ok(true) }
    }

    fn receive(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; ipc::questions::MAX];
        let (count, mut descriptors) = sys::descriptor::receive_with(self.agent.as_fd(), &mut buffer)?;
        if count == 0 {
            return Ok(false);
        }
        let order = Order::decode(&buffer[..count]).ok_or(nix::errno::Errno::EBADMSG)?;
        match order.task {
            Task::Kill(carrier) => {
                self.carriers.kill(carrier);
                self.reply(&order, &Reply::Done)?;
            }
            Task::Release(carrier) => {
                self.carriers.release(carrier);
                self.reply(&order, &Reply::Done)?;
            }
            _ => {
                if let Err(((order, _), error)) = self.threads.push((order, descriptors.pop())) {
                    self.reply(&order, &trouble(&error))?;
                }
            }
        }
        Ok(true)
    }

    /// Starts a carrier where the order is for one.
    fn obey(&mut self, looked: Looked) -> io::Result<()> {
        let Looked { order, socket, found } = looked;
        let reply = match (found, socket) {
            (Err(reply), _) => reply,
            (Ok(Found { account, start: None }), _) => Reply::Account(account),
            (Ok(Found { account, start: Some(start) }), Some(socket)) => {
                match self.start(order.number, start, socket.as_fd()) {
                    Ok(()) => Reply::Account(account),
                    Err(error) => trouble(&error),
                }
            }
            (Ok(_), None) => Reply::Failed("no socket for a carrier".to_owned()),
        };
        self.reply(&order, &reply)
    }

    fn start(&mut self, order: u32, start: Start, socket: BorrowedFd<'_>) -> io::Result<()> {
        let Start { ids, duty, lent, root } = start;
        let mailbox = lent.as_ref().map(|lent| lent.file.as_fd());
        let orders = Orders { duty, ids, has_mailbox: mailbox.is_some(), root, size_limit: self.size_limit };
        let child = execute(self.program, &orders, socket, mailbox)?;
        self.carriers.insert(order, child, lent.and_then(|lent| lent.lock));
        Ok(())
    }

    fn reply(&self, order: &Order, reply: &Reply) -> io::Result<()> {
        sys::descriptor::send_with(self.agent.as_fd(), &reply.encode(order.number), &[]).map(drop)
    }
}

/// A process or thread that was not started.
fn trouble(error: &io::Error) -> Reply {
    match error.kind() {
        io::ErrorKind::WouldBlock => Reply::NoProcess,
        _ => Reply::Failed(text::system_error(error)),
    }
}

/// Decides whose rights a carrier gets; where it is for a user of this machine, the user is looked up.
fn prepare(policy: &Policy, task: &Task) -> Result<Found, Reply> {
    match (&policy.business, task) {
        (Business::Users(users), task) => prepare_user(policy, users, task),
        (Business::Numbers { least }, Task::Numbers(uid, gid)) => {
            let is_withheld = |ids: &policy::Ids| ids.is_withheld(*uid) || ids.group(*gid) != *gid;
            if uid < least || *gid == 0 || policy.accounts.as_ref().is_some_and(is_withheld) {
                return Err(Reply::Failed(format!("nobody gets the rights of uid {uid} and gid {gid}")));
            }
            Ok(nameless(policy, (*uid, *gid), Duty::Files, PathBuf::new()))
        }
        (Business::One { ids, root }, Task::Own) => Ok(nameless(policy, *ids, Duty::Command, root.into())),
        _ => Err(Reply::Failed("no business of this steward".to_owned())),
    }
}

/// A carrier of a user of whom only the numbers matter.
fn nameless(policy: &Policy, (uid, gid): (u32, u32), duty: Duty, root: PathBuf) -> Found {
    let (name, home, shell) = (String::new(), String::new(), String::new());
    let ids = policy.accounts.map(|_| (uid, gid));
    Found {
        account: Account { name, uid, gid, is_withheld: false, home, shell },
        start: Some(Start { ids, duty, lent: None, root }),
    }
}

fn prepare_user(policy: &Policy, users: &Users, task: &Task) -> Result<Found, Reply> {
    let (who, duty) = match task {
        Task::LookUp(who) => (who, None),
        Task::Files(who) => (who, Some(Duty::Files)),
        Task::Command(_) if !users.commands => {
            return Err(Reply::Failed("no setting allows commands".to_owned()));
        }
        Task::Command(who) => (who, Some(Duty::Command)),
        Task::Mailbox(name) => return prepare_mailbox(policy, users, name),
        Task::Kill(_) | Task::Release(_) => return Err(Reply::Done),
        Task::Numbers(..) | Task::Own => return Err(Reply::Failed("no business of this steward".to_owned())),
    };
    let user = look_up(policy, who)?;
    let account = account(policy, &user);
    let ids = policy.accounts.map(|_| (account.uid, account.gid));
    let duty = duty.filter(|_| !account.is_withheld);
    let start = duty.map(|duty| Start { ids, duty, lent: None, root: PathBuf::new() });
    Ok(Found { account, start })
}

fn prepare_mailbox(policy: &Policy, users: &Users, name: &[u8]) -> Result<Found, Reply> {
    let user = look_up(policy, &Who::Name(name.to_vec()))?;
    let Mailbox { path, ids, lent } = lend::mailbox(policy, users, &user).map_err(Reply::NotWritten)?;
    let account = account(policy, &user);
    Ok(Found { account, start: Some(Start { ids, duty: Duty::Mailbox(path), lent, root: PathBuf::new() }) })
}

fn look_up(policy: &Policy, who: &Who) -> Result<User, Reply> {
    let found = match who {
        Who::Name(name) => user_of_name(name),
        // waits: in a thread for each
        Who::Uid(uid) => User::from_uid(Uid::from_raw(*uid)).map_err(io::Error::from),
        Who::Default => {
            let uid = policy.accounts.map_or(geteuid(), |ids| Uid::from_raw(ids.default.0));
            // waits: in a thread for each
            User::from_uid(uid).map_err(io::Error::from)
        }
    };
    let found = found.map_err(|error| Reply::Unanswered(text::system_error(&error)))?;
    found.ok_or(Reply::Unknown)
}

fn user_of_name(name: &[u8]) -> io::Result<Option<User>> {
    match std::str::from_utf8(name) {
        Ok(name) if !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0', ':']) => {
            // waits: in a thread for each
            Ok(User::from_name(name)?)
        }
        _ => Ok(None),
    }
}

fn account(policy: &Policy, user: &User) -> Account {
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    Account {
        name: user.name.clone(),
        uid,
        gid: policy.accounts.map_or(gid, |ids| ids.group(gid)),
        is_withheld: policy.accounts.is_some_and(|ids| ids.is_withheld(uid)),
        home: user.dir.to_string_lossy().into_owned(),
        shell: user.shell.to_string_lossy().into_owned(),
    }
}

/// Starts a carrier. It is this user's until it has become the other, so that nobody who is that other already gets
/// hold of it on the way.
fn execute(
    program: &'static str,
    orders: &Orders,
    socket: BorrowedFd<'_>,
    mailbox: Option<BorrowedFd<'_>>,
) -> io::Result<Child> {
    let mut descriptors = vec![(carrier::DESCRIPTOR, socket)];
    descriptors.extend(mailbox.map(|file| (carrier::MAILBOX, file)));
    spawn(&Spawn {
        path: own_program()?,
        arguments: [program.into(), CARRIER.into()].into_iter().chain(orders.arguments()).collect(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        descriptors,
        identity: None,
        directory: None,
        own_group: true,
    })
}

/// Starts a steward; called while the agent still has the rights that the steward needs.
fn launch(program: &'static str, policy: &Policy, socket: BorrowedFd<'_>) -> io::Result<Child> {
    spawn(&Spawn {
        path: own_program()?,
        arguments: [OsString::from(program), STEWARD.into()].into_iter().chain(policy.arguments()).collect(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        descriptors: vec![(DESCRIPTOR, socket)],
        identity: None,
        directory: None,
        own_group: false,
    })
}
