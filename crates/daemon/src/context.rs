//! What a worker knows about itself.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use config::{Config, param};
use ipc::{IpcError, Service as IpcService};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sys::identity::Identity;
use tokio::sync::watch;

use crate::porter::{self, Porter};
use crate::service::Service;
use crate::siblings::Sibling;
use crate::start::{StartError, mail_owner};
use crate::unix_sockets::UnixSockets;

/// What a worker knows about itself: its configuration, its names, and when it is time to end.
pub struct Context {
    /// main.cf with the overrides of master.cf.
    pub config: Config,
    /// The address families in use (inet_protocols and what the kernel has).
    pub protocols: net::Protocols,
    /// Service name of master.cf (`smtp`, `127.0.0.1:10025`).
    pub service_name: String,
    /// Program name.
    pub program: &'static str,
    /// What master.cf says behind the options.
    pub words: Vec<String>,
    /// $queue_directory, which is also the working directory: paths of queues and sockets are relative.
    pub queue_directory: PathBuf,
    /// `-v` count.
    pub verbose: u32,
    /// Clients that this worker may serve at the same time.
    pub session_limit: usize,
    pub(crate) stress: Cell<bool>,
    pub(crate) flow: RefCell<Option<Flow>>,
    pub(crate) tables: Tables,
    pub(crate) draining: watch::Sender<bool>,
    pub(crate) emptying: Cell<bool>,
    pub(crate) service: &'static Service,
    /// master.cf wants the root directory changed.
    pub(crate) chroot: bool,
    pub(crate) porter: OnceCell<Rc<Porter>>,
    /// The porter whom tables ask whose databases are out of reach, where a setting names one.
    pub(crate) of_tables: OnceCell<Rc<Porter>>,
}

impl Context {
    /// Whether master found all workers of the service busy (the parameter `stress`).
    pub fn stress(&self) -> bool {
        self.stress.get()
    }

