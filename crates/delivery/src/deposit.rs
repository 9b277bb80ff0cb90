//! One delivery through a carrier, or one list read by it: the conversation.
//!
//! A carrier belongs to the user whose rights it has. What it says gives no rights but its own, and how long it takes
//! is this side's matter.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use ipc::bounds::chunks;
use ipc::carrier::{
    Carrier, Command, Deposit, Done, Ending, FoundList, ListProblem, Path, Reply, Request, Role, Target, WriteProblem,
};
use ipc::{Client, IpcError};
use queue::envelope::EnvelopeError;

use crate::Job;
use crate::content::{Form, Pieces};
use crate::steward::{StartProblem, Started, Steward};

/// How long a carrier may take to end a command that has had its time, before the steward ends both.
const GRACE: Duration = Duration::from_secs(2);

/// Why it is not known what a carrier has done.
#[derive(Debug)]
pub enum Trouble {
    /// There is no such user.
    UnknownUser,
    /// The user database does not say whether there is one; for the log.
    NoAnswer {
        /// Who was looked up.
        who: String,
        /// What the database says instead.
        why: String,
    },
    /// No carrier could be started, or it died; for the log.
    Carrier(String),
    /// The queue file is damaged.
    Damaged(EnvelopeError),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::UnknownUser => f.write_str("unknown user"),
            Trouble::NoAnswer { who, why } => write!(f, "error looking up passwd info for {who}: {why}"),
            Trouble::Carrier(why) => f.write_str(why),
            Trouble::Damaged(error) => error.fmt(f),
        }
    }
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
            StartProblem::Withheld(account) => {
                Trouble::Carrier(format!("delivery with the rights of {} is refused", account.name))
            }
            StartProblem::NotWritten(_) => Trouble::Carrier("a mailbox that nobody asked for".to_owned()),
        }
    }
}

/// What a carrier is to deliver, and how.
pub struct Parcel {
    /// Where it goes.
    pub deposit: Deposit,
    /// The words of a command that is no line.
    pub arguments: Vec<Path>,
    /// How the lines of the message are written.
    pub form: Form,
    /// How long a command may take (command_time_limit); it means nothing elsewhere.
    pub limit: Duration,
}

impl From<Deposit> for Parcel {
    /// To a file, as its readers want it.
    fn from(deposit: Deposit) -> Self {
        let form = if matches!(deposit.target, Target::Mailbox(_)) { Form::mailbox() } else { Form::plain() };
        Parcel { deposit, arguments: Vec::new(), form, limit: Duration::MAX }
    }
}

/// Has a carrier deliver the message of the job; within the limit where it is a command.
///
/// # Errors
/// It is not known what the carrier has done, if anything.
pub async fn deliver(steward: &Steward, mut carrier: Started, job: &Job, parcel: Parcel) -> Result<Done, Trouble> {
    let (is_command, limit) = (matches!(parcel.deposit.target, Target::Command(_)), parcel.limit);
    let mut is_read = false;
    let conversation = converse(&mut carrier.channel, job, parcel, &mut is_read);
    let done = match is_command {
        false => conversation.await,
        // command_time_limit
        true => match tokio::time::timeout(limit, conversation).await {
            Ok(done) => done,
            Err(_) => {
                let way = if is_read { "read" } else { "write" };
                logging::warning!("pipe_command_{way}: {way} time limit exceeded");
                Ok(stop(steward, &mut carrier).await)
            }
        },
    };
    match &done {
        // Nothing may go on that nobody waits for.
        Err(_) => steward.kill(&carrier).await,
        Ok(_) => steward.release(&carrier).await,
    }
    done
}

/// Has a carrier run a command for a client, until it ends or its time is over.
///
/// # Errors
/// As [`deliver`].
pub async fn serve(
    steward: &Steward,
    mut carrier: Started,
    client: BorrowedFd<'_>,
    (command, arguments): (Command, Vec<Path>),
    limit: Duration,
) -> Result<Done, Trouble> {
    let channel = &mut carrier.channel;
    let (name, mut process) = (arguments.first().map(|word| text::printable(&word.0)).unwrap_or_default(), 0);
    let conversation = async {
        queue_arguments(channel, arguments)?;
        channel.send_with(&Request::Serve(Box::new(command)), client).await?;
        match channel.must_receive().await? {
            Reply::Running(number) => process = number,
            Reply::Done(done) => return Ok(done),
            _ => return Err(unexpected()),
        }
        answer(channel).await
    };
    let done = match tokio::time::timeout(limit, conversation).await {
        Ok(done) => done,
        Err(_) => {
            logging::warning!("{name}: process id {process}: command time limit exceeded");
            Ok(stop(steward, &mut carrier).await)
        }
    };
    if done.is_err() {
        steward.kill(&carrier).await;
    }
    done
}

