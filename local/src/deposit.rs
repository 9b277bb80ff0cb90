//! One delivery through a carrier: the conversation.

use delivery::Job;
use delivery::steward::{Purpose, StartProblem, Started, Steward, Who};
use ipc::carrier::{Carrier, Deposit, Done, FoundFile, Path, Reply, Request};
use ipc::{Client, IpcError};
use queue::envelope::EnvelopeError;

use crate::content::Pieces;

/// Why it is not known what a carrier has done.
#[derive(Debug)]
pub enum Trouble {
    /// There is no such user.
    UnknownUser,
    /// The user database does not say whether there is one; for the log.
    NoAnswer { who: String, why: String },
    /// No carrier could be started, or it died; for the log.
    Carrier(String),
    /// The queue file is damaged.
    Damaged(EnvelopeError),
}

impl From<IpcError> for Trouble {
    fn from(error: IpcError) -> Self {
        Trouble::Carrier(format!("delivery process: {error}"))
    }
}

impl From<StartProblem> for Trouble {
    fn from(problem: StartProblem) -> Self {
        match problem {
            StartProblem::Unknown => Trouble::UnknownUser,
            StartProblem::Unanswered { who, why } => Trouble::NoAnswer { who, why },
            StartProblem::Failed(why) => Trouble::Carrier(format!("cannot start a delivery process: {why}")),
        }
    }
}

/// Starts a carrier and has it deliver.
pub async fn start_and_deliver(
    steward: &Steward,
    (who, purpose): (Who, Purpose),
    job: &Job,
    deposit: Deposit,
    as_mailbox: bool,
) -> Result<Done, Trouble> {
    let Started { channel, .. } = steward.carrier(who, purpose).await?;
    deliver(channel, job, deposit, as_mailbox).await
}

/// Has a carrier deliver the message of the job.
pub async fn deliver(
    mut channel: Client<Carrier>,
    job: &Job,
    deposit: Deposit,
    as_mailbox: bool,
) -> Result<Done, Trouble> {
    channel.queue(&Request::Deliver(Box::new(deposit)))?;
    let mut pieces = Pieces::new(job.content(), as_mailbox);
    while let Some(piece) = pieces.next().map_err(Trouble::Damaged)? {
        channel.queue(&Request::Content(piece))?;
        if channel.flush().await.is_err() {
            // A carrier that does not want more has said why.
            return answer(&mut channel).await;
        }
    }
    // As above: the answer counts.
    let _ = channel.send(&Request::End).await;
    answer(&mut channel).await
}

/// Has a carrier read the first file that exists; its content beside it.
pub async fn read(
    channel: &mut Client<Carrier>,
    paths: Vec<Path>,
    limit: u64,
) -> Result<(FoundFile, Vec<u8>), Trouble> {
    let found = match channel.exchange(&Request::Read { paths, limit }).await? {
        Reply::File(found) => found,
        Reply::Done(_) | Reply::Bytes(_) => return Err(IpcError::Malformed("no file".to_owned()).into()),
    };
    let mut bytes = Vec::new();
    while let FoundFile::Found { .. } = found {
        match channel.expect().await? {
            Reply::Bytes(block) if block.is_empty() => break,
            Reply::Bytes(block) if (bytes.len() + block.len()) as u64 <= limit => bytes.extend_from_slice(&block),
            _ => return Err(IpcError::Malformed("something else than a file of that size".to_owned()).into()),
        }
    }
    Ok((found, bytes))
}

async fn answer(channel: &mut Client<Carrier>) -> Result<Done, Trouble> {
    match channel.expect().await? {
        Reply::Done(done) => Ok(done),
        Reply::File(_) | Reply::Bytes(_) => Err(IpcError::Malformed("a file instead of a result".to_owned()).into()),
    }
}
