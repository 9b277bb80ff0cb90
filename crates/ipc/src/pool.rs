//! Connections to a service that are kept and reused: a message costs no new connection between our processes.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::channel::{Client, IpcError, Service};

/// How long connections are kept by all pools of this process: unused, and at all.
static KEPT: OnceLock<(Duration, Duration)> = OnceLock::new();
/// What counts where nothing was said: an unused connection is closed after five seconds.
pub(crate) const MAX_IDLE: Duration = Duration::from_secs(5);
/// The same of one that is used all the time.
const MAX_AGE: Duration = Duration::from_secs(1000);
/// How often, and after which pause, a full queue of waiting clients is tried again: ten seconds in all.
const FULL_ATTEMPTS: u32 = 1000;
/// See [`FULL_ATTEMPTS`].
const FULL_DELAY: Duration = Duration::from_millis(10);
/// How often a request is repeated because its connection was closed without an answer.
const CLOSED_ATTEMPTS: u32 = 3;
/// Unused connections that are kept.
/// told: nobody; other connections are closed after use.
pub(crate) const MAX_KEPT: usize = 64;

/// Says how long connections of this process are kept: unused (ipc_idle), and at all (ipc_ttl). The first word counts.
pub fn keep_connections(idle: Duration, age: Duration) {
    let _ = KEPT.set((idle, age));
}

fn kept() -> (Duration, Duration) {
    *KEPT.get().unwrap_or(&(MAX_IDLE, MAX_AGE))
}

/// The connections of one process to one service. Belongs to one thread.
pub struct Pool<P: Service> {
    path: PathBuf,
    timeout: Duration,
    idle: Rc<Unused<P>>,
}

/// Connections that wait, and since when.
type Unused<P> = RefCell<Vec<(Client<P>, Instant)>>;

/// The waiting connections of a pool, whatever they speak.
trait Waiting {
    /// Closes those whose time is over. How long the next one has left.
    fn close_old(&self) -> Option<Duration>;
}

impl<P: Service> Waiting for Unused<P> {
    fn close_old(&self) -> Option<Duration> {
        let (longest_idle, oldest) = kept();
        let left = |(client, since): &(Client<P>, Instant)| {
            longest_idle.saturating_sub(since.elapsed()).min(oldest.saturating_sub(client.age()))
        };
        let mut idle = self.borrow_mut();
        idle.retain(|waiting| !left(waiting).is_zero());
        idle.iter().map(left).min()
    }
}

thread_local! {
    /// The pools of this thread.
    static POOLS: RefCell<Vec<Weak<dyn Waiting>>> = const { RefCell::new(Vec::new()) };
    /// Told when a connection begins to wait.
    static GIVEN_BACK: Rc<Notify> = Rc::new(Notify::new());
}

/// Closes connections of this thread that nobody has used for ipc_idle or that are older than ipc_ttl, for ever: an
/// idle process holds no place at another service. A process that does not run this closes them when it needs one.
pub async fn close_unused() {
    let given_back = GIVEN_BACK.with(Rc::clone);
    loop {
        let next = POOLS.with_borrow_mut(|pools| {
            pools.retain(|pool| pool.strong_count() > 0);
            pools.iter().filter_map(|pool| pool.upgrade()?.close_old()).min()
        });
        match next {
            Some(left) => tokio::time::sleep(left).await,
            None => given_back.notified().await,
        }
    }
}

impl<P: Service> Pool<P> {
    /// A pool for the socket at `path` (relative to the queue directory); `timeout` is ipc_timeout.
    pub fn new(path: impl Into<PathBuf>, timeout: Duration) -> Self {
        let idle = Rc::new(RefCell::new(Vec::new()));
        let waiting: Weak<Unused<P>> = Rc::downgrade(&idle);
        POOLS.with_borrow_mut(|pools| pools.push(waiting));
        Self { path: path.into(), timeout, idle }
    }

    /// The socket that the pool connects to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection, and whether it has been used before: then the server may have closed it meanwhile, and a failure
    /// of the first exchange says nothing about the service.
    ///
    /// # Errors
    /// Those of connect(2).
    pub async fn take(&self) -> Result<(Client<P>, bool), IpcError> {
        self.idle.close_old();
        let kept = self.idle.borrow_mut().pop();
        match kept {
            Some((client, _)) => Ok((client, true)),
            None => Ok((self.connect().await?, false)),
        }
    }

    /// A new connection, whatever the pool holds.
    ///
    /// # Errors
    /// Those of connect(2). A queue of waiting clients that is full is waited for, for a while.
    pub async fn connect(&self) -> Result<Client<P>, IpcError> {
        let mut attempts = 0;
        loop {
            match Client::<P>::connect(&self.path).await {
                // A Unix socket whose backlog is full says so at once instead of letting connect(2) wait.
                Err(IpcError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock && attempts < FULL_ATTEMPTS => {
                    attempts += 1;
                    tokio::time::sleep(FULL_DELAY).await;
                }
                Err(error) => return Err(error),
                Ok(mut client) => {
                    client.set_timeout(self.timeout);
                    return Ok(client);
                }
            }
        }
    }

    /// Gives back a connection whose last exchange is complete.
    pub fn give_back(&self, client: Client<P>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_KEPT {
            idle.push((client, Instant::now()));
            GIVEN_BACK.with(|given_back| given_back.notify_one());
        }
    }

    /// Closes the connections that wait unused.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
    }

    /// One request, one reply, on a connection of the pool. Only for requests that may be made twice.
    ///
    /// # Errors
    /// The service cannot be reached or does not answer.
    pub async fn call(&self, request: &P::Request) -> Result<P::Reply, IpcError> {
        let (client, reply) = self.begin(request).await?;
        self.give_back(client);
        Ok(reply)
    }

    /// Some requests and their replies, in one go. They are sent before any reply is read, so together they must be
    /// small enough for the buffers of a socket.
    ///
    /// # Errors
    /// As [`call`](Self::call), but nothing is repeated; and [`IpcError::TooLarge`].
    pub async fn call_all(&self, requests: &[P::Request]) -> Result<Vec<P::Reply>, IpcError> {
        let (mut client, _) = self.take().await?;
        requests.iter().try_for_each(|request| client.queue(request))?;
        client.flush().await?;
        let mut replies = Vec::with_capacity(requests.len());
        while replies.len() < requests.len() {
            replies.push(client.must_receive().await?);
        }
        self.give_back(client);
        Ok(replies)
    }

    /// One request and its reply, with the connection that carried them. The request is repeated on a new connection
    /// when the server closes one without an answer: a worker may end between accepting a client and hearing it.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn begin(&self, request: &P::Request) -> Result<(Client<P>, P::Reply), IpcError> {
        let (mut client, _) = self.take().await?;
        for _ in 0..CLOSED_ATTEMPTS {
            match client.exchange(request).await {
                Ok(reply) => return Ok((client, reply)),
                Err(IpcError::Closed | IpcError::Reset) => {
                    self.clear();
                    client = self.connect().await?;
                }
                Err(error) => return Err(error),
            }
        }
        let reply = client.exchange(request).await?;
        Ok((client, reply))
    }
}
