//! The agent's side: asking for carriers.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use config::{Config, param};
use daemon::{Context, StartError};
use ipc::carrier::{Carrier, WriteProblem};
use ipc::{Client, Questions};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use tokio::net::UnixStream;

use super::packet::{Order, Reply, Task};
use super::{Account, Policy, Who, launch};

/// The limit of processes is reached.
const NO_PROCESS: Errno = Errno::EAGAIN;

/// The agent's steward.
pub struct Steward {
    questions: Questions,
    patience: Patience,
}

config::settings! {
    /// What is done where the system has no process to give.
    #[derive(Clone, Copy)]
    struct Patience {
        attempts: u32 = param::FORK_ATTEMPTS,
        delay: Duration = param::FORK_DELAY,
    }
}

/// A carrier that waits for work.
pub struct Started {
    /// The user, as the database describes him.
    pub account: Account,
    /// The channel to it.
    pub channel: Client<Carrier>,
    /// What the steward knows it by.
    number: u32,
}

/// Why there is no carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartProblem {
    /// No such user.
    Unknown,
    /// Nothing is done with this user's rights: those of default_privs have to do.
    Withheld(Account),
    /// The mailbox cannot be written.
    NotWritten(WriteProblem),
    /// The user database does not say; for the log.
    Unanswered {
        /// Who was looked up.
        who: String,
        /// What the database says instead.
        why: String,
    },
    /// Trouble; for the log.
    Failed(Cause),
}

/// What is in the way of a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// errno.
    System(i32),
    /// The steward's words.
    Said(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::System(code) => f.write_str(&text::system_error(&io::Error::from_raw_os_error(*code))),
            Cause::Said(why) => f.write_str(&text::printable(why.as_bytes())),
        }
    }
}

impl Steward {
    /// Starts the steward of `program`. To be called while the process has the rights that carriers need, before it
    /// gives up its own: in `Worker::start`.
    ///
    /// # Errors
    /// The process cannot be started; fork_attempts or fork_delay make no sense.
    pub fn start(program: &'static str, policy: &Policy, config: &Config) -> Result<Self, StartError> {
        let patience = Patience::read(config)?;
        let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
        let (ours, theirs) = pair.map_err(io::Error::from)?;
        // The steward ends when our end of the socket does; it is nobody's to wait for.
        drop(launch(program, policy, theirs.as_fd())?);
        Ok(Steward { questions: Questions::new(ours), patience })
    }

    /// A carrier that reads lists and writes files with the rights of `who`.
    ///
    /// # Errors
    /// There is no such user, nobody gets the user's rights, or the system is in trouble.
    pub async fn files(&self, who: Who) -> Result<Started, StartProblem> {
        self.carrier(Task::Files(who)).await
    }

    /// A carrier that runs a command with the rights of `who`.
    ///
    /// # Errors
    /// As [`files`](Self::files); no setting allows commands.
    pub async fn command(&self, who: Who) -> Result<Started, StartProblem> {
        self.carrier(Task::Command(who)).await
    }

    /// A carrier that writes files as the user and group of these numbers.
    ///
    /// # Errors
    /// Nobody gets the rights of these numbers, or the system is in trouble.
    pub async fn numbers(&self, uid: u32, gid: u32) -> Result<Started, StartProblem> {
        self.carrier(Task::Numbers(uid, gid)).await
    }

    /// A carrier that runs a command as the one user that the steward is for.
    ///
    /// # Errors
    /// The system is in trouble.
    pub async fn own(&self) -> Result<Started, StartProblem> {
        self.carrier(Task::Own).await
    }

    /// A carrier for a user's mailbox in the mail spool directory. A lock file of somebody else is waited for: so many
    /// attempts (deliver_lock_attempts), so long apart (deliver_lock_delay).
    ///
    /// # Errors
    /// As [`files`](Self::files); the mailbox cannot be written.
    pub async fn mailbox(&self, name: &str, attempts: u32, delay: Duration) -> Result<Started, StartProblem> {
        let mut attempt = 1;
        loop {
            let started = self.carrier(Task::Mailbox(name.as_bytes().to_vec())).await;
            match &started {
                Err(StartProblem::NotWritten(WriteProblem::System { code, .. }))
                    if *code == Errno::EEXIST as i32 && attempt < attempts =>
                {
                    attempt += 1;
                    tokio::time::sleep(delay).await;
                }
                _ => return started,
            }
        }
    }

    /// Ends a carrier, whoever holds it up, and all that it has started.
    pub async fn kill(&self, carrier: &Started) {
        // A steward that is gone has nothing left to end: its agent ends too.
        let _ = self.ask(&Task::Kill(carrier.number), None).await;
    }

    /// The delivery of a carrier is over: the lock on its mailbox is free for the next.
    pub async fn release(&self, carrier: &Started) {
        // As above.
        let _ = self.ask(&Task::Release(carrier.number), None).await;
    }

    async fn carrier(&self, task: Task) -> Result<Started, StartProblem> {
        let Patience { attempts, delay } = self.patience;
        for _ in 1..attempts {
            match self.try_carrier(&task).await {
                Err(StartProblem::Failed(Cause::System(code))) if code == NO_PROCESS as i32 => {
                    logging::warning!("fork: {}", Cause::System(code));
                    tokio::time::sleep(delay).await;
                }
                tried => return tried,
            }
        }
        self.try_carrier(&task).await
    }

