//! The porter itself: one thread reads requests, others do what may take long.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use lookup::system::{Database, Question};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};

use super::packet::{Reply, Request};
use crate::service::Outside;
use crate::threads::{Limits, Threads};

/// A worker has no more sessions than may wait here.
const LIMITS: Limits = Limits { threads: 32, waiting: 10_000 };
/// Longest entry in a packet; groups may have many members.
/// told: nobody; a longer one comes on a connection of its own.
const LONGEST_ENTRY: usize = ipc::questions::MAX_ANSWER - 64;
/// Seconds that a connection may take.
const PATIENCE: i64 = 30;

/// Serves until the worker is gone. `direct` is a socket for questions whose answers the worker waits for where it
/// stands.
pub(super) fn serve_both(socket: OwnedFd, direct: OwnedFd, duties: Vec<Outside>) -> io::Result<()> {
    let same = duties.clone();
    std::thread::Builder::new().name("direct".into()).spawn(move || serve(direct, same))?;
    serve(socket, duties)
}

/// Serves until the worker is gone.
pub(super) fn serve(socket: OwnedFd, duties: Vec<Outside>) -> io::Result<()> {
    let socket = Arc::new(socket);
    let replies = Arc::clone(&socket);
    let threads = Threads::new(LIMITS, move |(number, request): (u32, Request)| {
        // A worker that is gone ends this process soon.
        let _ = match obey(&duties, &request) {
            (Reply::Entry(line), _) if line.len() > LONGEST_ENTRY => answer_at_length(&replies, number, &line),
            (reply, connection) => {
                let attached: Vec<BorrowedFd<'_>> = connection.iter().map(AsFd::as_fd).collect();
                answer(&replies, number, &reply, &attached)
            }
        };
    });
    ipc::questions::serve(socket.as_fd(), |packet| {
        let request = Request::decode(packet).ok_or(nix::errno::Errno::EBADMSG)?;
        match threads.push(request) {
            Err(((number, _), error)) => answer(&socket, number, &failed(&error), &[]),
            Ok(()) => Ok(()),
        }
    })
}

fn answer(socket: &OwnedFd, number: u32, reply: &Reply, attached: &[BorrowedFd<'_>]) -> io::Result<()> {
    sys::descriptor::send_with(socket.as_fd(), &reply.encode(number), attached).map(drop)
}

/// Answers with what is too long for a packet.
// waits: for the worker, in a thread for each
fn answer_at_length(socket: &OwnedFd, number: u32, line: &[u8]) -> io::Result<()> {
    let (theirs, mut ours) = UnixStream::pair()?;
    ours.set_write_timeout(Some(Duration::from_secs(PATIENCE.unsigned_abs())))?;
    answer(socket, number, &Reply::Follows(line.len()), &[theirs.as_fd()])?;
    drop(theirs);
    ours.write_all(line)
}

fn obey(duties: &[Outside], request: &Request) -> (Reply, Option<OwnedFd>) {
    match request {
        Request::User(name) if duties.contains(&Outside::UserDatabase) => (user(name), None),
        Request::UserEntry(name) if duties.contains(&Outside::UserDatabase) => (entry(Database::Users, name), None),
        Request::GroupEntry(name) if duties.contains(&Outside::UserDatabase) => (entry(Database::Groups, name), None),
        Request::Rows(question) if duties.contains(&Outside::Databases) => (rows(question), None),
        Request::Connect(path) if duties.contains(&Outside::UnixSockets) => match connect(path) {
            Ok(connection) => (Reply::Yes, Some(connection)),
            Err(error) => (failed(&error), None),
        },
        Request::Dial(server) if duties.contains(&Outside::Servers) => match dial(server) {
            Ok(connection) => (Reply::Yes, Some(connection)),
            Err(error) => (failed(&error), None),
        },
        _ => (failed(&nix::errno::Errno::EPERM.into()), None),
    }
}

fn user(name: &[u8]) -> Reply {
    let Ok(name) = std::str::from_utf8(name) else { return Reply::No };
    // waits: in a thread for each
    match sys::identity::account(name) {
        Ok(Some(_)) => Reply::Yes,
        Ok(None) => Reply::No,
        Err(error) => failed(&error),
    }
}

/// What a table of the system says.
fn entry(database: Database, name: &[u8]) -> Reply {
    // waits: in a thread for each
    match (Question { database, name: name.to_vec() }).ask_system() {
        Ok(Some(line)) => Reply::Entry(line),
        Ok(None) => Reply::No,
        Err(reason) => Reply::Failed(reason, None),
    }
}

/// What the server of a table says.
fn rows(question: &[u8]) -> Reply {
    let mut words = question.splitn(2, |&byte| byte == b' ');
    let number = words.next().and_then(wire::fields::number);
    let (Some(number), Some(key)) = (number, words.next()) else { return failed(&nix::errno::Errno::EBADMSG.into()) };
    entry(Database::Client(number), key)
}

fn connect(path: &[u8]) -> io::Result<OwnedFd> {
    let address = UnixAddr::new(OsStr::from_bytes(path))?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // A program that accepts nothing keeps no thread for ever.
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(PATIENCE))?;
    nix::sys::socket::connect(socket.as_raw_fd(), &address)?;
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(0))?;
    Ok(socket)
}

/// Connects to the first address of a host that answers.
fn dial(server: &[u8]) -> io::Result<OwnedFd> {
    let server = std::str::from_utf8(server).ok().and_then(|server| server.split_once(' '));
    let (port, host) = server.ok_or(nix::errno::Errno::EINVAL)?;
    let port: u16 = port.parse().map_err(|_| nix::errno::Errno::EINVAL)?;
    let mut last = io::Error::from(nix::errno::Errno::EADDRNOTAVAIL);
    // waits: in a thread for each
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(PATIENCE.unsigned_abs())) {
            Ok(stream) => {
                // What is sent is whole packets, each of which waits for its answer.
                stream.set_nodelay(true)?;
                return Ok(stream.into());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn failed(error: &io::Error) -> Reply {
    Reply::Failed(text::system_error(error), error.raw_os_error())
}