    /// The process that reaches for this one what its constant names as outside; it is started by the first call, which
    /// is to be made in [`crate::Worker::start`], while there are the rights to do so.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn porter(&self) -> Result<Rc<Porter>, StartError> {
        if let Some(porter) = self.porter.get() {
            return Ok(Rc::clone(porter));
        }
        let started = porter::start(self.service.name, self.service.outside, mail_owner(&self.config)?);
        let started =
            started.map_err(|error| StartError::new(format!("start porter: {}", text::system_error(&error))))?;
        Ok(Rc::clone(self.porter.get_or_init(|| Rc::new(started))))
    }

    /// The root directory of commands that are to have `root` as theirs (empty: none of their own). With chroot in
    /// master.cf it is the queue directory, or one below.
    pub fn root_of_commands(&self, root: &str) -> String {
        if self.chroot {
            self.queue_directory.join(root.trim_start_matches('/')).display().to_string()
        } else {
            root.to_owned()
        }
    }

    /// Starts the porter for tables whose databases are out of reach, if there is one of them; the worker has all its
    /// tables by now.
    pub(crate) fn serve_tables(&self) -> Result<(), StartError> {
        if !lookup::system::is_used() && !lookup::client::served::any() {
            let refused = |_: &lookup::system::Question| Err("the table was opened too late".to_owned());
            lookup::system::reach(Box::new(refused));
            return Ok(());
        }
        let started = porter::start_for_tables(self.service.name, mail_owner(&self.config)?);
        let started =
            started.map_err(|error| StartError::new(format!("start porter: {}", text::system_error(&error))))?;
        // Nobody has set it before: a worker starts once.
        let _ = self.of_tables.set(started);
        Ok(())
    }

    /// The porters of this worker.
    pub(crate) fn porters(&self) -> impl Iterator<Item = &Rc<Porter>> {
        self.porter.get().into_iter().chain(self.of_tables.get())
    }

    /// Whose rights a helper process of this worker has, if not those of the caller.
    ///
    /// # Errors
    /// $mail_owner is nobody.
    pub fn helper_identity(&self) -> Result<Option<Identity>, StartError> {
        mail_owner(&self.config)
    }

    /// What the program is as a daemon.
    pub fn service(&self) -> &'static Service {
        self.service
    }

    /// The socket of a service that this one talks to.
    ///
    /// # Errors
    /// As [`Service::socket`].
    pub fn socket(&self, sibling: Sibling) -> Result<PathBuf, StartError> {
        self.service.socket(sibling, &self.config)
    }

    /// How this worker connects to Unix sockets, wherever they are; to be asked for in [`crate::Worker::start`]. With
    /// chroot in master.cf names are those of the changed root directory.
    ///
    /// # Errors
    /// The porter cannot be started.
    pub fn unix_sockets(&self) -> Result<UnixSockets, StartError> {
        let porter = if self.chroot { None } else { Some(self.porter()?) };
        Ok(UnixSockets::new(self.queue_directory.clone(), porter))
    }

    /// The same, and how it connects to servers of other programs on any host.
    ///
    /// # Errors
    /// As [`Self::unix_sockets`].
    pub fn sockets_and_servers(&self) -> Result<UnixSockets, StartError> {
        Ok(self.unix_sockets()?.and_servers(self.porter()?))
    }

    /// Whether the worker shall end when its present clients are served.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Completes when the worker shall end when its present clients are served.
    pub async fn drained(&self) {
        let mut watcher = self.draining.subscribe();
        // The sender lives as long as the context.
        let _ = watcher.wait_for(|draining| *draining).await;
    }

    /// Ends the worker after its present clients.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Ends the worker after its present clients and those that wait to be accepted.
    pub(crate) fn empty(&self) {
        self.emptying.set(true);
        self.drain();
    }

    /// Whether the clients that wait to be accepted are to be taken before the end.
    pub(crate) fn is_to_empty(&self) -> bool {
        self.emptying.get()
    }

    /// The next request of a client that may keep its connection: `None` when the client is done, when the channel is
    /// broken (logged), or when the worker is to end and the client asks for nothing just now.
    pub async fn next_request<P, S, R>(&self, channel: &mut ipc::Channel<P, S, R>) -> Option<R>
    where
        P: IpcService,
        S: Serialize,
        R: DeserializeOwned,
    {
        let request = tokio::select! {
            biased;
            request = channel.receive_unlimited() => request,
            () = self.drained() => return None,
        };
        // Clients keep their connections for long: they must not keep an outdated table alive.
        self.check_tables();
        match request {
            Ok(request) => request,
            Err(IpcError::Closed | IpcError::Reset) => None,
            Err(error) => {
                logging::repeated!("{} client: {error}", P::NAME);
                None
            }
        }
    }

    /// As [`next_request`](Self::next_request), of a client that asks another worker what this one has not heard: a
    /// request that comes after a table has changed is left unread, for a worker that has the new one.
    pub async fn next_fresh_request<P, S, R>(&self, channel: &mut ipc::Channel<P, S, R>) -> Option<R>
    where
        P: IpcService,
        S: Serialize,
        R: DeserializeOwned,
    {
        tokio::select! {
            biased;
            () = channel.arrival() => {}
            () = self.drained() => return None,
        }
        if self.check_tables() {
            return None;
        }
        self.next_request(channel).await
    }

    /// Ends the worker after its present clients if one of its tables has changed; looks at most once a second.
    pub(crate) fn check_tables(&self) -> bool {
        let due = self.tables.checked.get().is_none_or(|checked| checked.elapsed() >= TABLE_CHECK);
        if !due || self.is_draining() {
            return false;
        }
        self.tables.checked.set(Some(Instant::now()));
        let changed = self.tables.changed.get().and_then(|changed| changed());
        let Some(table) = changed else { return false };
        logging::info!("table {table} has changed -- restarting");
        self.drain();
        true
    }

    /// ipc_timeout; for the queue manager, for which all mail waits, qmgr_ipc_timeout.
    pub fn ipc_timeout(&self) -> Duration {
        let limit = if self.program == "qmgr" { param::QMGR_IPC_TIMEOUT } else { param::IPC_TIMEOUT };
        self.config.get(limit).unwrap_or(Duration::from_secs(3600))
    }

    /// The flow-control pipe that cleanup and qmgr share, when master gave one; taken once.
    pub fn take_flow(&self) -> Option<Flow> {
        self.flow.borrow_mut().take()
    }
}

