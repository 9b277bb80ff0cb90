//! The porter: the process beside a worker that reaches what lies outside of the worker's walls.
//!
//! A worker sees the queue directory and nothing else. What it needs of the system besides (the user database, whose
//! modules load code and talk to whatever servers the site has; the databases of tables; sockets of other programs) it
//! asks of its porter, over a private socket of packets. The porter is the same program under another argument, started
//! with the worker, as $mail_owner; it ends when the worker does.
//!
//! The databases of tables it opens before it gives up the rights that it was started with, as the worker opens its
//! tables; the library that reads them reads nothing before that.
//!
//! A look-up that takes long takes a thread of the porter, and none of the worker: no other session waits for it.
//!
//! What it must never do: read what a client wrote, other than the name that is looked up, write a file, run a program.

mod client;
mod databases;
mod direct;
mod packet;
mod server;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use sandbox::{Needs, Reach, Walls};
use sys::identity::{Identity, become_for_good};
use sys::process::{Spawn, own_program, spawn};

pub use client::{Porter, PorterError};

use crate::service::Outside;
use crate::start::MOST_PROCESSES;

/// The argument that makes a daemon's program a porter.
const PORTER: &str = "--porter";
/// The argument that says whose it is: the mail system's own user, whose processes are counted.
const OWNED: &str = "owned";
/// The descriptor that the socket to the worker has in a porter.
const DESCRIPTOR: i32 = 3;
/// The argument that says that there is a second socket, whose answers the worker waits for where it stands.
const DIRECT: &str = "direct";
/// The descriptor of that one.
const DIRECT_DESCRIPTOR: i32 = 4;

/// The descriptor from which it reads what the databases of tables are.
const DATABASES_DESCRIPTOR: i32 = 5;

/// Where the user database, its modules, what they read and the sockets of its servers are; the last two are where some
/// systems keep all programs.
const USER_DATABASE: [&str; 12] = [
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/opt",
    "/run",
    "/var/lib",
    "/var/db",
    "/var/cache/ldap",
    "/nix",
    "/gnu",
];

/// Runs this program as a porter, if that is what its first argument says.
pub(crate) fn run_as_porter(program: &str) -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != PORTER {
        return None;
    }
    // The name in ps(1).
    let _ = std::fs::write("/proc/self/comm", format!("{program}-porter"));
    let words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
    let duties: Vec<Outside> = words.iter().filter_map(|word| Outside::parse(word)).collect();
    let says = |what: &str| words.iter().any(|word| word == what);
    Some(match serve(&duties, says(OWNED), says(DIRECT)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn serve(duties: &[Outside], is_owned: bool, is_direct: bool) -> io::Result<()> {
    let socket = sys::descriptor::inherit(DESCRIPTOR)?;
    let direct = is_direct.then(|| sys::descriptor::inherit(DIRECT_DESCRIPTOR)).transpose()?;
    let has_databases = duties.contains(&Outside::Databases);
    let owner =
        if has_databases { databases::take_over(sys::descriptor::inherit(DATABASES_DESCRIPTOR)?)? } else { None };
    let walls = Walls::prepare(&needs(duties)).map_err(io::Error::other)?;
    if let Some(owner) = owner {
        become_for_good(&owner)?;
    }
    sys::privilege::drop_capabilities()?;
    sys::privilege::forbid_new_privileges()?;
    if is_owned {
        sys::privilege::limit_processes(MOST_PROCESSES)?;
    }
    walls.close().map_err(io::Error::other)?;
    match direct {
        Some(direct) => server::serve_both(socket, direct, duties.into()),
        None => server::serve(socket, duties.into()),
    }
}

fn needs(duties: &[Outside]) -> Needs {
    // Names of hosts are looked up as those of users are: by modules of the system.
    let names = duties.contains(&Outside::UserDatabase) || duties.contains(&Outside::Servers);
    let of_names = USER_DATABASE.iter().filter(|_| names).map(PathBuf::from);
    let databases = duties.contains(&Outside::Databases).then(lookup::client::served::directories);
    let paths = of_names.chain(databases.into_iter().flatten()).map(|path| (path, Reach::Read)).collect();
    Needs { paths, internet: names, routes: names, threads: true, loads_code: names }
}

/// Starts the porter of `program`; `owner` is whose rights it has, if not the caller's own.
pub(crate) fn start(program: &'static str, duties: &[Outside], owner: Option<Identity>) -> io::Result<Porter> {
    let (ours, theirs) = pair()?;
    let is_owned = owner.is_some();
    launch(program, duties, owner, is_owned, &[(DESCRIPTOR, theirs.as_fd())])?;
    Ok(Porter::new(ours))
}

/// Starts the porter for tables whose databases are out of reach, and says to all tables that they are to ask it. It
/// opens files with the rights that the caller has now, and gives them up for those of `owner`.
pub(crate) fn start_for_tables(program: &'static str, owner: Option<Identity>) -> io::Result<Rc<Porter>> {
    let ((ours, theirs), (direct, other)) = (pair()?, pair()?);
    let mut descriptors = vec![(DESCRIPTOR, theirs.as_fd()), (DIRECT_DESCRIPTOR, other.as_fd())];
    let mut duties = Vec::new();
    if lookup::system::is_used() {
        duties.push(Outside::UserDatabase);
    }
    if lookup::client::served::any() {
        duties.push(Outside::Databases);
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        descriptors.push((DATABASES_DESCRIPTOR, read.as_fd()));
        launch(program, &duties, None, owner.is_some(), &descriptors)?;
        drop(read);
        databases::hand_over(write, owner.as_ref())?;
    } else {
        launch(program, &duties, owner.clone(), owner.is_some(), &descriptors)?;
    }
    let direct = direct::Direct::new(direct)?;
    lookup::system::reach(Box::new(move |question| direct.ask(question)));
    let porter = Rc::new(Porter::new(ours));
    let asked = Rc::clone(&porter);
    lookup::system::reach_later(Rc::new(move |question| {
        let porter = Rc::clone(&asked);
        Box::pin(async move { porter.entry(question).await })
    }));
    Ok(porter)
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

fn launch(
    program: &'static str,
    duties: &[Outside],
    identity: Option<Identity>,
    is_owned: bool,
    descriptors: &[(i32, BorrowedFd<'_>)],
) -> io::Result<()> {
    let owned = is_owned.then_some(OWNED);
    let direct = (descriptors.len() > 1).then_some(DIRECT);
    let words = [program, PORTER].into_iter().chain(owned).chain(direct);
    let words = words.chain(duties.iter().map(|duty| duty.word()));
    // It ends when our end of the socket does; it is nobody's to wait for.
    drop(spawn(&Spawn {
        path: own_program()?,
        arguments: words.map(Into::into).collect(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        descriptors: descriptors.to_vec(),
        identity,
        directory: Some("/".into()),
        own_group: false,
    })?);
    Ok(())
}
