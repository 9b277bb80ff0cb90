//! The carrier: a process that becomes a user before it reads anything, and does one delivery with that user's rights.
//!
//! It gets its identity and its duty from whoever started it, as arguments, and its work over an inherited socket
//! ([`ipc::carrier`]). It never gains rights, never sees a queue file, does nothing beyond its duty, and decides
//! nothing: it reports facts, and none that gives rights other than its own. Everything here may block: the process has
//! one thing to do.

mod command;
mod lock;
mod mailbox;
mod maildir;
mod names;
mod orders;
mod read;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use ipc::carrier::{self, Carrier, Deposit, Done, Reply, Request, Target, WriteProblem};
use ipc::{IpcError, Server};

pub(crate) use orders::{Duty, Orders};

/// The descriptor that the socket to the agent has in a carrier.
pub const DESCRIPTOR: i32 = 3;

/// The descriptor that a mailbox has that comes with a carrier.
pub(crate) const MAILBOX: i32 = 4;

/// Runs a carrier to its end.
///
/// # Errors
/// It could not become whom it was meant to be, or has lost the agent, or was asked for what is not its duty.
pub(crate) fn run(orders: &Orders) -> Result<(), IpcError> {
    sys::process::ignore(sys::process::Ignored::FileSize);
    orders.obey()?;
    let lent = if orders.has_mailbox { Some(File::from(sys::descriptor::inherit(MAILBOX)?)) } else { None };
    serve(sys::descriptor::inherit(DESCRIPTOR)?, orders, lent)
}

fn serve(socket: OwnedFd, orders: &Orders, lent: Option<File>) -> Result<(), IpcError> {
    sys::descriptor::set_nonblocking(std::os::fd::AsFd::as_fd(&socket), true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stream = tokio::net::UnixStream::from_std(UnixStream::from(socket))?;
        let mut agent: Server<Carrier> = Server::new(stream);
        let mut arguments = Arguments::default();
        while let Some(request) = agent.receive_unlimited().await? {
            if !orders.allow(&request) {
                return Err(IpcError::Malformed("a request beyond the duty of this process".to_owned()));
            }
            match request {
                Request::Read { paths, role } => read::answer(&mut agent, &paths, role).await?,
                Request::Look(path) => agent.send(&Reply::List(read::look(&path))).await?,
                Request::Arguments(words) => arguments.add(words)?,
                Request::Deliver(deposit) => {
                    let done = deliver(&mut agent, *deposit, &arguments.0, lent.as_ref()).await?;
                    return agent.send(&Reply::Done(done)).await;
                }
                Request::Serve(target) => {
                    let client = agent.take_descriptor();
                    let client = client.ok_or_else(|| IpcError::Malformed("a client without its socket".to_owned()))?;
                    let mut incoming = Incoming { agent: &mut agent, heading: None, ended: true };
                    let task = command::Task { target: &target, arguments: &arguments.0 };
                    let done = command::serve(&task, client, &mut incoming).await?;
                    return agent.send(&Reply::Done(done)).await;
                }
                Request::Content(_) | Request::End | Request::Stop => {
                    return Err(IpcError::Malformed("content without a delivery".to_owned()));
                }
            }
        }
        Ok(())
    })
}

/// The arguments of the command to come.
#[derive(Default)]
struct Arguments(Vec<carrier::Path>);

/// Bytes of arguments that are taken; more than systems pass to a program.
/// told: the agent, which defers the mail and logs why.
const MAX_ARGUMENTS: usize = 8 << 20;

impl Arguments {
    fn add(&mut self, words: impl IntoIterator<Item = carrier::Path>) -> Result<(), IpcError> {
        self.0.extend(words);
        let bytes: usize = self.0.iter().map(|word| word.0.len() + 1).sum();
        if bytes > MAX_ARGUMENTS { Err(IpcError::Malformed("too many arguments".to_owned())) } else { Ok(()) }
    }
}