/// How often tables are looked at, at most.
const TABLE_CHECK: Duration = Duration::from_secs(1);

/// The worker's tables, and when they were looked at.
#[derive(Default)]
pub(crate) struct Tables {
    /// Names a table that has changed; set once, when the worker begins to serve.
    pub changed: OnceCell<ChangedTable>,
    checked: Cell<Option<Instant>>,
}

/// Asks the worker for a table that has changed.
type ChangedTable = Box<dyn Fn() -> Option<String>>;

/// Tokens that go through the pipe at once.
/// told: nobody; the others go the next time.
const MOST_AT_ONCE: usize = 4096;

/// The flow-control pipe (in_flow_delay): qmgr puts tokens in, cleanup takes one a message.
pub struct Flow {
    pub(crate) read: std::fs::File,
    pub(crate) write: std::fs::File,
}

impl Flow {
    pub(crate) fn new(read: OwnedFd, write: OwnedFd) -> Self {
        Self { read: read.into(), write: write.into() }
    }

    /// Takes tokens, as many as there are of so many; how many that were.
    pub fn take(&self, most: usize) -> usize {
        (&self.read).read(&mut vec![0; most.min(MOST_AT_ONCE)]).unwrap_or(0)
    }

    /// How many tokens there are; `None` when nobody can say.
    pub fn count(&self) -> Option<usize> {
        sys::descriptor::readable_bytes(self.read.as_fd()).ok()
    }

    /// Puts tokens in; a full pipe holds enough already.
    pub fn put(&self, count: usize) {
        let _ = (&self.write).write(&vec![0; count.min(MOST_AT_ONCE)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Lifetime, Skeleton};
    use crate::start::tests::{context_of, service};

    static SERVICE: Service = service(Skeleton::Sessions, Lifetime::Limited);

    fn flow() -> Flow {
        let (read, write) = nix::unistd::pipe().unwrap();
        [&read, &write].into_iter().for_each(|end| sys::descriptor::set_nonblocking(end.as_fd(), true).unwrap());
        Flow::new(read, write)
    }

    fn tokens(flow: &Flow) -> usize {
        std::iter::from_fn(|| (flow.take(1) == 1).then_some(())).count()
    }

    #[test]
    fn a_token_is_taken_once_and_none_is_there_that_nobody_put_in() {
        let flow = flow();
        assert_eq!(flow.take(1), 0);
        flow.put(2);
        assert_eq!(flow.take(1), 1);
        flow.put(1);
        assert_eq!(tokens(&flow), 2);
    }

    #[test]
    fn several_tokens_are_taken_at_once_and_no_more_than_there_are() {
        let flow = flow();
        flow.put(3);
        assert_eq!(flow.count(), Some(3));
        assert_eq!((flow.take(2), flow.count()), (2, Some(1)));
        assert_eq!((flow.take(9), flow.count(), tokens(&flow)), (1, Some(0), 0));
    }

    #[test]
    fn a_table_that_has_changed_ends_the_worker_and_is_looked_at_once_a_second_at_most() {
        let context = context_of(&SERVICE, "", 1);
        let looks = Rc::new(Cell::new(0));
        let (counted, changed) = (Rc::clone(&looks), Rc::new(Cell::new(false)));
        let answer = Rc::clone(&changed);
        let table = move || {
            counted.set(counted.get() + 1);
            answer.get().then(|| "texthash:x".to_owned())
        };
        assert!(context.tables.changed.set(Box::new(table)).is_ok());
        assert!(!context.check_tables() && !context.is_draining());
        changed.set(true);
        assert!(!context.check_tables());
        assert_eq!(looks.get(), 1);
        context.tables.checked.set(Instant::now().checked_sub(TABLE_CHECK));
        assert!(context.check_tables() && context.is_draining());
        // Whoever is on the way out does not say so twice.
        context.tables.checked.set(None);
        assert!(!context.check_tables());
        assert_eq!(looks.get(), 2);
    }
}
