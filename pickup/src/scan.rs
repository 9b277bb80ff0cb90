//! Looking through maildrop: one pass at a time, some messages of it at once.
//!
//! A wake-up during a pass asks for another pass, so that a file that was written behind the reader
//! is not left until the next one. What could not be handed on is tried again soon.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use config::{Accounts, Config, ValueError, param};
use daemon::{Context, Sibling, StartError, Worker};
use ipc::Pool;
use ipc::cleanup::{Cleanup, Flags};
use logging::warning;
use queue::{QueueName, Spool};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::submission::{self, Outcome};

/// Messages that are on their way to cleanup at the same time: they share one wait for the disk.
const AT_ONCE: usize = 20;
/// How soon a pass is repeated that left something behind.
const RETRY: Duration = Duration::from_secs(10);

/// The daemon.
pub struct Pickup {
    /// maildrop and corrupt.
    pub spool: Spool,
    /// Connections to cleanup.
    pub cleanup: Pool<Cleanup>,
    /// What cleanup shall do with mail of users.
    pub flags: Flags,
    /// content_filter; empty for none.
    pub content_filter: String,
    /// myhostname
    pub hostname: String,
    /// Our own user id: files of this owner come from the mail system itself.
    pub owner: u32,
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
            flags: cleanup_flags(config)?,
            content_filter: config.get(param::CONTENT_FILTER)?,
            hostname: config.get(param::MYHOSTNAME)?,
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

    /// Looks at every file once; false when cleanup did not answer, so that it is worth while to look again soon. A
    /// file that cleanup refuses must not keep others waiting; it is looked at again at the next wake-up.
    async fn pass(self: &Rc<Self>) -> bool {
        let scan = match self.spool.scan(QueueName::Maildrop) {
            Ok(scan) => scan,
            Err(error) => {
                warning!("open directory maildrop: {error}", error = text::system_error(&error));
                return true;
            }
        };
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        let mut answered = true;
        for found in scan {
            let Ok(found) = found
                .inspect_err(|error| warning!("read directory maildrop: {error}", error = text::system_error(error)))
            else {
                break;
            };
            // cannot fail: the semaphore is never closed
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let pickup = Rc::clone(self);
            running.spawn_local(async move {
                let outcome = submission::take(&pickup, &found.id).await;
                drop(place);
                outcome
            });
            while let Some(done) = running.try_join_next() {
                answered &= !matches!(done, Ok(Outcome::Unreachable));
            }
            if !answered {
                break;
            }
        }
        while let Some(done) = running.join_next().await {
            answered &= !matches!(done, Ok(Outcome::Unreachable));
        }
        answered
    }
}

/// receive_override_options, as far as it concerns local mail.
fn cleanup_flags(config: &Config) -> Result<Flags, ValueError> {
    let mut wanted = Flags::SUBMITTED;
    for option in config.get(param::RECEIVE_OVERRIDE_OPTIONS)? {
        match option.as_str() {
            "no_address_mappings" => wanted = wanted.without(Flags::MAP.with(Flags::BCC)),
            "no_header_body_checks" => wanted = wanted.without(Flags::FILTER),
            "no_milters" => wanted = wanted.without(Flags::MILTER),
            // no_unknown_recipient_checks: there is no client.
            _ => {}
        }
    }
    Ok(wanted)
}

/// The user id that this daemon will have: mail_owner's when it starts as root, else its own.
fn mail_owner(config: &Config) -> Result<u32, StartError> {
    if !sys::identity::is_root() {
        return Ok(sys::identity::Identity::current().uid);
    }
    Ok(Accounts::read(config)?.mail_owner.uid)
}
