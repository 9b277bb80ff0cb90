//! Laws of a worker that serves: how many clients at once, when it ends, and that it ends with none of them unserved.

use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixStream as Socket;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::service::Lifetime;
use crate::start::StartError;
use crate::start::tests::{context_of, service};

static SESSIONS: Service = service(Skeleton::Sessions, Lifetime::Limited);
static TRIGGER: Service = service(Skeleton::Trigger, Lifetime::Endless);

/// Answers a byte with that byte, and remembers what it saw.
#[derive(Default)]
struct Echo {
    at_once: Cell<usize>,
    most: Cell<usize>,
    triggers: RefCell<Vec<Vec<u8>>>,
    clients: Cell<usize>,
    is_finished: Cell<bool>,
}

impl Worker for Echo {
    fn start(_: &Context) -> Result<Self, StartError> {
        Ok(Self::default())
    }

    async fn session(self: Rc<Self>, client: Client) {
        self.clients.set(self.clients.get() + 1);
        self.at_once.set(self.at_once.get() + 1);
        self.most.set(self.most.get().max(self.at_once.get()));
        let mut stream = client.into_unix().unwrap();
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_ok() {
            stream.write_all(&byte).await.unwrap();
        }
        self.at_once.set(self.at_once.get() - 1);
        assert_ne!(byte, *b"!", "a session that fails");
    }

    async fn trigger(self: Rc<Self>, request: Vec<u8>) {
        self.triggers.borrow_mut().push(request);
    }

    fn finish(&self) {
        self.is_finished.set(true);
    }
}

/// A service at a socket, and master's end of its channel.
struct Stage {
    path: PathBuf,
    worker: Rc<Echo>,
    context: Rc<Context>,
    master: OwnedFd,
    sockets: Sockets,
}

