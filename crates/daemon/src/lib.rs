//! The life of a worker: everything that daemons have in common, in one order, in one place.
//!
//! A program hands its [`Service`] (what it is and what it may do) and a [`Worker`] (what it does) to [`run`]. This
//! crate reads the command line that master gave, loads the configuration, opens the log, gives up identity and powers,
//! enters the sandbox, and then serves clients until master or the limits say that it is time to end.
//!
//! Invariants: no byte of a client is read before the sandbox is closed; a panic in one session ends that session
//! alone; a worker never exits while it serves a client, unless master kills it.

mod clients;
mod context;
mod door;
mod porter;
mod sandbox;
mod service;
mod sessions;
mod siblings;
mod start;
pub mod threads;
mod turns;
mod unix_sockets;
mod ward;

pub use clients::{Client, Peer, Stream};
pub use context::{Context, Flow};
pub use porter::{Porter, PorterError};
pub use service::{Access, Lifetime, Network, Outside, Privilege, Service, Skeleton};
pub use siblings::Sibling;
pub use start::{StartError, run};
pub use turns::after_others;
pub use unix_sockets::UnixSockets;

use std::rc::Rc;

/// What a daemon does for its clients.
#[allow(async_fn_in_trait, reason = "workers run in one thread: futures need not be Send")]
pub trait Worker: Sized + 'static {
    /// The program itself refuses its clients while a setting asks for what it does not have
    /// ([`config::Config::withheld`]); any other does not start then.
    const REFUSES: bool = false;

    /// Reads the settings and opens tables: before ids are given up and before the sandbox, without any client yet.
    ///
    /// # Errors
    /// A setting that this daemon cannot work with; it is logged as fatal, and master tries again later.
    fn start(context: &Context) -> Result<Self, StartError>;

    /// Starts tasks that live as long as the worker (`tokio::task::spawn_local`); called once, inside the sandbox.
    fn background(self: &Rc<Self>, context: &Rc<Context>) {
        let _ = context;
    }

    /// Serves one client; any number of these run at once in one thread.
    async fn session(self: Rc<Self>, client: Client) {
        drop(client);
    }

    /// One trigger of a trigger service (pickup, qmgr): the letters without the NUL.
    async fn trigger(self: Rc<Self>, request: Vec<u8>) {
        drop(request);
    }

    /// Datagrams of a datagram service (postlogd), in the order in which they came: all that waited.
    fn datagrams(&self, waiting: &[Vec<u8>]) {
        let _ = waiting;
    }

    /// A table that has changed on disk: the worker ends after its present clients, master starts a new one. Asked at
    /// most once a second.
    fn changed_table(&self) -> Option<String> {
        None
    }

    /// The worker is about to end: last words to the log.
    fn finish(&self) {}
}
