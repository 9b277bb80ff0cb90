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
mod packet;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, ExitCode};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Uid, User};
use sys::identity::{Identity, is_root};
use sys::process::{Spawn, spawn};

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
            Some(match sys::descriptor::inherit(DESCRIPTOR).and_then(|socket| serve(program, &policy, &socket)) {
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

/// Serves until the agent is gone.
fn serve(program: &'static str, policy: &Policy, socket: &OwnedFd) -> io::Result<()> {
    let mut carriers: HashMap<u32, Child> = HashMap::new();
    loop {
        let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        let timeout = if carriers.is_empty() { PollTimeout::NONE } else { PollTimeout::from(COLLECT) };
        match poll(&mut watched, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        carriers.retain(|_, child| matches!(child.try_wait(), Ok(None)));
        if watched[0].revents().is_none_or(|events| events.is_empty()) {
            continue;
        }
        let mut buffer = vec![0; packet::MAX];
        let (count, mut descriptors) = sys::descriptor::receive_with(socket.as_fd(), &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let Some(order) = Order::decode(&buffer[..count]) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let reply = match obey(program, policy, &order, descriptors.pop()) {
            Ok((reply, child)) => {
                carriers.extend(child.map(|child| (child.id(), child)));
                reply
            }
            Err(error) => Reply::Failed(text::system_error(&error)),
        };
        sys::descriptor::send_with(socket.as_fd(), &reply.encode(order.number), &[])?;
    }
}

/// Looks the user up, and starts a carrier where a socket for it came with the order.
fn obey(
    program: &'static str,
    policy: &Policy,
    order: &Order,
    socket: Option<OwnedFd>,
) -> io::Result<(Reply, Option<Child>)> {
    let found = match &order.who {
        Who::Name(name) => user_of_name(name)?,
        Who::Uid(uid) => User::from_uid(Uid::from_raw(*uid))?,
        Who::Default => user_of_name(policy.default_user.as_bytes())?,
    };
    let Some(user) = found else { return Ok((Reply::Unknown, None)) };
    let account = Account {
        name: user.name.clone(),
        uid: user.uid.as_raw(),
        home: user.dir.to_string_lossy().into_owned(),
        shell: user.shell.to_string_lossy().into_owned(),
    };
    let Some(socket) = socket else { return Ok((Reply::Account(account), None)) };
    let identity = identity(policy, &user, order.purpose)?;
    let child = start(program, identity, socket.as_fd())?;
    Ok((Reply::Account(account), Some(child)))
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

/// The file of this program: the link that the kernel keeps works for a user who may not enter the directories on the
/// way, and after an upgrade.
fn own_program() -> io::Result<PathBuf> {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe() }
}
