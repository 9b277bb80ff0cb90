//! Serving clients: accept, limits, idle end, drain.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;
use wire::status::Order;
use wire::trigger;

use crate::Worker;
use crate::clients::{Client, Peer, Stream};
use crate::context::Context;
use crate::door::{Door, REST, Taken, attempt, register};
use crate::porter::Porter;
use crate::service::{Service, Skeleton};
use crate::ward::Ward;

#[cfg(test)]
mod tests;

/// What master.cf's type says about the listening sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Inet,
    Unix,
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

/// How soon a log that did not take a line is tried again: at first, and at last.
const LOG_RETRY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));
/// Longest wait for the letters of a trigger.
const TRIGGER_WAIT: Duration = Duration::from_secs(10);
/// Datagrams that are read before they are handled, and others have their turn.
/// told: nobody; the others are read then.
const TURN: usize = 64;

/// A worker that serves.
struct House<W> {
    worker: Rc<W>,
    context: Rc<Context>,
    service: &'static Service,
    transport: Transport,
    ward: Rc<Ward>,
    door: Door,
    /// Where datagrams are read; empty before the first.
    datagram: RefCell<Vec<u8>>,
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
    let (door, ward) = (Door::new(sockets.listeners)?, Ward::new(sockets.status.map(register).transpose()?));
    ward.watch_log()?;
    let asked = Rc::downgrade(&worker);
    // Nobody has set it before: a context serves once.
    let _ = context.tables.changed.set(Box::new(move || asked.upgrade()?.changed_table()));
    for porter in context.porters() {
        tokio::task::spawn_local(attend(Rc::clone(porter), Rc::clone(&context)));
    }
    worker.background(&context);
    if let Some(client) = sockets.standard_io {
        sys::descriptor::set_nonblocking(client.as_fd(), true)?;
        worker.session(identify(client, transport, &context)?).await;
        return Ok(());
    }
    let house = House { worker, context, service, transport, ward: Rc::new(ward), door, datagram: RefCell::default() };
    house.keep_open(limits).await?;
    house.close().await;
    Ok(())
}

