//! Serving clients: accept, limits, idle end, drain.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use wire::status::{Order, Report};
use wire::trigger;

use crate::Worker;
use crate::clients::{Client, Peer, Stream};
use crate::context::Context;
use crate::service::{Service, Skeleton};

/// What master.cf's type says about the listening sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Inet,
    Unix,
    Fifo,
    Datagram,
}

/// When a worker ends by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// max_idle; zero: never.
    pub max_idle: Duration,
    /// max_use, for all clients that the worker may serve at once; 0: never.
    pub max_use: u64,
}

/// The descriptors that serve.
pub(crate) struct Sockets {
    pub listeners: Vec<OwnedFd>,
    /// The channel to master; none for a worker that master did not start.
    pub status: Option<OwnedFd>,
    pub transport: Transport,
    /// A client on standard input, to be served alone (`-S`).
    pub standard_io: Option<OwnedFd>,
}

/// Longest wait for the letters of a trigger.
const TRIGGER_WAIT: Duration = Duration::from_secs(10);
/// Largest datagram that is read.
const MAX_DATAGRAM: usize = 8192;

struct Ward {
    active: Cell<usize>,
    served: Cell<u64>,
    changed: Notify,
    status: Option<AsyncFd<OwnedFd>>,
    told: Cell<Report>,
}

/// Serves until master, max_idle, max_use or a changed table ends it, and until every client has been served.
pub(crate) async fn serve<W: Worker>(
    worker: Rc<W>,
    context: Rc<Context>,
    service: &'static Service,
    sockets: Sockets,
    limits: Limits,
) -> io::Result<()> {
    let transport = sockets.transport;
    let listeners: Vec<_> = sockets.listeners.into_iter().map(listen).collect::<io::Result<_>>()?;
    let ward = Rc::new(Ward::new(sockets.status.map(listen).transpose()?));
    let asked = Rc::downgrade(&worker);
    // Nobody has set it before: a context serves once.
    let _ = context.tables.changed.set(Box::new(move || asked.upgrade()?.changed_table()));
    worker.background(&context);
    if let Some(client) = sockets.standard_io {
        sys::descriptor::set_nonblocking(client.as_fd(), true)?;
        worker.session(identify(client, transport, &context)?).await;
        return Ok(());
    }
    let mut idle_since = Instant::now();
    while !context.is_draining() {
        let idle = ward.active.get() == 0;
        let idle_end = tokio::time::Instant::from_std(idle_since + limits.max_idle);
        tokio::select! {
            biased;
            order = ward.order() => follow(order, &context),
            ready = readable(&listeners), if ward.active.get() < context.session_limit => {
                if context.check_tables() {
                    continue;
                }
                take(&listeners[ready?], transport, &worker, &context, service, &ward);
            }
            () = ward.changed.notified() => {}
            () = context.drained() => {}
            () = tokio::time::sleep_until(idle_end), if idle && !limits.max_idle.is_zero() => context.drain(),
        }
        if ward.active.get() > 0 || !idle {
            idle_since = Instant::now();
        }
        if limits.max_use > 0 && ward.served.get() >= limits.max_use {
            context.drain();
        }
    }
    match transport {
        // What was sent before the end is still to be read.
        Transport::Datagram => listeners.iter().for_each(|listener| read_datagrams(listener, worker.as_ref())),
        // session_limit is for times when others can take the rest.
        _ if context.is_to_empty() => {
            listeners.iter().for_each(|listener| while take(listener, transport, &worker, &context, service, &ward) {})
        }
        _ => {}
    }
    // A socket that master closes is closed when nobody has it any more, however long the present clients stay.
    drop(listeners);
    while ward.active.get() > 0 {
        ward.changed.notified().await;
    }
    worker.finish();
    Ok(())
}

/// Gathers log lines and sends those of one turn of the loop together.
pub(crate) fn batch_log() {
    let waiting = std::sync::Arc::new(Notify::new());
    let wake = waiting.clone();
    logging::batch(move || wake.notify_one());
    tokio::task::spawn_local(async move {
        loop {
            waiting.notified().await;
            logging::flush();
        }
    });
}

