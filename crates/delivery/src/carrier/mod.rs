//! The carrier: a process that has become a user before it was executed, and does one delivery with that user's
//! rights.
//!
//! It gets its work over an inherited socket ([`ipc::carrier`]) and its identity from whoever started it. It never
//! gains rights, never sees a queue file, and decides nothing: it reports facts. Everything here may block: the process
//! has one thing to do.

mod command;
mod lock;
mod mailbox;
mod maildir;
mod read;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use ipc::bounds::MAX_BLOCK;
use ipc::carrier::{Carrier, Deposit, Done, FoundFile, Reply, Request, Target, WriteProblem};
use ipc::{IpcError, Server};

/// The descriptor that the socket to the agent has in a carrier.
pub const DESCRIPTOR: i32 = 3;

/// Runs a carrier to its end.
pub fn run() -> ExitCode {
    sys::process::ignore(sys::process::Ignored::FileSize);
    let served = sys::descriptor::inherit(DESCRIPTOR).map_err(IpcError::Io).and_then(serve);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        // The agent sees the closed socket, and says what it means for the message.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(socket: OwnedFd) -> Result<(), IpcError> {
    sys::descriptor::set_nonblocking(std::os::fd::AsFd::as_fd(&socket), true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stream = tokio::net::UnixStream::from_std(UnixStream::from(socket))?;
        let mut agent: Server<Carrier> = Server::new(stream);
        while let Some(request) = agent.receive_unlimited().await? {
            match request {
                Request::Read { paths, limit } => answer(&mut agent, read::first(&paths, limit)).await?,
                Request::Deliver(deposit) => {
                    let done = deliver(&mut agent, *deposit).await?;
                    return agent.send(&Reply::Done(done)).await;
                }
                Request::Content(_) | Request::End => {
                    return Err(IpcError::Malformed("content without a delivery".to_owned()));
                }
            }
        }
        Ok(())
    })
}

/// Sends a file that was found, block after block.
async fn answer(agent: &mut Server<Carrier>, (found, bytes): (FoundFile, Vec<u8>)) -> Result<(), IpcError> {
    let has_content = matches!(found, FoundFile::Found { .. });
    agent.queue(&Reply::File(found))?;
    if has_content {
        for block in bytes.chunks(MAX_BLOCK) {
            agent.send(&Reply::Bytes(block.to_vec())).await?;
        }
        agent.queue(&Reply::Bytes(Vec::new()))?;
    }
    agent.flush().await
}

async fn deliver(agent: &mut Server<Carrier>, deposit: Deposit) -> Result<Done, IpcError> {
    limit_file_size(deposit.size_limit);
    let mut message = Incoming { agent, heading: Some(deposit.heading), ended: false };
    let written = match deposit.target {
        Target::Mailbox(target) => mailbox::deliver(&target, &mut message).await,
        Target::Maildir { path, hostname } => maildir::deliver(&path, &hostname, &mut message).await,
        Target::Command(target) => return command::deliver(&target, &mut message).await,
    };
    match written {
        Ok(()) => Ok(Done::Delivered { output: Vec::new() }),
        Err(Failure::Agent(error)) => Err(error),
        Err(Failure::Problem(problem)) => Ok(Done::NotWritten(problem)),
    }
}

/// mailbox_size_limit, for this process and for what it runs.
fn limit_file_size(limit: u64) {
    if limit > 0 {
        // A limit that cannot be set is larger than the one in force: that one holds then.
        let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, limit, limit);
    }
}

/// The message as it comes.
pub(crate) struct Incoming<'a> {
    agent: &'a mut Server<Carrier>,
    heading: Option<Vec<u8>>,
    ended: bool,
}

impl Incoming<'_> {
    /// The next piece; `None` at the end of the message.
    ///
    /// # Errors
    /// The agent is gone before the message was complete: nothing may remain of it.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, IpcError> {
        if let Some(heading) = self.heading.take() {
            return Ok(Some(heading));
        }
        if self.ended {
            return Ok(None);
        }
        match self.agent.receive().await? {
            Some(Request::Content(bytes)) => Ok(Some(bytes)),
            Some(Request::End) => {
                self.ended = true;
                Ok(None)
            }
            Some(_) => Err(IpcError::Malformed("a request in the middle of a message".to_owned())),
            None => Err(IpcError::Closed),
        }
    }
}

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
        let code = error.raw_os_error().unwrap_or(nix::errno::Errno::EIO as i32);
        Failure::Problem(WriteProblem::System { what: ipc::cut(what.into()), code })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
