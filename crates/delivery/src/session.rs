//! A connection from qmgr.

use std::fs::File;
use std::rc::Rc;

use daemon::{Client, Context};
use dsn::Status;
use ipc::bounds::Weigh;
use ipc::delivery::{self, Delivery, Outcome, Report};
use ipc::{IpcError, Server};

use crate::{Finding, Job, Settings};

/// Takes requests one after the other and gives their reports.
pub struct Session {
    channel: Server<Delivery>,
    context: Rc<Context>,
    settings: Rc<Settings>,
    /// Stands for the queue file of a request that comes without one.
    no_file: Option<Rc<File>>,
}

/// Bytes of reports that are gathered while more requests are here.
const GATHERED: usize = 32 << 10;

impl Session {
    /// A session with an accepted client; `None` (logged) where it is not on a Unix socket.
    pub fn new(client: Client, settings: Rc<Settings>) -> Option<Self> {
        let context = Rc::clone(&client.context);
        let channel = Server::new(client.into_unix()?);
        Some(Session { channel, context, settings, no_file: None })
    }

    /// Requests may come without their queue files, for the agent never opens one; `no_file` stands for them.
    #[must_use]
    pub fn without_files(self, no_file: Rc<File>) -> Self {
        Session { no_file: Some(no_file), ..self }
    }

    /// Has every request delivered, and reports it, until qmgr has no more.
    pub async fn serve(mut self, mut deliver: impl AsyncFnMut(&mut Job)) {
        while let Some(mut job) = self.next().await {
            deliver(&mut job).await;
            if self.report(job).await.is_none() {
                return;
            }
        }
    }

    /// The next request, locked; `None` when qmgr has closed the connection, when the worker is to end, or when the
    /// channel is broken (logged). A message that another process has for itself is deferred here.
    pub async fn next(&mut self) -> Option<Job> {
        if self.channel.queued_bytes() > 0 {
            // The greeting: qmgr hands a message only to an agent that is there.
            self.channel.flush().await.ok()?;
        }
        loop {
            let part = self.context.next_fresh_request(&mut self.channel).await?;
            let request = match delivery::receive(part, &mut self.channel).await {
                Ok(request) => request,
                Err(error) => {
                    logging::warning!("request of qmgr: {error}");
                    return None;
                }
            };
            let file = self.channel.take_descriptor().map(|file| Rc::new(File::from(file)));
            let Some(file) = file.or_else(|| self.no_file.clone()) else {
                logging::warning!(id: request.message.queue_id, "a delivery request without its queue file");
                return None;
            };
            let mut job = Job::new(request, file, Rc::clone(&self.settings));
            let Some(name) = self.settings.withheld else { return Some(job) };
            job.finish_rest(&not_implemented(name));
            self.report(job).await?;
        }
    }

    /// Tells qmgr what became of the job. `None`: qmgr is gone; it will find delivered recipients marked in the queue
    /// file.
    pub async fn report(&mut self, job: Job) -> Option<()> {
        match self.send(job.into_report()).await {
            Ok(()) => Some(()),
            Err(error) => {
                logging::warning!("report to qmgr: {error}");
                None
            }
        }
    }

    async fn send(&mut self, report: Report) -> Result<(), IpcError> {
        // Who asks for many at once gets the reports together.
        let bytes: usize = report.outcomes.iter().map(|outcome| outcome.weight() + size_of::<Outcome>()).sum();
        let is_last = !self.channel.has_next() || self.channel.queued_bytes() + bytes >= GATHERED;
        if is_last {
            // The status lines come before qmgr's "removed", and are there even when this worker is killed. Those of
            // deliveries that end at the same time leave together.
            daemon::after_others().await;
            logging::flush();
        }
        match delivery::queue_report(&mut self.channel, report).await {
            // The recipients that have not been told of yet wait, and the message alone.
            Err(IpcError::TooLarge(why)) => {
                logging::warning!("report to qmgr: {why}");
                delivery::queue_report(&mut self.channel, Report::default()).await?;
            }
            queued => queued?,
        }
        if is_last { self.channel.flush().await } else { Ok(()) }
    }
}

/// Mail waits while main.cf asks for what the agent does not have.
fn not_implemented(name: &str) -> Finding {
    Finding::deferred(
        Status::new(4, 3, 5),
        format!("mail system configuration error: {name} is not implemented"),
        "none",
    )
}
