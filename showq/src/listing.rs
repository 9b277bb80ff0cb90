//! The whole list, for one client: queue after queue, file after file, sent as it is made.

use std::io;

use logging::warning;
use queue::QueueName;
use queue::scan::Found;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use wire::showq::Writer;

use crate::service::Showq;

/// The queues, in the order in which clients expect them.
const QUEUES: [QueueName; 5] =
    [QueueName::Maildrop, QueueName::Active, QueueName::Incoming, QueueName::Deferred, QueueName::Hold];
/// Bytes that are gathered before they are sent.
const CHUNK: usize = 32 * 1024;

impl Showq {
    /// Sends the list.
    ///
    /// # Errors
    /// The client does not listen any more.
    pub(crate) async fn list(&self, client: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let mut out = Output { writer: Writer::new(), client, incomplete: false };
        for queue in QUEUES {
            let scan = match self.spool.scan(queue) {
                Ok(scan) => scan,
                Err(error) => {
                    out.left_out(&error);
                    warning!("open directory {queue}: {error}", error = text::system_error(&error));
                    continue;
                }
            };
            for found in scan {
                match found {
                    Ok(found) => self.file(queue, &found, &mut out).await?,
                    Err(error) => {
                        out.left_out(&error);
                        warning!("read directory {queue}: {error}", error = text::system_error(&error));
                    }
                }
            }
        }
        if !out.incomplete {
            out.writer.end();
        }
        out.send().await
    }

    async fn file<C>(&self, queue: QueueName, found: &Found, out: &mut Output<'_, C>) -> io::Result<()>
    where
        C: AsyncWrite + Unpin,
    {
        match self.message(queue, found, out).await {
            Ok(()) => Ok(()),
            Err(crate::message::ListError::Client(error)) => Err(error),
            Err(crate::message::ListError::System(error)) => {
                out.left_out(&error);
                warning!(about: found.id, "{}: {error}", found.path.display(), error = text::system_error(&error));
                Ok(())
            }
            Err(crate::message::ListError::File(why)) => {
                warning!(about: found.id, "{}: {why}", found.path.display());
                Ok(())
            }
        }
    }
}

/// The list on its way to the client.
pub(crate) struct Output<'a, C> {
    pub(crate) writer: Writer,
    client: &'a mut C,
    /// It has no end: the client hears that there is more.
    incomplete: bool,
}

impl<C> Output<'_, C> {
    /// Something is missing because this process had no descriptor or memory for it, or may not read a directory: what
    /// is listed must not be taken for everything. What is gone is not missing.
    fn left_out(&mut self, error: &io::Error) {
        self.incomplete |= error.kind() != io::ErrorKind::NotFound;
    }
}

impl<C: AsyncWrite + Unpin> Output<'_, C> {
    /// Sends what has gathered, when it is much.
    pub(crate) async fn flow(&mut self) -> io::Result<()> {
        if self.writer.pending() < CHUNK { Ok(()) } else { self.send().await }
    }

    async fn send(&mut self) -> io::Result<()> {
        self.client.write_all(&self.writer.take()).await
    }
}