    async fn try_carrier(&self, task: &Task) -> Result<Started, StartProblem> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
        let theirs = theirs.into_std().map_err(|error| failed(&error))?;
        let is_mailbox = matches!(task, Task::Mailbox(_));
        match self.ask(task, Some(theirs.into())).await? {
            (_, Reply::Account(account)) if account.is_withheld && !is_mailbox => Err(StartProblem::Withheld(account)),
            (number, Reply::Account(account)) => Ok(Started { account, channel: Client::new(ours), number }),
            (_, Reply::Unknown) => Err(StartProblem::Unknown),
            (_, Reply::NotWritten(problem)) => Err(StartProblem::NotWritten(problem)),
            (_, Reply::Unanswered(why)) => Err(StartProblem::Unanswered { who: task.to_string(), why }),
            (_, Reply::NoProcess) => Err(StartProblem::Failed(Cause::System(NO_PROCESS as i32))),
            (_, Reply::Failed(why)) => Err(StartProblem::Failed(Cause::Said(why))),
            (_, Reply::Done) => Err(malformed()),
        }
    }

    /// What the user database says of a user; `None`: there is no such user.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn look_up(&self, who: Who) -> Result<Option<Account>, StartProblem> {
        let task = Task::LookUp(who);
        match self.ask(&task, None).await {
            Ok((_, Reply::Account(account))) => Ok(Some(account)),
            Ok((_, Reply::Unknown)) | Err(StartProblem::Unknown) => Ok(None),
            Ok((_, Reply::Unanswered(why))) => Err(StartProblem::Unanswered { who: task.to_string(), why }),
            Ok((_, Reply::NoProcess)) => Err(StartProblem::Failed(Cause::System(NO_PROCESS as i32))),
            Ok((_, Reply::Failed(why))) => Err(StartProblem::Failed(Cause::Said(why))),
            Ok((_, Reply::NotWritten(_) | Reply::Done)) => Err(malformed()),
            Err(problem) => Err(problem),
        }
    }

    async fn ask(&self, task: &Task, socket: Option<OwnedFd>) -> Result<(u32, Reply), StartProblem> {
        let order = |number| Order { number, task: task.clone() }.encode();
        if order(0).is_none() {
            return Err(StartProblem::Unknown);
        }
        match self.questions.ask(|number| order(number).unwrap_or_default(), socket).await {
            Ok(answer) => Reply::decode(&answer.packet).ok_or_else(malformed),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(StartProblem::Failed(Cause::Said("the steward process is gone".to_owned())))
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// Receives the steward's answers for as long as it lives, as a task beside the sessions. Without a steward nothing
    /// can be delivered: the worker ends, and master starts a new one, which starts a new steward.
    pub fn watch(self: &Rc<Self>, context: &Rc<Context>) {
        let (steward, context) = (Rc::clone(self), Rc::clone(context));
        tokio::task::spawn_local(async move {
            steward.questions.listen().await;
            logging::warning!("the steward process has ended");
            context.drain();
        });
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Task::LookUp(who) | Task::Files(who) | Task::Command(who) => who.fmt(f),
            Task::Mailbox(name) => f.write_str(&text::printable(name)),
            Task::Numbers(uid, gid) => write!(f, "uid {uid} gid {gid}"),
            Task::Own => f.write_str("the user of the service"),
            Task::Kill(number) | Task::Release(number) => write!(f, "order {number}"),
        }
    }
}

fn malformed() -> StartProblem {
    StartProblem::Failed(Cause::Said("malformed answer of the steward process".to_owned()))
}

fn failed(error: &io::Error) -> StartProblem {
    StartProblem::Failed(match error.raw_os_error() {
        Some(code) => Cause::System(code),
        None => Cause::Said(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an agent gets with three attempts from a steward that answers so many times that there is no process.
    fn asked(refusals: usize) -> Result<String, StartProblem> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) =
                socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
            let answers = std::thread::spawn(move || {
                let mut packet = vec![0; ipc::questions::MAX];
                for refused in 0.. {
                    let (count, _) = sys::descriptor::receive_with(theirs.as_fd(), &mut packet).unwrap();
                    let Some(order) = Order::decode(&packet[..count]) else { return };
                    let account = Account {
                        name: "bob".into(),
                        uid: 1,
                        gid: 1,
                        is_withheld: false,
                        home: String::new(),
                        shell: String::new(),
                    };
                    let reply = if refused < refusals { Reply::NoProcess } else { Reply::Account(account) };
                    sys::descriptor::send_with(theirs.as_fd(), &reply.encode(order.number), &[]).unwrap();
                }
            });
            let patience = Patience { attempts: 3, delay: Duration::from_millis(1) };
            let steward = Steward { questions: Questions::new(ours), patience };
            let started = tokio::select! {
                started = steward.own() => started.map(|started| started.account.name),
                () = steward.questions.listen() => unreachable!("the steward has ended"),
            };
            drop(steward);
            answers.join().unwrap();
            started
        })
    }

    #[test]
    fn a_lack_of_processes_is_waited_for_and_not_for_ever() {
        assert_eq!(asked(0), Ok("bob".to_owned()));
        assert_eq!(asked(2), Ok("bob".to_owned()));
        assert_eq!(asked(3), Err(StartProblem::Failed(Cause::System(Errno::EAGAIN as i32))));
    }
}