impl<W: Worker> House<W> {
    /// Takes clients until it is time to end.
    async fn keep_open(&self, limits: Limits) -> io::Result<()> {
        let (ward, context) = (&self.ward, &self.context);
        let mut idle_since = Instant::now();
        while !context.is_draining() {
            let idle = ward.active.get() == 0;
            let idle_end = tokio::time::Instant::from_std(idle_since + limits.max_idle);
            tokio::select! {
                biased;
                order = ward.order() => follow(order, context),
                listener = self.door.guest(), if ward.active.get() < context.session_limit => {
                    // A session may have begun the end in this very turn: who waits now is for the next worker.
                    if context.is_draining() || context.check_tables() {
                        continue;
                    }
                    self.take(listener?);
                }
                () = ward.changed.notified() => self.door.reopen(),
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
        Ok(())
    }

    /// Serves those who are there, and lets nobody else in.
    async fn close(self) {
        for listener in self.door.listeners() {
            match self.transport {
                // What was sent before the end is still to be read.
                Transport::Datagram => self.read_datagrams(listener),
                Transport::Inet | Transport::Unix if self.context.is_to_empty() => self.empty(listener).await,
                Transport::Inet | Transport::Unix => {}
            }
        }
        // A socket that master closes is closed when nobody has it any more, however long the present clients stay.
        drop(self.door);
        while self.ward.active.get() > 0 {
            self.ward.changed.notified().await;
        }
        self.worker.finish();
    }

    /// Takes all who wait at a socket that is to be closed: session_limit is for times when others can take the rest.
    async fn empty(&self, listener: &AsyncFd<OwnedFd>) {
        loop {
            match self.door.take(listener) {
                Taken::Client(accepted) => self.admit(accepted),
                Taken::Gone => {}
                Taken::Nobody | Taken::Broken => return,
                // Who waits goes on waiting until a session makes room.
                Taken::NoRoom if self.ward.active.get() > 0 => self.ward.changed.notified().await,
                Taken::NoRoom => tokio::time::sleep(REST).await,
            }
        }
    }

    /// Takes what waits first.
    fn take(&self, listener: &AsyncFd<OwnedFd>) {
        if self.transport == Transport::Datagram {
            self.read_datagrams(listener);
        } else if let Taken::Client(accepted) = self.door.take(listener) {
            self.admit(accepted);
        }
    }

    fn admit(&self, accepted: OwnedFd) {
        match identify(accepted, self.transport, &self.context) {
            Ok(client) => self.begin(client),
            // A client that is gone before it is looked at is no client.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
            Err(error) => logging::repeated!("client: {}", text::system_error(&error)),
        }
    }

    fn begin(&self, client: Client) {
        let (session, worker) = (self.ward.begin(&self.context), self.worker.clone());
        // Two tasks: one that could be either would need the memory of the larger, and room to decide.
        match (self.service.skeleton, client) {
            (Skeleton::Trigger, Client { stream: Stream::Unix(stream), peer, context }) => {
                tokio::task::spawn_local(async move {
                    let _session = session;
                    trigger_or_client(worker, stream, peer, context).await;
                });
            }
            (_, client) => {
                tokio::task::spawn_local(async move {
                    let _session = session;
                    worker.session(client).await;
                });
            }
        }
    }

    fn read_datagrams(&self, socket: &AsyncFd<OwnedFd>) {
        // A bounded turn: other tasks come in between when datagrams never end.
        let mut bytes = self.datagram.borrow_mut();
        bytes.resize(logging::LONGEST_DATAGRAM, 0);
        let waiting: Vec<_> = (0..TURN).map_while(|_| self.read_once(socket, &mut bytes)).collect();
        if !waiting.is_empty() {
            self.worker.datagrams(&waiting);
        }
    }

    fn read_once(&self, fd: &AsyncFd<OwnedFd>, bytes: &mut [u8]) -> Option<Vec<u8>> {
        let count = attempt(fd, |fd| Ok(nix::unistd::read(fd, &mut *bytes)?))?;
        match count {
            Ok(count) => Some(bytes[..count].to_vec()),
            Err(error) => {
                self.door.close_after("read request", &error);
                None
            }
        }
    }
}

/// Hears the porter's answers. Without it the worker is of no use: master starts a new one, which starts a new porter.
async fn attend(porter: Rc<Porter>, context: Rc<Context>) {
    porter.listen().await;
    logging::warning!("the porter process has ended");
    context.drain();
}

/// Gathers log lines and sends those of one turn of the loop together.
pub(crate) fn batch_log() {
    let waiting = std::sync::Arc::new(Notify::new());
    let wake = waiting.clone();
    logging::batch(move || wake.notify_one());
    logging::never_wait();
    tokio::task::spawn_local(async move {
        loop {
            waiting.notified().await;
            // No session waits for a log that does not take its lines.
            let (mut pause, longest) = LOG_RETRY;
            let mut waiting = logging::waiting();
            while !logging::flush() {
                // A reader that is there and slow is seldom far behind.
                let taken = logging::waiting() < waiting;
                waiting = logging::waiting();
                pause = if taken { LOG_RETRY.0 } else { (pause * 2).min(longest) };
                tokio::time::sleep(pause).await;
            }
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

/// What begins with a letter is a trigger, what begins with our magic byte is a client of ours.
async fn trigger_or_client<W: Worker>(worker: Rc<W>, stream: UnixStream, peer: Peer, context: Rc<Context>) {
    let first = async {
        loop {
            // turns: it ends with the first byte
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
            // told: nobody; so much was read.
            letters.truncate(count);
            letters.retain(|&letter| letter != 0);
            drop(stream);
            worker.trigger(letters).await;
        }
        Ok(Ok(None) | Err(_)) => {}
        Err(_) => logging::repeated!("trigger: read timeout for service {}", context.service_name),
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

/// A panic in a session is logged as Postfix logs one; tokio ends that session's task alone.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        logging::emit_text(logging::Severity::Panic, format_args!("{info}"));
    }));
}
