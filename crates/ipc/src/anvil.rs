//! anvil: how many connections a client has, and how often it connects and does other things.
//!
//! A process keeps one connection for all its clients. The connections of clients that were counted over it are
//! released when it ends: a worker that dies leaves nothing behind. After a reconnect the client side says again which
//! connections it holds, so that a new anvil begins with the right counts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::channel::{Client, IpcError, Service};
use crate::pool::Pool;

/// The service `private/anvil`.
pub struct Anvil;

impl Service for Anvil {
    const NAME: &'static str = "anvil";
    const VERSION: u16 = 2;
    type Request = Request;
    type Reply = Counts;
}

/// Longest identity (`service:address`) in bytes; a server refuses longer ones.
/// told: the log; the client is not counted.
pub const MAX_IDENTITY: usize = 255;

/// What anvil is told or asked. Only `Count` and `Look` are answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Counts an event of a client.
    Count {
        /// What it did.
        event: Event,
        /// `service:address`.
        #[serde(with = "crate::bounds::text")]
        identity: String,
    },
    /// How often a client has done something, without counting.
    Look {
        /// What it did.
        event: Event,
        /// `service:address`.
        #[serde(with = "crate::bounds::text")]
        identity: String,
    },
    /// A client that was counted with [`Event::Connection`] is gone.
    Release {
        /// `service:address`.
        #[serde(with = "crate::bounds::text")]
        identity: String,
    },
    /// A client has this many connections, all counted before.
    Hold {
        /// `service:address`.
        #[serde(with = "crate::bounds::text")]
        identity: String,
        /// Connections.
        count: u32,
    },
}

/// What a client did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Event {
    /// It has connected.
    Connection,
    /// It wants to send a message.
    Message,
    /// It has named a recipient.
    Recipient,
    /// It has begun a TLS session that is not a resumed one.
    NewTls,
    /// It wants to authenticate.
    Auth,
}

impl Event {
    /// All events.
    pub const ALL: [Event; 5] = [Event::Connection, Event::Message, Event::Recipient, Event::NewTls, Event::Auth];
}

/// The answer to [`Request::Count`] and [`Request::Look`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Connections that the client has now.
    pub connections: u32,
    /// Events of that kind in the present anvil_rate_time_unit, this one included.
    pub rate: u32,
}

/// How long an answer is waited for: mail goes on without anvil.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an anvil that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(10);

/// The asking side. Belongs to one thread, and to a runtime of local tasks: one of them has the connection.
pub struct Counter {
    path: PathBuf,
    tasks: RefCell<Option<mpsc::UnboundedSender<Task>>>,
}

/// A client's connection that was counted; dropped, it is released.
pub struct Counted {
    identity: String,
    tasks: mpsc::UnboundedSender<Task>,
}

enum Task {
    Count { event: Event, identity: String, answer: oneshot::Sender<Result<Counts, IpcError>> },
    Look { event: Event, identity: String, answer: oneshot::Sender<Result<Counts, IpcError>> },
    Release(String),
}

impl Counter {
    /// A client of the service at `path`, normally `private/anvil`.
    pub fn new(path: impl Into<PathBuf>) -> Rc<Self> {
        Rc::new(Self { path: path.into(), tasks: RefCell::new(None) })
    }

    /// The socket of the service.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Counts a connection, until what is returned is dropped.
    ///
    /// # Errors
    /// anvil cannot be reached or does not answer in time: nothing is counted.
    pub async fn connection(&self, identity: &str) -> Result<(Counted, Counts), IpcError> {
        let counts = self.count(Event::Connection, identity).await?;
        Ok((Counted { identity: identity.to_owned(), tasks: self.tasks() }, counts))
    }

    /// Counts another event.
    ///
    /// # Errors
    /// As [`connection`](Self::connection).
    pub async fn count(&self, event: Event, identity: &str) -> Result<Counts, IpcError> {
        let (answer, answered) = oneshot::channel();
        // The task lives as long as there are senders.
        let _ = self.tasks().send(Task::Count { event, identity: identity.to_owned(), answer });
        answered.await.unwrap_or(Err(IpcError::Closed))
    }

    /// How often a client has done something; nothing is counted.
    ///
    /// # Errors
    /// As [`connection`](Self::connection).
    pub async fn look(&self, event: Event, identity: &str) -> Result<Counts, IpcError> {
        let (answer, answered) = oneshot::channel();
        let _ = self.tasks().send(Task::Look { event, identity: identity.to_owned(), answer });
        answered.await.unwrap_or(Err(IpcError::Closed))
    }

