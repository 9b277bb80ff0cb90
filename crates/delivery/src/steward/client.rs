//! The agent's side: asking for carriers.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use ipc::Client;
use ipc::carrier::Carrier;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::packet::{Order, Reply};
use super::{Account, Policy, Purpose, Who, launch, packet};

/// The agent's steward.
pub struct Steward {
    socket: RefCell<Option<OwnedFd>>,
    registered: RefCell<Option<Rc<UnixStream>>>,
    waiting: RefCell<HashMap<u32, oneshot::Sender<Reply>>>,
    next: Cell<u32>,
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
        Ok(Steward {
            socket: RefCell::new(Some(ours)),
            registered: RefCell::new(None),
            waiting: RefCell::new(HashMap::new()),
            next: Cell::new(0),
        })
    }

    /// A carrier with the rights of `who`.
    ///
    /// # Errors
    /// There is no such user, or the system is in trouble.
    pub async fn carrier(&self, who: Who, purpose: Purpose) -> Result<Started, StartProblem> {
        let (ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
        let theirs = theirs.into_std().map_err(|error| failed(&error))?;
        match self.ask(who, purpose, Some(theirs.into())).await? {
            Reply::Account(account) => Ok(Started { account, channel: Client::new(ours) }),
            Reply::Unknown => Err(StartProblem::Unknown),
            Reply::Failed(why) => Err(StartProblem::Failed(why)),
        }
    }

    /// What the user database says of a user; `None`: there is no such user.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn look_up(&self, who: Who) -> Result<Option<Account>, String> {
        match self.ask(who, Purpose::User, None).await {
            Ok(Reply::Account(account)) => Ok(Some(account)),
            Ok(Reply::Unknown) | Err(StartProblem::Unknown) => Ok(None),
            Ok(Reply::Failed(why)) | Err(StartProblem::Failed(why)) => Err(why),
        }
    }

    async fn ask(&self, who: Who, purpose: Purpose, socket: Option<OwnedFd>) -> Result<Reply, StartProblem> {
        let number = self.next.replace(self.next.get().wrapping_add(1));
        let Some(order) = (Order { number, purpose, who }).encode() else { return Err(StartProblem::Unknown) };
        let steward = self.socket().map_err(|error| failed(&error))?;
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(number, sender);
        let attached: Vec<_> = socket.iter().map(AsFd::as_fd).collect();
        let sent = steward
            .async_io(Interest::WRITABLE, || sys::descriptor::send_with(steward.as_fd(), &order, &attached))
            .await;
        drop(attached);
        drop(socket);
        if let Err(error) = sent {
            self.waiting.borrow_mut().remove(&number);
            return Err(failed(&error));
        }
        receiver.await.map_err(|_| StartProblem::Failed("the steward process is gone".to_owned()))
    }

    /// The socket, known to the event loop from the first use on. It carries packets, whatever the type's name says.
    fn socket(&self) -> io::Result<Rc<UnixStream>> {
        if let Some(registered) = &*self.registered.borrow() {
            return Ok(Rc::clone(registered));
        }
        let owned = self.socket.borrow_mut().take().ok_or(io::ErrorKind::NotConnected)?;
        sys::descriptor::set_nonblocking(owned.as_fd(), true)?;
        let registered = Rc::new(UnixStream::from_std(owned.into())?);
        *self.registered.borrow_mut() = Some(Rc::clone(&registered));
        Ok(registered)
    }

    /// Receives the steward's answers for as long as it lives: to be run as a task beside the sessions.
    pub async fn listen(&self) {
        let Ok(steward) = self.socket() else { return };
        let mut buffer = vec![0; packet::MAX];
        loop {
            let received = steward
                .async_io(Interest::READABLE, || sys::descriptor::receive_with(steward.as_fd(), &mut buffer))
                .await;
            let count = match received {
                Ok((count, _)) if count > 0 => count,
                _ => break,
            };
            let Some((number, reply)) = Reply::decode(&buffer[..count]) else { break };
            if let Some(sender) = self.waiting.borrow_mut().remove(&number) {
                // The session that asked may be gone.
                let _ = sender.send(reply);
            }
        }
        // Whoever waits learns that there will be no answer.
        self.waiting.borrow_mut().clear();
    }
}

fn failed(error: &io::Error) -> StartProblem {
    StartProblem::Failed(text::system_error(error))
}
