//! The requests of clients. What a client sends together is done together, and answered together.

use std::io;
use std::rc::Rc;

use daemon::{Client, Context, Sibling, StartError};
use ipc::bounce::{Bounce as Protocol, Log, Message, Record, Reply, Request};
use ipc::bounds::Chunk;
use ipc::flush::Flush;
use ipc::{IpcError, Pool, Server};
use queue::delivery_log::Entry;
use queue::{QueueId, Spool, delivery_log};

use crate::log;
use crate::notice::Notifier;
use crate::settings::Settings;
use crate::waiting::Waiting;

/// Requests that are done together.
/// told: nobody; the others come next.
const TOGETHER: usize = 100;

/// The bounce daemon.
pub struct Bounce {
    settings: Rc<Settings>,
    notifier: Notifier,
    waiting: Waiting,
}

impl daemon::Worker for Bounce {
    fn start(context: &Context) -> Result<Self, StartError> {
        let settings = Rc::new(Settings::read(&context.config)?);
        let pool = Pool::new(context.socket(Sibling::Cleanup)?, context.ipc_timeout());
        // The zone is read now: the sandbox has no /etc.
        message::date::rfc5322(0);
        let waiting = Waiting::read(&context.config, Flush::new(context.socket(Sibling::Flush)?))?;
        Ok(Bounce { notifier: Notifier { settings: Rc::clone(&settings), cleanup: pool }, settings, waiting })
    }

    fn changed_table(&self) -> Option<String> {
        self.waiting.changed_table()
    }

    async fn session(self: Rc<Self>, client: Client) {
        let context = Rc::clone(&client.context);
        let Some(stream) = client.into_unix() else { return };
        let mut channel: Server<Protocol> = Server::new(stream);
        while let Some(request) = context.next_request(&mut channel).await {
            let Ok(requests) = with_those_that_are_here(request, &mut channel).await else { return };
            if self.answer(&context, &mut channel, requests).await.is_err() {
                return;
            }
        }
    }
}

/// The next request with those that came with it.
async fn with_those_that_are_here(request: Request, channel: &mut Server<Protocol>) -> Result<Vec<Request>, IpcError> {
    let mut requests = vec![request];
    while channel.has_next() && requests.len() < TOGETHER {
        requests.push(channel.must_receive().await?);
    }
    Ok(requests)
}

/// A request for records in a log.
type Records = (Log, QueueId, bool, Chunk<Record>);

/// The same as the log has it.
struct Append {
    log: Log,
    queue_id: QueueId,
    begin: bool,
    entries: Vec<Entry>,
}

impl Bounce {
    /// Does what is asked, in the order of the requests, and answers when all of it is done.
    async fn answer(
        &self,
        context: &Context,
        channel: &mut Server<Protocol>,
        requests: Vec<Request>,
    ) -> Result<(), IpcError> {
        let mut appends = Vec::new();
        for request in requests {
            match request {
                Request::Append { log, queue_id, begin, records } => appends.push((log, queue_id, begin, records)),
                Request::Notify { log, keep, message } => {
                    self.append(channel, std::mem::take(&mut appends)).await?;
                    channel.queue(&self.notify(context, log, keep, &message).await)?;
                }
            }
        }
        self.append(channel, appends).await?;
        channel.flush().await
    }

    async fn append(&self, channel: &mut Server<Protocol>, appends: Vec<Records>) -> Result<(), IpcError> {
        if appends.is_empty() {
            return Ok(());
        }
        let made = |(log, queue_id, begin, records): &Records| Append {
            log: *log,
            queue_id: queue_id.clone(),
            begin: *begin,
            entries: records.items().iter().map(log::entry).collect(),
        };
        let work: Vec<Append> = appends.iter().map(made).collect();
        let (spool, compatible) = (self.settings.spool.clone(), self.settings.compatible_logs);
        // The append waits for the disk: not in the thread that serves the other clients.
        let written = tokio::task::spawn_blocking(move || -> Vec<io::Result<()>> {
            work.iter().map(|append| append.write(&spool, compatible)).collect()
        });
        let results = match written.await {
            Ok(results) => results,
            Err(error) => appends.iter().map(|_| Err(io::Error::other(error.to_string()))).collect(),
        };
        for ((log, queue_id, _, records), result) in appends.into_iter().zip(results) {
            channel.queue(&self.appended(log, &queue_id, records.items(), result).await)?;
        }
        Ok(())
    }

    async fn appended(&self, log: Log, queue_id: &QueueId, records: &[Record], result: io::Result<()>) -> Reply {
        match result {
            Ok(()) => {
                if log == Log::Defer {
                    self.waiting.note(queue_id, records).await;
                }
                Reply::Done
            }
            Err(error) => {
                let (log, error) = (log::queue_of(log).as_str(), text::system_error(&error));
                failed(queue_id, &format!("append to {log} log: {error}"))
            }
        }
    }

    async fn notify(&self, context: &Context, log: Log, keep: bool, message: &Message) -> Reply {
        if let Err(error) = self.notifier.send(&context.config, log, keep, message).await {
            return Reply::Failed(ipc::cut(error.to_string()));
        }
        if keep {
            return Reply::Done;
        }
        match delivery_log::remove(&self.settings.spool, log::queue_of(log), &message.queue_id) {
            Ok(_) => Reply::Done,
            Err(error) => {
                failed(&message.queue_id, &format!("remove log: {error}", error = text::system_error(&error)))
            }
        }
    }
}

impl Append {
    fn write(&self, spool: &Spool, compatible: bool) -> io::Result<()> {
        let queue = log::queue_of(self.log);
        if !self.begin {
            return delivery_log::append(spool, queue, &self.queue_id, &self.entries, compatible);
        }
        delivery_log::begin(spool, queue, &self.queue_id, &self.entries, compatible)
    }
}

fn failed(queue_id: &QueueId, why: &str) -> Reply {
    logging::warning!(id: queue_id, "{why}");
    Reply::Failed(ipc::cut(why.to_owned()))
}
