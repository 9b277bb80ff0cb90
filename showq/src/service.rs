//! The connections of those who list the queue, and the settings of the list.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use config::{Config, ValueError};
use daemon::{Client, Context, Sibling, StartError, Worker};
use ipc::qmgr::Moment;
use queue::Spool;

use crate::source::Source;

/// The daemon: what every list needs.
pub(crate) struct Showq {
    pub(crate) source: Arc<Source>,
    /// How many lists were begun.
    pub(crate) listings: Cell<u64>,
    /// Where qmgr is, if it runs.
    pub(crate) qmgr: Option<PathBuf>,
    /// What qmgr has told.
    pub(crate) known_until: Cell<Moment>,
}

impl Worker for Showq {
    fn start(context: &Context) -> Result<Self, StartError> {
        let mut showq = Self::new(&context.config, context.config.spool()?)?;
        showq.qmgr = Some(context.socket(Sibling::Qmgr)?);
        Ok(showq)
    }

    async fn session(self: Rc<Self>, client: Client) {
        let Some(mut stream) = client.into_unix() else { return };
        // A client that hangs up has seen enough.
        let _ = self.list(&mut stream).await;
    }
}

impl Showq {
    /// Reads the settings.
    ///
    /// # Errors
    /// A value that cannot be understood.
    pub(crate) fn new(config: &Config, spool: Spool) -> Result<Self, ValueError> {
        Ok(Self::of(Source::new(config, spool)?))
    }

    /// The daemon that lists from there.
    pub(crate) fn of(source: Source) -> Self {
        Self { source: Arc::new(source), listings: Cell::new(0), qmgr: None, known_until: Cell::default() }
    }
}
