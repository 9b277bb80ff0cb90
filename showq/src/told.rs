//! What qmgr tells of deferred messages, so that their files need not be opened.
//!
//! It has just deferred them, and knows who waits and why. What it tells is kept with the stamps of the files, and is
//! believed as far as they are still the same; so whatever is missing, late or wrong costs time and no truth. It is not
//! asked where a file can change without getting another stamp (`Storage::dates_every_change`).

use std::path::Path;
use std::time::Duration;

use ipc::qmgr::{Qmgr, Reply, Request, Style};
use ipc::{Client, IpcError};

use crate::service::Showq;

/// How long qmgr may be busy before a list goes on without it.
const PATIENCE: Duration = Duration::from_secs(1);

impl Showq {
    /// Asks for what is new since the last time, for this list.
    pub(crate) async fn ask_qmgr(&self, listing: u64) {
        if let Some(path) = &self.qmgr
            && self.source.spool.storage().dates_every_change()
        {
            // While there is no qmgr, the files are read.
            let _ = self.ask(path, listing).await;
        }
    }

    async fn ask(&self, path: &Path, listing: u64) -> Result<(), IpcError> {
        let mut qmgr = Client::<Qmgr>::connect(path).await?;
        qmgr.set_timeout(PATIENCE);
        let style = &self.source.style;
        let style = Style { modern: style.modern, null_address: style.null_address.clone() };
        qmgr.send(&Request::Deferred(self.known_until.get(), style)).await?;
        loop {
            match qmgr.must_receive().await? {
                Reply::Deferred(messages) => self.source.learn(listing, messages),
                Reply::End(moment) => {
                    self.known_until.set(moment);
                    return Ok(());
                }
            }
        }
    }
}
