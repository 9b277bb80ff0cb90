//! The connections of servers: what they tell is counted, and released when they are gone.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use config::param;
use daemon::{Client, Context, StartError, Worker};
use ipc::Server;
use ipc::anvil::{Anvil as Protocol, MAX_IDENTITY, Request};

use crate::table::Table;

/// The daemon.
pub(crate) struct Anvil {
    table: RefCell<Table>,
    unit: Duration,
    update: Duration,
}

impl Worker for Anvil {
    fn start(context: &Context) -> Result<Self, StartError> {
        let unit = context.config.get(param::ANVIL_RATE_TIME_UNIT)?;
        let update = context.config.get(param::ANVIL_STATUS_UPDATE_TIME)?;
        Ok(Self { table: RefCell::new(Table::new(unit)), unit, update })
    }

    fn background(self: &Rc<Self>, _: &Rc<Context>) {
        let (reporter, cleaner) = (self.clone(), self.clone());
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(reporter.update).await;
                reporter.table.borrow_mut().report();
            }
        });
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(cleaner.unit).await;
                cleaner.table.borrow_mut().forget_old(Instant::now());
            }
        });
    }

    async fn session(self: Rc<Self>, client: Client) {
        let context = client.context.clone();
        let Some(stream) = client.into_unix() else { return };
        let mut channel: Server<Protocol> = Server::<Protocol>::new(stream);
        let mut held = Held { worker: self, connections: HashMap::new() };
        while let Some(request) = context.next_request(&mut channel).await {
            match held.take(request) {
                Err(identity) => {
                    let length = identity.len();
                    return logging::repeated!("client identity of {length} bytes: {}...", &shown(&identity));
                }
                Ok(None) => {}
                Ok(Some(counts)) => {
                    if channel.send(&counts).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn finish(&self) {
        self.table.borrow_mut().report();
    }
}

fn shown(identity: &str) -> String {
    // told: the log shows the start of an identity that is refused.
    text::printable(&identity.as_bytes()[..MAX_IDENTITY.min(identity.len())])
}

/// The connections that one server has told of; released with it.
struct Held {
    worker: Rc<Anvil>,
    connections: HashMap<String, u32>,
}

impl Held {
    /// Does what is asked; the answer, if there is to be one. The identity, if it is too long.
    fn take(&mut self, request: Request) -> Result<Option<ipc::anvil::Counts>, String> {
        let now = Instant::now();
        let mut table = self.worker.table.borrow_mut();
        match request {
            Request::Count { identity, .. } | Request::Look { identity, .. } | Request::Hold { identity, .. }
                if identity.len() > MAX_IDENTITY =>
            {
                Err(identity)
            }
            Request::Count { event, identity } => {
                let counts = table.count(event, &identity, now);
                if event == ipc::anvil::Event::Connection {
                    *self.connections.entry(identity).or_default() += 1;
                }
                Ok(Some(counts))
            }
            Request::Look { event, identity } => Ok(Some(table.look(event, &identity, now))),
            Request::Hold { identity, count } => {
                table.hold(&identity, count, now);
                let held = self.connections.entry(identity).or_default();
                *held = held.saturating_add(count);
                Ok(None)
            }
            Request::Release { identity } => {
                // What this server has not told of is not its own to release.
                if let Some(count) = self.connections.get_mut(&identity) {
                    *count -= 1;
                    table.release(&identity, 1, now);
                    if *count == 0 {
                        self.connections.remove(&identity);
                    }
                }
                Ok(None)
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut table = self.worker.table.borrow_mut();
        for (identity, count) in self.connections.drain() {
            table.release(&identity, count, now);
        }
    }
}