async fn deliver(
    agent: &mut Server<Carrier>,
    deposit: Deposit,
    arguments: &[carrier::Path],
    lent: Option<&File>,
) -> Result<Done, IpcError> {
    let mut message = Incoming { agent, heading: Some(deposit.heading), ended: false };
    let written = match deposit.target {
        Target::Mailbox(target) => mailbox::deliver(&target, lent, &mut message).await.map(Some),
        Target::Maildir { path, hostname } => maildir::deliver(&path, &hostname, &mut message).await.map(|()| None),
        Target::Command(target) => {
            let task = command::Task { target: &target, arguments };
            return command::deliver(&task, &mut message).await;
        }
    };
    match written {
        Ok(at) => Ok(Done::Delivered { output: Vec::new(), at }),
        Err(Failure::Agent(error)) => Err(error),
        Err(Failure::Problem(problem)) => Ok(Done::NotWritten(problem)),
    }
}

/// The message as it comes.
pub(crate) struct Incoming<'a> {
    agent: &'a mut Server<Carrier>,
    heading: Option<Vec<u8>>,
    ended: bool,
}

impl Incoming<'_> {
    /// Tells the agent of something that does not keep the delivery from going on.
    pub(crate) fn warn(&mut self, warning: &Reply) -> Result<(), IpcError> {
        self.agent.queue(warning)
    }

    /// Tells the agent something at once.
    ///
    /// # Errors
    /// The agent is gone.
    pub(crate) async fn tell(&mut self, reply: &Reply) -> Result<(), IpcError> {
        self.agent.send(reply).await
    }

    /// The next piece of text; `None` at the end of the message.
    ///
    /// # Errors
    /// The agent is gone before the message was complete: nothing may remain of it.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, IpcError> {
        if self.ended {
            return Ok(None);
        }
        match self.piece().await? {
            Piece::Text(bytes) => Ok(Some(bytes)),
            Piece::End => Ok(None),
            Piece::Stop => Err(IpcError::Malformed("a file that is told to stop".to_owned())),
        }
    }

    /// Takes what is left of the message.
    pub(crate) async fn drain(&mut self) -> Result<(), IpcError> {
        while !self.ended {
            self.piece().await?;
        }
        Ok(())
    }

    /// What the agent says next, however long that takes.
    ///
    /// # Errors
    /// As [`next`](Self::next); after the end of the message only `Stop` may follow.
    pub(crate) async fn piece(&mut self) -> Result<Piece, IpcError> {
        if let Some(heading) = self.heading.take() {
            return Ok(Piece::Text(heading));
        }
        match self.agent.receive_unlimited().await? {
            Some(Request::Content(bytes)) if !self.ended => Ok(Piece::Text(bytes)),
            Some(Request::End) if !self.ended => {
                self.ended = true;
                Ok(Piece::End)
            }
            Some(Request::Stop) => {
                self.ended = true;
                Ok(Piece::Stop)
            }
            Some(_) => Err(IpcError::Malformed("a request in the middle of a message".to_owned())),
            None => Err(IpcError::Closed),
        }
    }
}

/// What the agent says during a delivery.
pub(crate) enum Piece {
    /// Text of the message.
    Text(Vec<u8>),
    /// The message is complete.
    End,
    /// The time is over.
    Stop,
}

/// What fails where the message itself cannot be written.
pub const WRITING: &str = "error writing message";

/// Why nothing was written.
pub(crate) enum Failure {
    /// The agent is gone.
    Agent(IpcError),
    /// The file system says no.
    Problem(WriteProblem),
}

impl From<IpcError> for Failure {
    fn from(error: IpcError) -> Self {
        Failure::Agent(error)
    }
}

impl Failure {
    /// A refused system call.
    pub(crate) fn system(what: impl Into<String>, error: &std::io::Error) -> Self {
        Failure::Problem(WriteProblem::System { what: ipc::cut(what.into()), code: errno(error) })
    }
}

/// The number of an error of the system. Errors that Rust makes itself have none: what is no path, or too much for it.
pub(crate) fn errno(error: &std::io::Error) -> i32 {
    use nix::errno::Errno;
    let own = if error.kind() == std::io::ErrorKind::InvalidInput { Errno::EINVAL } else { Errno::EIO };
    error.raw_os_error().unwrap_or(own as i32)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
