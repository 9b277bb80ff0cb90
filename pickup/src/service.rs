//! When maildrop is looked through: at every wake-up, and again soon when cleanup did not answer.
//!
//! A wake-up during a pass asks for another pass, so that a file that was written behind the reader is not left until
//! the next one. What could not be handed on is tried again soon.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

use config::{Accounts, Config, MailSource, param};
use daemon::{Context, Sibling, StartError, Worker};
use ipc::Pool;
use ipc::cleanup::{Cleanup, Flags};
use queue::Spool;
use receiving::Overrides;

/// How soon a pass is repeated that left something behind.
const RETRY: Duration = Duration::from_secs(10);

/// The daemon.
pub(crate) struct Pickup {
    /// maildrop and corrupt.
    pub(crate) spool: Spool,
    /// Connections to cleanup.
    pub(crate) cleanup: Pool<Cleanup>,
    /// What cleanup shall do with mail of users.
    pub(crate) flags: Flags,
    /// content_filter; empty for none.
    pub(crate) content_filter: String,
    /// myhostname
    pub(crate) hostname: String,
    /// mail_name
    pub(crate) mail_name: String,
    /// Our own user id: files of this owner come from the mail system itself.
    pub(crate) owner: u32,
    scanning: Cell<bool>,
    again: Cell<bool>,
    context: OnceCell<Rc<Context>>,
}

impl Worker for Pickup {
    fn start(context: &Context) -> Result<Self, StartError> {
        let config = &context.config;
        let cleanup = context.socket(Sibling::Cleanup)?;
        Ok(Self {
            spool: config.spool()?,
            cleanup: Pool::new(cleanup, context.ipc_timeout()),
            flags: Overrides::read(config, MailSource::Sendmail, Flags::SUBMITTED)?.flags,
            content_filter: config.get(param::CONTENT_FILTER)?,
            hostname: config.get(param::MYHOSTNAME)?,
            mail_name: config.get(param::MAIL_NAME)?,
            owner: mail_owner(config)?,
            scanning: Cell::new(false),
            again: Cell::new(false),
            context: OnceCell::new(),
        })
    }

    fn background(self: &Rc<Self>, context: &Rc<Context>) {
        let _ = self.context.set(Rc::clone(context));
    }

    async fn trigger(self: Rc<Self>, _: Vec<u8>) {
        self.again.set(true);
        if self.scanning.replace(true) {
            return;
        }
        while self.again.take() {
            if !self.pass().await {
                self.again.set(self.pause().await);
            }
        }
        self.scanning.set(false);
    }
}

impl Pickup {
    /// Waits for the next try; false when this process shall end instead, and its successor tries.
    async fn pause(&self) -> bool {
        let Some(context) = self.context.get() else { return false };
        tokio::select! {
            () = tokio::time::sleep(RETRY) => true,
            () = context.drained() => false,
        }
    }
}

/// The user id that this daemon will have: mail_owner's when it starts as root, else its own.
fn mail_owner(config: &Config) -> Result<u32, StartError> {
    if !sys::identity::is_root() {
        return Ok(sys::identity::Identity::current().uid);
    }
    Ok(Accounts::read(config)?.mail_owner.uid)
}