    fn tasks(&self) -> mpsc::UnboundedSender<Task> {
        let mut tasks = self.tasks.borrow_mut();
        match &*tasks {
            Some(sender) if !sender.is_closed() => sender.clone(),
            _ => {
                let (sender, receiver) = mpsc::unbounded_channel();
                tokio::task::spawn_local(Link::new(self.path.clone()).serve(receiver));
                tasks.insert(sender).clone()
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let _ = self.tasks.send(Task::Release(std::mem::take(&mut self.identity)));
    }
}

/// The one connection of the process, and what is counted over it.
struct Link {
    pool: Pool<Anvil>,
    client: Option<Client<Anvil>>,
    held: HashMap<String, u32>,
    failed: Option<Instant>,
}

impl Link {
    fn new(path: PathBuf) -> Self {
        Self { pool: Pool::new(path, PATIENCE), client: None, held: HashMap::new(), failed: None }
    }

    async fn serve(mut self, mut tasks: mpsc::UnboundedReceiver<Task>) {
        while let Some(task) = tasks.recv().await {
            match task {
                Task::Count { event, identity, answer } => {
                    let counts = self.ask(Request::Count { event, identity: identity.clone() }).await;
                    if counts.is_ok() && event == Event::Connection {
                        *self.held.entry(identity.clone()).or_default() += 1;
                    }
                    if answer.send(counts).is_err_and(|counts| counts.is_ok()) && event == Event::Connection {
                        // The session is gone already.
                        self.release(identity).await;
                    }
                }
                Task::Look { event, identity, answer } => {
                    // Whoever asked may be gone.
                    let _ = answer.send(self.ask(Request::Look { event, identity }).await);
                }
                Task::Release(identity) => self.release(identity).await,
            }
        }
    }

    async fn ask(&mut self, request: Request) -> Result<Counts, IpcError> {
        if self.failed.take_if(|failed| failed.elapsed() >= PAUSE).is_none() && self.failed.is_some() {
            return Err(IpcError::TimedOut);
        }
        if let Some(client) = &mut self.client {
            match client.exchange(&request).await {
                Ok(counts) => return Ok(counts),
                // It has ended since it was used last.
                Err(IpcError::Closed | IpcError::Reset) => self.client = None,
                Err(error) => return Err(self.fail(error)),
            }
        }
        let result = self.begin(&request).await;
        result.map_err(|error| self.fail(error))
    }

    async fn begin(&mut self, request: &Request) -> Result<Counts, IpcError> {
        let mut client = self.pool.connect().await?;
        for (identity, count) in &self.held {
            client.queue(&Request::Hold { identity: identity.clone(), count: *count })?;
        }
        let counts = client.exchange(request).await?;
        self.client = Some(client);
        Ok(counts)
    }

    /// An anvil that is not there says so at once; one that hangs is not waited for by every client.
    fn fail(&mut self, error: IpcError) -> IpcError {
        self.client = None;
        if matches!(error, IpcError::TimedOut) {
            self.failed = Some(Instant::now());
        }
        error
    }

    async fn release(&mut self, identity: String) {
        let Some(count) = self.held.get_mut(&identity) else { return };
        *count -= 1;
        if *count == 0 {
            self.held.remove(&identity);
        }
        // Without a connection anvil has forgotten it.
        if let Some(client) = &mut self.client
            && client.send(&Request::Release { identity }).await.is_err()
        {
            self.client = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Channel, Server};
    use tokio::net::UnixListener;
    use tokio::task::spawn_local;

    type Seen = Rc<RefCell<Vec<Request>>>;

    /// An anvil that ends every connection after `answers` answers.
    fn serve(path: &std::path::Path, answers: usize, seen: &Seen) {
        let listener = UnixListener::bind(path).unwrap();
        let seen = seen.clone();
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut channel: Server<Anvil> = Channel::new(stream);
                let mut left = answers;
                while left > 0 {
                    let Ok(Some(request)) = channel.receive_unlimited().await else { break };
                    seen.borrow_mut().push(request.clone());
                    if matches!(request, Request::Count { .. }) {
                        channel.send(&Counts { connections: 1, rate: 1 }).await.unwrap();
                        left -= 1;
                    }
                }
            }
        });
    }

    fn run<F: Future<Output = ()>>(test: impl FnOnce(PathBuf) -> F) {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ipc-anvil-{}-{number}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .unwrap();
        runtime.block_on(test(path.clone()));
        let _ = std::fs::remove_file(&path);
    }

    fn name(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn a_connection_that_was_counted_is_released_when_it_is_dropped() {
        run(|path| async move {
            let seen = Seen::default();
            serve(&path, 100, &seen);
            let counter = Counter::new(&path);
            let (counted, counts) = counter.connection("smtp:a").await.unwrap();
            assert_eq!(counts, Counts { connections: 1, rate: 1 });
            drop(counted);
            counter.count(Event::Message, "smtp:a").await.unwrap();
            assert_eq!(
                *seen.borrow(),
                [
                    Request::Count { event: Event::Connection, identity: name("smtp:a") },
                    Request::Release { identity: name("smtp:a") },
                    Request::Count { event: Event::Message, identity: name("smtp:a") },
                ]
            );
        });
    }

    #[test]
    fn a_new_anvil_is_told_of_the_connections_that_are_held() {
        run(|path| async move {
            let seen = Seen::default();
            serve(&path, 2, &seen);
            let counter = Counter::new(&path);
            let first = counter.connection("smtp:a").await.unwrap();
            let second = counter.connection("smtp:a").await.unwrap();
            seen.borrow_mut().clear();
            counter.count(Event::Message, "smtp:b").await.unwrap();
            assert_eq!(
                *seen.borrow(),
                [
                    Request::Hold { identity: name("smtp:a"), count: 2 },
                    Request::Count { event: Event::Message, identity: name("smtp:b") },
                ]
            );
            drop((first, second));
        });
    }

    #[test]
    fn an_anvil_that_is_not_there_is_an_error_at_once() {
        run(|path| async move {
            let counter = Counter::new(&path);
            assert!(counter.connection("smtp:a").await.is_err());
            assert!(counter.count(Event::Message, "smtp:a").await.is_err());
        });
    }
}
