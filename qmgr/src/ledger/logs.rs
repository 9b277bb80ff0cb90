//! The services that keep the logs of messages: bounce, defer and trace, which are asked again when they are being
//! restarted.

use std::time::Duration;

use ipc::bounce::{Bounce, Log, Record, Reply, Request};
use ipc::{Pool, chunks};
use queue::QueueId;

/// Times that a service is asked: it may be restarting.
const ATTEMPTS: u32 = 3;

/// One pool of connections a log.
pub struct Logs {
    /// Keeps bounce logs.
    pub bounce: Pool<Bounce>,
    /// Keeps defer logs.
    pub defer: Pool<Bounce>,
    /// Keeps trace logs.
    pub trace: Pool<Bounce>,
}

impl Logs {
    /// Appends records to a log of a message; false (logged) when not all of them are safe.
    pub async fn append(&self, log: Log, queue_id: &QueueId, records: Vec<Record>) -> bool {
        for records in chunks(records) {
            let request = Request::Append { log, queue_id: queue_id.clone(), begin: false, records };
            if !self.ask(log, &request, queue_id).await {
                return false;
            }
        }
        true
    }

    /// Has the service do something; false (logged) when it was not done.
    pub async fn ask(&self, log: Log, request: &Request, queue_id: &QueueId) -> bool {
        let (pool, name) = match log {
            Log::Bounce => (&self.bounce, "bounce"),
            Log::Defer => (&self.defer, "defer"),
            Log::Trace => (&self.trace, "trace"),
        };
        for attempt in 1..=ATTEMPTS {
            match pool.call(request).await {
                Ok(Reply::Done) => return true,
                Ok(Reply::Failed(reason)) => {
                    logging::warning!(id: queue_id, "{name} service failure: {reason}");
                    return false;
                }
                Err(error) => logging::warning!(id: queue_id, "{name} service failure: {error}"),
            }
            if attempt < ATTEMPTS {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        false
    }
}