fn follow(order: Option<Order>, context: &Context) {
    match order {
        Some(Order::Stress) => context.stress.set(true),
        Some(Order::Relax) => context.stress.set(false),
        Some(Order::Empty) => context.empty(),
        Some(Order::Drain) | None => context.drain(),
    }
}

#[expect(deprecated, reason = "unsound only for types whose descriptor can change; the successor is unsafe code")]
fn listen(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    sys::descriptor::set_nonblocking(fd.as_fd(), true)?;
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// The first listener that has a client.
async fn readable(listeners: &[AsyncFd<OwnedFd>]) -> io::Result<usize> {
    poll_fn(|context| {
        for (at, listener) in listeners.iter().enumerate() {
            if let Poll::Ready(ready) = listener.poll_read_ready(context) {
                return Poll::Ready(ready.map(|_| at));
            }
        }
        Poll::Pending
    })
    .await
}

/// Takes what waits first; true when a connection was taken, and another may wait.
fn take<W: Worker>(
    listener: &AsyncFd<OwnedFd>,
    transport: Transport,
    worker: &Rc<W>,
    context: &Rc<Context>,
    service: &'static Service,
    ward: &Rc<Ward>,
) -> bool {
    match transport {
        Transport::Datagram => {
            read_datagrams(listener, worker.as_ref());
            return false;
        }
        Transport::Fifo => {
            if let Some(letters) = read_once(listener, trigger::MAX_REQUEST) {
                ward.begin(context);
                run_trigger(worker.clone(), letters, Session { ward: ward.clone(), context: context.clone() });
            }
            return false;
        }
        Transport::Inet | Transport::Unix => {}
    }
    let accepted = match attempt(listener, sys::descriptor::accept) {
        None => return false,
        Some(Ok(accepted)) => accepted,
        Some(Err(error)) => {
            logging::warning!("accept connection: {error}");
            return false;
        }
    };
    match identify(accepted, transport, context) {
        Ok(client) => begin(client, worker, context, service, ward),
        // A client that is gone before it is looked at is no client.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
        Err(error) => logging::warning!("client: {error}"),
    }
    true
}

fn begin<W: Worker>(client: Client, worker: &Rc<W>, context: &Rc<Context>, service: &'static Service, ward: &Rc<Ward>) {
    ward.begin(context);
    let session = Session { ward: ward.clone(), context: context.clone() };
    let worker = worker.clone();
    tokio::task::spawn_local(async move {
        let session = session;
        match (service.skeleton, client) {
            (Skeleton::Trigger, Client { stream: Stream::Unix(stream), peer, context }) => {
                trigger_or_client(worker, stream, peer, context).await;
            }
            (_, client) => worker.session(client).await,
        }
        drop(session);
    });
}

/// What begins with a letter is a trigger, what begins with our magic byte is a client of ours.
async fn trigger_or_client<W: Worker>(worker: Rc<W>, stream: UnixStream, peer: Peer, context: Rc<Context>) {
    let first = async {
        loop {
            stream.readable().await?;
            match stream.try_io(Interest::READABLE, || sys::descriptor::peek(stream.as_fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    };
    match tokio::time::timeout(TRIGGER_WAIT, first).await {
        Ok(Ok(Some(ipc::channel::MAGIC))) => {
            worker.session(Client { stream: Stream::Unix(stream), peer, context }).await;
        }
        Ok(Ok(Some(_))) => {
            let mut letters = vec![0; trigger::MAX_REQUEST];
            let count = stream.try_read(&mut letters).unwrap_or(0);
            letters.truncate(count);
            letters.retain(|&letter| letter != 0);
            drop(stream);
            worker.trigger(letters).await;
        }
        Ok(Ok(None) | Err(_)) => {}
        Err(_) => logging::warning!("trigger: read timeout for service {}", context.service_name),
    }
}

fn run_trigger<W: Worker>(worker: Rc<W>, mut letters: Vec<u8>, session: Session) {
    letters.retain(|&letter| letter != 0);
    tokio::task::spawn_local(async move {
        worker.trigger(letters).await;
        drop(session);
    });
}

fn read_datagrams<W: Worker>(socket: &AsyncFd<OwnedFd>, worker: &W) {
    // A bounded turn: other tasks come in between when datagrams never end.
    for _ in 0..256 {
        match read_once(socket, MAX_DATAGRAM) {
            Some(bytes) => worker.datagram(&bytes),
            None => return,
        }
    }
}

fn read_once(fd: &AsyncFd<OwnedFd>, limit: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; limit];
    let count = attempt(fd, |fd| Ok(nix::unistd::read(fd, &mut bytes)?))?;
    match count {
        Ok(count) => {
            bytes.truncate(count);
            Some(bytes)
        }
        Err(error) => {
            logging::warning!("read request: {error}");
            None
        }
    }
}

/// One non-blocking operation on a ready descriptor; `None` when it was not ready after all.
fn attempt<T>(
    fd: &AsyncFd<OwnedFd>,
    operation: impl FnOnce(std::os::fd::BorrowedFd<'_>) -> io::Result<T>,
) -> Option<io::Result<T>> {
    let result = operation(fd.get_ref().as_fd());
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            // Tell tokio that the readiness is used up; the next poll waits for new.
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            if let Poll::Ready(Ok(mut guard)) = fd.poll_read_ready(&mut context) {
                guard.clear_ready_matching(Ready::READABLE);
            }
            None
        }
        other => Some(other),
    }
}

fn identify(accepted: OwnedFd, transport: Transport, context: &Rc<Context>) -> io::Result<Client> {
    let context = context.clone();
    if transport == Transport::Unix {
        let stream = UnixStream::from_std(accepted.into())?;
        return Ok(Client { stream: Stream::Unix(stream), peer: Peer::Local, context });
    }
    let stream = std::net::TcpStream::from(accepted);
    // IPv4-mapped peers are plain IPv4 from here on.
    let remote = net::unmap(stream.peer_addr()?, context.protocols);
    let local = net::unmap(stream.local_addr()?, context.protocols);
    context.protocols.accepts(remote).map_err(|refused| io::Error::other(refused.to_string()))?;
    Ok(Client { stream: Stream::Tcp(TcpStream::from_std(stream)?), peer: Peer::Host { remote, local }, context })
}

/// One client that is being served; its end is noted however the session ends.
struct Session {
    ward: Rc<Ward>,
    context: Rc<Context>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.ward.active.set(self.ward.active.get() - 1);
        self.ward.served.set(self.ward.served.get() + 1);
        self.ward.tell(&self.context);
        self.ward.changed.notify_one();
    }
}

impl Ward {
    fn new(status: Option<AsyncFd<OwnedFd>>) -> Self {
        let (active, served, told) = (Cell::new(0), Cell::new(0), Cell::new(Report::Idle));
        Self { active, served, changed: Notify::new(), status, told }
    }

    fn begin(&self, context: &Context) {
        self.active.set(self.active.get() + 1);
        self.tell(context);
    }

    /// Reports a change of state to master.
    fn tell(&self, context: &Context) {
        let report = match self.active.get() {
            0 => Report::Idle,
            active if active >= context.session_limit => Report::Full,
            _ => Report::Busy,
        };
        let Some(status) = &self.status else { return };
        if self.told.replace(report) != report {
            match nix::unistd::write(status.get_ref(), &[report.byte()]) {
                Ok(_) | Err(nix::errno::Errno::EAGAIN) => {}
                Err(_) => context.drain(),
            }
        }
    }

    /// The next order of master; `None` when master is gone.
    async fn order(&self) -> Option<Order> {
        let Some(status) = &self.status else { return std::future::pending().await };
        loop {
            let Ok(mut ready) = status.readable().await else { return None };
            let mut byte = [0];
            match nix::unistd::read(status.get_ref(), &mut byte) {
                Ok(0) => return None,
                Ok(_) => {
                    if let Some(order) = Order::parse(byte[0]) {
                        return Some(order);
                    }
                    logging::warning!("unknown order {} from master", byte[0]);
                }
                Err(nix::errno::Errno::EAGAIN) => ready.clear_ready(),
                Err(_) => return None,
            }
        }
    }
}

/// A panic in a session is logged as Postfix logs one; tokio ends that session's task alone.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        logging::emit_text(logging::Severity::Panic, format_args!("{info}"));
    }));
}