fn queue_arguments(channel: &mut Client<Carrier>, arguments: Vec<Path>) -> Result<(), IpcError> {
    chunks(arguments).try_for_each(|chunk| channel.queue(&Request::Arguments(chunk)))
}

/// `is_read` is set when the carrier has the whole message.
async fn converse(
    channel: &mut Client<Carrier>,
    job: &Job,
    parcel: Parcel,
    is_read: &mut bool,
) -> Result<Done, Trouble> {
    queue_arguments(channel, parcel.arguments)?;
    channel.queue(&Request::Deliver(Box::new(parcel.deposit)))?;
    let mut pieces = Pieces::new(job.content(), &parcel.form);
    while let Some(piece) = pieces.next_piece().map_err(Trouble::Damaged)? {
        channel.queue(&Request::Content(piece))?;
        if channel.flush().await.is_err() {
            // A carrier that does not want more has said why.
            return answer(channel).await;
        }
    }
    // As above: the answer counts.
    let _ = channel.send(&Request::End).await;
    *is_read = true;
    answer(channel).await
}

/// Ends a command: by its carrier, which tells what the command has printed, or by force.
async fn stop(steward: &Steward, carrier: &mut Started) -> Done {
    let channel = &mut carrier.channel;
    let asked = async {
        channel.send(&Request::Stop).await?;
        answer(channel).await
    };
    match tokio::time::timeout(GRACE, asked).await {
        Ok(Ok(done)) => done,
        _ => {
            steward.kill(carrier).await;
            Done::Command { ending: Ending::TimedOut, output: Vec::new() }
        }
    }
}

async fn answer(channel: &mut Client<Carrier>) -> Result<Done, Trouble> {
    loop {
        match channel.must_receive().await? {
            Reply::Done(done) => return Ok(done),
            Reply::Warning(what, code) => {
                let error = text::system_error(&std::io::Error::from_raw_os_error(code));
                logging::warning!("{}: {error}", text::printable(what.as_bytes()));
            }
            Reply::List(_) | Reply::Text(_) | Reply::TextEnd(_) | Reply::Running(_) => return Err(unexpected()),
        }
    }
}

/// What reading a list has given.
pub enum Reading {
    /// There is none.
    None,
    /// The text, and of which one.
    Text(Path, Vec<u8>),
    /// It cannot be used; which one, and why.
    Unusable(Path, ListProblem),
    /// It is larger than the limit; which one.
    TooLarge(Path),
}

/// Has a carrier read the first list that exists, if it is no larger than the limit.
///
/// # Errors
/// The carrier is gone.
pub async fn read(
    channel: &mut Client<Carrier>,
    paths: Vec<Path>,
    role: Role,
    limit: usize,
) -> Result<Reading, Trouble> {
    channel.send(&Request::Read { paths, role }).await?;
    let path = match list(channel).await? {
        FoundList::None => return Ok(Reading::None),
        FoundList::Unusable { path, why } => return Ok(Reading::Unusable(path, why)),
        FoundList::Found { path, .. } => path,
    };
    let mut text = Vec::new();
    let mut is_large = false;
    loop {
        match channel.must_receive().await? {
            Reply::Text(piece) if text.len() + piece.len() <= limit && !is_large => text.extend(piece),
            Reply::Text(_) => is_large = true,
            Reply::TextEnd(Err(code)) => return Ok(Reading::Unusable(path, ListProblem::System(code))),
            Reply::TextEnd(Ok(())) if is_large => return Ok(Reading::TooLarge(path)),
            Reply::TextEnd(Ok(())) => return Ok(Reading::Text(path, text)),
            Reply::List(_) | Reply::Warning(..) | Reply::Running(_) | Reply::Done(_) => return Err(unexpected()),
        }
    }
}

/// Has a carrier say who owns a list; whether that is so, only a carrier of the owner knows.
///
/// # Errors
/// The carrier is gone.
pub async fn look(channel: &mut Client<Carrier>, path: Path) -> Result<FoundList, Trouble> {
    channel.send(&Request::Look(path)).await?;
    list(channel).await
}

async fn list(channel: &mut Client<Carrier>) -> Result<FoundList, Trouble> {
    match channel.must_receive().await? {
        Reply::List(found) => Ok(found),
        _ => Err(unexpected()),
    }
}

/// A mailbox that nobody could open is a result like any other.
///
/// # Errors
/// Any other problem.
pub fn not_written(problem: StartProblem) -> Result<WriteProblem, Trouble> {
    match problem {
        StartProblem::NotWritten(problem) => Ok(problem),
        other => Err(other.into()),
    }
}

fn unexpected() -> Trouble {
    IpcError::Malformed("an answer that was not asked for".to_owned()).into()
}
