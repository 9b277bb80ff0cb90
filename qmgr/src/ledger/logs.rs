//! The services that keep the logs of messages: bounce, defer and trace, and the one that is told what became of its
//! probes. They are asked again when they are being restarted.

use std::time::Duration;

use ipc::bounce::{Bounce, Log, Record, Reply, Request};
use ipc::verify::{Knowledge, Standing, Verifier};
use ipc::{Pool, chunks};
use queue::{QueueId, Recipient};

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
    /// Is told what became of probes.
    pub verify: Verifier,
    /// Failures of probes as well. address_verify_negative_cache
    pub remembers_failures: bool,
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

    /// Tells what a probe has found out about a recipient: under the address that was asked about, and the one that it
    /// became. What cannot be told is found out again when somebody asks.
    pub async fn tell(&self, queue_id: &QueueId, record: &Record) {
        // address_verify_negative_cache
        if record.status.class() != 2 && !self.remembers_failures {
            return;
        }
        let standing = match record.status.class() {
            2 => Standing::Deliverable,
            4 => Standing::Deferred,
            _ => Standing::Undeliverable,
        };
        let Recipient { address, original, .. } = &record.recipient;
        let other = Some(original).filter(|original| !original.is_empty() && *original != address);
        for address in [Some(address), other].into_iter().flatten() {
            self.update(queue_id, address, Knowledge::new(standing, record.reason.clone())).await;
        }
    }

    async fn update(&self, queue_id: &QueueId, address: &[u8], found: Knowledge) {
        for attempt in 1..=ATTEMPTS {
            let Err(error) = self.verify.update(address, found.clone()).await else { return };
            logging::warning!(id: queue_id, "verify service failure: {error}");
            if attempt < ATTEMPTS {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
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
