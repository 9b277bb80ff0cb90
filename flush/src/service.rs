//! The requests of clients.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use config::param;
use daemon::{Client, Context, Sibling, StartError, Worker};
use lookup::{DomainList, ParentStyle, TableError};
use queue::QueueId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use wire::flush::{MAX_REQUEST, Request, Status, greeting};
use wire::trigger;

use crate::lists::{Lists, Site};

/// The daemon.
pub(crate) struct Flush {
    lists: Arc<Lists>,
    /// fast_flush_domains
    domains: DomainList,
    qmgr: PathBuf,
}

impl Worker for Flush {
    fn start(context: &Context) -> Result<Self, StartError> {
        let config = &context.config;
        let title = "fast_flush_domains";
        let lists = Lists {
            spool: config.spool()?,
            refresh: config.get(param::FAST_FLUSH_REFRESH_TIME)?,
            purge: config.get(param::FAST_FLUSH_PURGE_TIME)?,
        };
        let value = config.lookup(title)?.unwrap_or_default();
        Ok(Self {
            lists: Arc::new(lists),
            domains: DomainList::open(config, title, &value, ParentStyle::in_config(config, title))?,
            qmgr: context.socket(Sibling::Qmgr)?,
        })
    }

    async fn session(self: Rc<Self>, client: Client) {
        let context = Rc::clone(&client.context);
        let Some(stream) = client.into_unix() else { return };
        let talk = tokio::time::timeout(context.ipc_timeout(), self.serve(stream)).await;
        if let Ok(Err(error)) = talk {
            logging::repeated!("a request that cannot be understood: {}", &text::system_error(&error));
        }
    }

    fn changed_table(&self) -> Option<String> {
        self.domains.changed()
    }
}

impl Flush {
    async fn serve(&self, mut stream: UnixStream) -> io::Result<()> {
        // Master, which only wakes it up, is not there any more to read it.
        let _ = stream.write_all(&greeting()).await;
        let Some(request) = receive(&mut stream).await? else { return Ok(()) };
        let is_long = matches!(request, Request::Refresh | Request::Purge);
        if is_long {
            let _ = stream.write_all(&Status::Done.write()).await;
        }
        let status = self.answer(request).await;
        if !is_long {
            let _ = stream.write_all(&status.write()).await;
        }
        Ok(())
    }

    async fn answer(&self, request: Request) -> Status {
        match request {
            Request::Add { site, queue_id } => {
                let (Some(list), Some(id)) = (Site::of(&site), QueueId::parse(&queue_id)) else { return Status::Bad };
                match self.domains.matches(&site) {
                    Ok(true) => self.work(move |lists| lists.add(&list, &id).map(|()| 0)).await,
                    no => refusal(no),
                }
            }
            Request::SendSite(site) => {
                let Some(list) = Site::of(&site) else { return Status::Bad };
                match self.domains.matches(&site) {
                    Ok(true) => {
                        self.tell_qmgr(trigger::FLUSH_DEAD).await;
                        self.work(move |lists| lists.send(&list)).await
                    }
                    no => refusal(no),
                }
            }
            Request::SendFile(queue_id) => {
                let Some(id) = QueueId::parse(&queue_id) else { return Status::Bad };
                self.work(move |lists| Ok(usize::from(lists.send_message(&id, true)))).await
            }
            Request::Refresh => self.work(|lists| lists.look_through(false)).await,
            Request::Purge => self.work(|lists| lists.look_through(true)).await,
        }
    }

    /// Does something with the lists, aside: they are on disk. The queue manager hears of messages that are to be
    /// delivered.
    async fn work(&self, job: impl FnOnce(&Lists) -> io::Result<usize> + Send + 'static) -> Status {
        let lists = Arc::clone(&self.lists);
        let done = tokio::task::spawn_blocking(move || job(&lists)).await;
        match done.map_err(io::Error::other).and_then(|result| result) {
            Ok(0) => Status::Done,
            Ok(_) => {
                self.tell_qmgr(trigger::INCOMING).await;
                Status::Done
            }
            Err(error) => {
                logging::warning!("fast flush list: {}", text::system_error(&error));
                Status::Failed
            }
        }
    }

    /// One that does not run looks into its queues when it starts.
    async fn tell_qmgr(&self, letter: u8) {
        let told = async { UnixStream::connect(&self.qmgr).await?.write_all(&[letter, 0]).await };
        if let Err(error) = told.await {
            logging::warning!("{}: {}", self.qmgr.display(), text::system_error(&error));
        }
    }
}

/// Why a domain that is not listed, or not known to be, has no list.
fn refusal(found: Result<bool, TableError>) -> Status {
    if found.is_ok() { Status::Denied } else { Status::Failed }
}

/// The request of a client; `None` if it has gone without one.
async fn receive(stream: &mut UnixStream) -> io::Result<Option<Request>> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        if let Some(request) = Request::read(&bytes)? {
            return Ok(Some(request));
        }
        if bytes.len() > MAX_REQUEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a request without end"));
        }
    }
}
