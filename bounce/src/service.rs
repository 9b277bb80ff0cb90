//! The requests of clients.

use std::rc::Rc;

use daemon::{Client, Context, Sibling, StartError};
use ipc::bounce::{Bounce as Protocol, Log, Message, Record, Reply, Request};
use ipc::flush::Flush;
use ipc::{Pool, Server};
use queue::{QueueId, delivery_log};

use crate::log;
use crate::notice::Notifier;
use crate::settings::Settings;
use crate::waiting::Waiting;

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
            let reply = self.answer(&context, request).await;
            if channel.send(&reply).await.is_err() {
                return;
            }
        }
    }
}

impl Bounce {
    async fn answer(&self, context: &Context, request: Request) -> Reply {
        match request {
            Request::Append { log, queue_id, begin, records } => {
                self.append(log, queue_id, begin, records.items()).await
            }
            Request::Notify { log, keep, message } => self.notify(context, log, keep, &message).await,
        }
    }

    async fn append(&self, log: Log, queue_id: QueueId, begin: bool, records: &[Record]) -> Reply {
        let entries: Vec<_> = records.iter().map(log::entry).collect();
        let (spool, compatible, id) = (self.settings.spool.clone(), self.settings.compatible_logs, queue_id.clone());
        // The append waits for the disk: not in the thread that serves the other clients.
        let write = move || {
            if begin {
                delivery_log::remove(&spool, log::queue_of(log), &id)?;
            }
            delivery_log::append(&spool, log::queue_of(log), &id, &entries, compatible)
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => {
                if log == Log::Defer {
                    self.waiting.note(&queue_id, records).await;
                }
                Reply::Done
            }
            Ok(Err(error)) => failed(
                &queue_id,
                &format!("append to {} log: {error}", log::queue_of(log).as_str(), error = text::system_error(&error)),
            ),
            Err(error) => failed(&queue_id, &error.to_string()),
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

fn failed(queue_id: &QueueId, why: &str) -> Reply {
    logging::warning!(id: queue_id, "{why}");
    Reply::Failed(ipc::cut(why.to_owned()))
}