fn stage(name: &str, service: &'static Service, places: usize) -> Stage {
    let path = std::env::temp_dir().join(format!("daemon-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (master, status) = sys::descriptor::packet_pair().unwrap();
    sys::descriptor::set_nonblocking(status.as_fd(), true).unwrap();
    let sockets = Sockets {
        listeners: vec![listener.into()],
        status: Some(status),
        transport: Transport::Unix,
        standard_io: None,
    };
    let context = Rc::new(context_of(service, "", places));
    Stage { path, worker: Rc::default(), context, master, sockets }
}

/// Serves until the end while `clients` are at the other side.
fn play(stage: Stage, limits: Limits, clients: impl Future<Output = ()> + 'static) -> Rc<Echo> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    let Stage { path, worker, context, master, sockets } = stage;
    let service = context.service;
    let served = Rc::clone(&worker);
    runtime.block_on(async move {
        let clients = tokio::task::spawn_local(clients);
        let end = serve(served, context, service, sockets, limits);
        tokio::time::timeout(Duration::from_secs(20), end).await.expect("an end").unwrap();
        clients.await.unwrap();
    });
    drop(master);
    std::fs::remove_file(path).unwrap();
    worker
}

const NEVER: Limits = Limits { max_idle: Duration::ZERO, max_use: 0 };

async fn connect(path: &std::path::Path) -> UnixStream {
    UnixStream::connect(path).await.unwrap()
}

async fn answered(client: &mut UnixStream, byte: u8) -> bool {
    client.write_all(&[byte]).await.unwrap();
    let mut answer = [0];
    client.read_exact(&mut answer).await.is_ok_and(|_| answer == [byte])
}

#[test]
fn a_worker_ends_after_max_use_clients() {
    let stage = stage("uses", &SESSIONS, 10);
    let path = stage.path.clone();
    let worker = play(stage, Limits { max_use: 3, ..NEVER }, async move {
        for byte in 0..3 {
            assert!(answered(&mut connect(&path).await, byte).await);
        }
    });
    assert_eq!((worker.clients.get(), worker.is_finished.get()), (3, true));
}

#[test]
fn no_more_clients_are_served_at_once_than_there_are_places() {
    let stage = stage("places", &SESSIONS, 2);
    let path = stage.path.clone();
    let worker = play(stage, Limits { max_use: 5, ..NEVER }, async move {
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(connect(&path).await);
        }
        for (byte, mut client) in clients.into_iter().enumerate() {
            assert!(answered(&mut client, byte as u8).await);
        }
    });
    assert_eq!((worker.clients.get(), worker.most.get()), (5, 2));
}

#[test]
fn an_order_to_drain_lets_the_present_client_finish_and_nobody_else_in() {
    let stage = stage("drain", &SESSIONS, 10);
    let (path, master) = (stage.path.clone(), stage.master.try_clone().unwrap());
    let (worker, context) = (Rc::clone(&stage.worker), Rc::clone(&stage.context));
    let worker = play(stage, NEVER, async move {
        let mut present = connect(&path).await;
        while worker.clients.get() == 0 {
            tokio::task::yield_now().await;
        }
        nix::unistd::write(&master, &[Order::Drain.byte()]).unwrap();
        context.drained().await;
        let late = Socket::connect(&path);
        assert!(answered(&mut present, b'x').await);
        drop(late);
    });
    assert_eq!((worker.clients.get(), worker.is_finished.get()), (1, true));
}

#[test]
fn an_order_to_empty_serves_those_who_wait_at_the_socket() {
    let stage = stage("empty", &SESSIONS, 1);
    let (path, master) = (stage.path.clone(), stage.master.try_clone().unwrap());
    let worker = play(stage, NEVER, async move {
        let mut clients = [connect(&path).await, connect(&path).await, connect(&path).await];
        nix::unistd::write(&master, &[Order::Empty.byte()]).unwrap();
        for client in &mut clients {
            assert!(answered(client, b'x').await);
        }
    });
    assert_eq!(worker.clients.get(), 3);
}

#[test]
fn the_end_of_master_is_the_end_of_the_worker() {
    let mut stage = stage("orphan", &SESSIONS, 10);
    let (master, _) = sys::descriptor::packet_pair().unwrap();
    drop(std::mem::replace(&mut stage.master, master));
    assert!(play(stage, NEVER, async {}).is_finished.get());
}

#[test]
fn a_worker_without_clients_ends_after_max_idle_and_one_with_a_client_does_not() {
    let stage = stage("idle", &SESSIONS, 10);
    let path = stage.path.clone();
    let max_idle = Duration::from_millis(20);
    let worker = play(stage, Limits { max_idle, ..NEVER }, async move {
        let mut client = connect(&path).await;
        tokio::time::sleep(max_idle * 5).await;
        assert!(answered(&mut client, b'x').await);
    });
    assert_eq!((worker.clients.get(), worker.is_finished.get()), (1, true));
}

#[test]
fn a_panic_in_a_session_ends_that_session_alone() {
    let stage = stage("panic", &SESSIONS, 10);
    let path = stage.path.clone();
    let worker = play(stage, Limits { max_use: 3, ..NEVER }, async move {
        let mut other = connect(&path).await;
        assert!(answered(&mut connect(&path).await, b'!').await);
        assert!(answered(&mut other, b'x').await);
        assert!(answered(&mut connect(&path).await, b'y').await);
    });
    assert_eq!((worker.clients.get(), worker.is_finished.get()), (3, true));
}

#[test]
fn letters_are_a_trigger_and_our_own_first_byte_is_a_client() {
    let stage = stage("trigger", &TRIGGER, 10);
    let (path, context, worker) = (stage.path.clone(), Rc::clone(&stage.context), Rc::clone(&stage.worker));
    let worker = play(stage, NEVER, async move {
        connect(&path).await.write_all(b"DI\0").await.unwrap();
        assert!(answered(&mut connect(&path).await, ipc::channel::MAGIC).await);
        // Nobody says anything: neither one nor the other.
        drop(connect(&path).await);
        while worker.triggers.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        context.drain();
    });
    assert_eq!((worker.triggers.take(), worker.clients.get()), (vec![b"DI".to_vec()], 1));
}
