//! The connections of those who list the queue, and the settings of the list.

use std::rc::Rc;

use config::{Config, ValueError, param};
use daemon::{Client, Context, StartError, Worker};
use queue::Spool;

/// The daemon: what every list needs.
pub(crate) struct Showq {
    pub(crate) spool: Spool,
    /// Recipients of one message that are remembered, so that none is listed twice.
    pub(crate) remembered: usize,
    /// What stands for the null address.
    pub(crate) null_address: Vec<u8>,
    /// The list has the form of Postfix 3.11.
    pub(crate) modern: bool,
}

impl Worker for Showq {
    fn start(context: &Context) -> Result<Self, StartError> {
        Ok(Self::new(&context.config, context.config.spool()?)?)
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
        // duplicate_filter_limit
        let remembered = config.read(param::DUPLICATE_FILTER_LIMIT)?;
        // empty_address_recipient
        let null_address = config.get(param::EMPTY_ADDRESS_RECIPIENT)?.into_bytes();
        Ok(Self { spool, remembered, null_address, modern: config.modern_log() })
    }
}
