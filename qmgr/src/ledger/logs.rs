//! The services that keep the logs of messages: bounce, defer and trace, and the one that is told what became of its
//! probes. They are asked again when they are being restarted.

use std::time::Duration;

use ipc::bounce::{Bounce, Log, Record, Reply, Request};
use ipc::bounds::Weigh;
use ipc::verify::{Knowledge, Standing, Verifier};
use ipc::{Pool, chunks};
use queue::{QueueId, Recipient};

/// Times that a service is asked: it may be restarting.
const ATTEMPTS: u32 = 3;

/// Bytes of requests that travel together: the buffer of a socket takes them, and so do their replies.
const TOGETHER: usize = 32 << 10;

/// Recipients of a message that wait.
pub struct Deferral {
    /// The message.
    pub queue_id: QueueId,
    /// What its defer log has does not count any more.
    pub begin: bool,
    /// The recipients.
    pub records: Vec<Record>,
}

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

    /// Appends to the defer logs of many messages together; for each whether all is safe.
    pub async fn append_all(&self, deferrals: Vec<Deferral>) -> Vec<bool> {
        let (mut safe, mut owners, mut requests, mut weight) = (vec![true; deferrals.len()], Vec::new(), Vec::new(), 0);
        for (number, Deferral { queue_id, mut begin, records }) in deferrals.into_iter().enumerate() {
            for records in chunks(records) {
                weight += records.items().iter().map(|record| record.weight() + size_of::<Record>()).sum::<usize>();
                owners.push(number);
                let begin = std::mem::take(&mut begin);
                requests.push(Request::Append { log: Log::Defer, queue_id: queue_id.clone(), begin, records });
                if weight >= TOGETHER {
                    self.append_group(&mut owners, &mut requests, &mut safe).await;
                    weight = 0;
                }
            }
        }
        self.append_group(&mut owners, &mut requests, &mut safe).await;
        safe
    }

    /// Requests that travel together, or one by one where that fails: what is written twice is read twice, and harms
    /// nobody.
    async fn append_group(&self, owners: &mut Vec<usize>, requests: &mut Vec<Request>, safe: &mut [bool]) {
        let (owners, requests) = (std::mem::take(owners), std::mem::take(requests));
        let replies = match requests.len() {
            0 | 1 => Vec::new(),
            _ => self.defer.call_all(&requests).await.unwrap_or_default(),
        };
        let mut replies = replies.into_iter();
        for (owner, request) in owners.into_iter().zip(requests) {
            let is_done = matches!(replies.next(), Some(Reply::Done));
            let Request::Append { queue_id, .. } = &request else { continue };
            safe[owner] &= is_done || self.ask(Log::Defer, &request, queue_id).await;
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
