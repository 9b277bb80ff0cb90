//! The whole list, for one client: queue after queue, batch after batch, sent as it is read.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use logging::warning;
use queue::QueueName;
use queue::scan::{Found, Scan};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use wire::showq::Writer;

use crate::logs::Logs;
use crate::message::{ListError, Message};
use crate::service::Showq;
use crate::source::{Batch, Done, Source};

#[cfg(test)]
mod tests;

/// The queues, in the order in which clients expect them.
const QUEUES: [QueueName; 5] =
    [QueueName::Maildrop, QueueName::Active, QueueName::Incoming, QueueName::Deferred, QueueName::Hold];
/// Names that are read from a queue at a time, and put in order.
/// told: nobody; the others come next.
const NAMES: usize = 4096;
/// Messages that one thread reads in one go.
const BATCH: usize = 64;
/// Batches that are read while another one is sent.
const READERS: usize = 2;

impl Showq {
    /// Sends the list.
    ///
    /// # Errors
    /// The client does not listen any more.
    pub(crate) async fn list(&self, client: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let listing = self.listings.get() + 1;
        self.listings.set(listing);
        let source = Arc::clone(&self.source);
        let mut list = List { listing, source, client, reading: VecDeque::new(), incomplete: false };
        list.send(Writer::new()).await?;
        self.ask_qmgr(listing).await;
        for queue in QUEUES {
            list.queue(queue).await?;
        }
        let mut out = Writer::part();
        if !list.incomplete {
            out.end();
        }
        list.send(out).await?;
        self.source.forget_before(listing);
        Ok(())
    }
}

/// A list on its way to the client.
struct List<'a, C> {
    listing: u64,
    source: Arc<Source>,
    client: &'a mut C,
    /// Batches in the order in which they are sent.
    reading: VecDeque<JoinHandle<Done>>,
    /// It has no end: the client hears that there is more.
    incomplete: bool,
}

/// Names of one queue.
struct Names {
    found: Vec<Found>,
    logs: Arc<Logs>,
    failed: Vec<io::Error>,
    /// Where to go on; nothing at the end.
    scan: Option<Scan>,
}

impl<C: AsyncWrite + Unpin> List<'_, C> {
    /// Lists one queue. The next names are read while messages are.
    async fn queue(&mut self, queue: QueueName) -> io::Result<()> {
        let mut scan = match self.source.spool.scan(queue) {
            Ok(scan) => Some(scan),
            Err(error) => {
                self.left_out(&error);
                warning!("open directory {queue}: {error}", error = text::system_error(&error));
                None
            }
        };
        let mut names = scan.take().map(|scan| self.read_names(scan));
        while let Some(next) = names {
            let Ok(Names { found, logs, failed, scan }) = self.unless_broken(next.await) else { break };
            names = scan.map(|scan| self.read_names(scan));
            for error in failed {
                self.left_out(&error);
                warning!("read directory {queue}: {error}", error = text::system_error(&error));
            }
            let mut found = found.into_iter();
            loop {
                // told: nobody; the loop takes the rest.
                let batch: Vec<Found> = found.by_ref().take(BATCH).collect();
                if batch.is_empty() {
                    break;
                }
                let batch = Batch { listing: self.listing, queue, logs: Arc::clone(&logs), found: batch.into_iter() };
                let reading = self.read(batch);
                self.reading.push_back(reading);
                self.send_all_but(READERS).await?;
            }
        }
        self.send_all_but(0).await
    }

    /// The next names of a queue, in about the order in which the files are on disk.
    fn read_names(&self, mut scan: Scan) -> JoinHandle<Names> {
        let source = Arc::clone(&self.source);
        spawn_blocking(move || {
            let (mut found, mut failed) = (Vec::new(), Vec::new());
            for name in scan.by_ref().take(NAMES) {
                match name {
                    Ok(name) => found.push(name),
                    Err(error) => failed.push(error),
                }
            }
            let is_end = found.len() + failed.len() < NAMES;
            found.sort_unstable_by_key(|name: &Found| name.inode);
            Names { found, logs: Arc::new(Logs::look(&source.spool)), failed, scan: (!is_end).then_some(scan) }
        })
    }

    fn read(&self, batch: Batch) -> JoinHandle<Done> {
        let source = Arc::clone(&self.source);
        spawn_blocking(move || source.read(batch))
    }

    /// Sends what is read, until so many batches are left.
    async fn send_all_but(&mut self, left: usize) -> io::Result<()> {
        while self.reading.len() > left
            && let Some(next) = self.reading.pop_front()
        {
            let Ok(Done { mut out, long, failed, rest }) = self.unless_broken(next.await) else { continue };
            let logs = Arc::clone(&rest.logs);
            if !rest.found.as_slice().is_empty() {
                let reading = self.read(rest);
                self.reading.push_front(reading);
            }
            failed.iter().for_each(|(found, error)| self.tell(found, error));
            if let Some((found, message)) = long {
                self.send_long(&found, message, &logs, &mut out).await?;
            }
            self.send(out).await?;
        }
        Ok(())
    }

    /// Sends a message to its end, and what stands before it.
    async fn send_long(
        &mut self,
        found: &Found,
        mut message: Message,
        logs: &Logs,
        out: &mut Writer,
    ) -> io::Result<()> {
        loop {
            self.client.write_all(&out.take()).await?;
            match message.write(&self.source, logs, out) {
                Ok(false) => {}
                Ok(true) => break,
                Err(error) => {
                    self.tell(found, &error);
                    break;
                }
            }
        }
        out.end_message();
        Ok(())
    }

    async fn send(&mut self, mut out: Writer) -> io::Result<()> {
        self.client.write_all(&out.take()).await
    }

    /// Tells of a message that is not in the list, or not to its end.
    fn tell(&mut self, found: &Found, error: &ListError) {
        let path = found.path.display();
        match error {
            ListError::System(error) => {
                self.left_out(error);
                warning!(about: found.id, "{path}: {error}", error = text::system_error(error));
            }
            ListError::File(why) => warning!(about: found.id, "{path}: {why}"),
        }
    }

    /// Something is missing because this process had no descriptor or memory for it, or may not read a directory: what
    /// is listed must not be taken for everything. What is gone is not missing.
    fn left_out(&mut self, error: &io::Error) {
        self.incomplete |= error.kind() != io::ErrorKind::NotFound;
    }

    /// The result of a thread; one that broke leaves the list without an end.
    fn unless_broken<T>(&mut self, result: Result<T, JoinError>) -> Result<T, JoinError> {
        result.inspect_err(|error| {
            self.incomplete = true;
            warning!("read the queue: {error}");
        })
    }
}
