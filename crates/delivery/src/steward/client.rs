//! The agent's side: asking for carriers.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use ipc::carrier::Carrier;
use ipc::{Client, Questions};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use tokio::net::UnixStream;

use super::packet::{Order, Reply};
use super::{Account, Policy, Purpose, Who, launch};

/// The agent's steward.
pub struct Steward {
    questions: Questions,
}

/// A carrier that waits for work.
pub struct Started {
    /// Whose rights it has, as the user database describes him.
    pub account: Account,
    /// The channel to it.
    pub channel: Client<Carrier>,
}

/// Why there is no carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartProblem {
    /// No such user.
    Unknown,
    /// The user database does not say; for the log.
    Unanswered {
        /// Who was looked up.
        who: String,
        /// What the database says instead.
        why: String,
    },
    /// Trouble; for the log.
    Failed(String),
}

impl Steward {
    /// Starts the steward of `program`. To be called while the process has the rights that carriers need, before it
    /// gives up its own: in `Worker::start`.
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn start(program: &'static str, policy: &Policy) -> io::Result<Self> {
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        // The steward ends when our end of the socket does; it is nobody's to wait for.
        drop(launch(program, policy, theirs.as_fd())?);
        Ok(Steward { questions: Questions::new(ours) })
    }

    /// A carrier with the rights of `who`.
    ///
    /// # Errors
    /// There is no such user, or the system is in trouble.
    pub async fn carrier(&self, who: Who, purpose: Purpose) -> Result<Started, StartProblem> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
        let theirs = theirs.into_std().map_err(|error| failed(&error))?;
        match self.ask(&who, purpose, Some(theirs.into())).await? {
            Reply::Account(account) => Ok(Started { account, channel: Client::new(ours) }),
            Reply::Unknown => Err(StartProblem::Unknown),
            Reply::Unanswered(why) => Err(StartProblem::Unanswered { who: who.to_string(), why }),
            Reply::Failed(why) => Err(StartProblem::Failed(why)),
        }
    }

    /// What the user database says of a user; `None`: there is no such user.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn look_up(&self, who: Who) -> Result<Option<Account>, String> {
        match self.ask(&who, Purpose::User, None).await {
            Ok(Reply::Account(account)) => Ok(Some(account)),
            Ok(Reply::Unknown) | Err(StartProblem::Unknown) => Ok(None),
            Ok(Reply::Unanswered(why) | Reply::Failed(why)) => Err(why),
            Err(StartProblem::Unanswered { why, .. } | StartProblem::Failed(why)) => Err(why),
        }
    }

    async fn ask(&self, who: &Who, purpose: Purpose, socket: Option<OwnedFd>) -> Result<Reply, StartProblem> {
        let order = |number| Order { number, purpose, who: who.clone() }.encode();
        if order(0).is_none() {
            return Err(StartProblem::Unknown);
        }
        match self.questions.ask(|number| order(number).unwrap_or_default(), socket).await {
            Ok(answer) => match Reply::decode(&answer.packet) {
                Some((_, reply)) => Ok(reply),
                None => Err(StartProblem::Failed("malformed answer of the steward process".to_owned())),
            },
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(StartProblem::Failed("the steward process is gone".to_owned()))
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// Receives the steward's answers for as long as it lives: to be run as a task beside the sessions.
    pub async fn listen(&self) {
        self.questions.listen().await;
    }
}

fn failed(error: &io::Error) -> StartProblem {
    StartProblem::Failed(text::system_error(error))
}
