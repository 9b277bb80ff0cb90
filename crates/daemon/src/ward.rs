//! How many clients a worker serves, and the channel to master that tells of it.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use wire::status::{LOG, LOG_WANTED, Order, Report};

use crate::context::Context;

/// The clients of a worker.
pub(crate) struct Ward {
    /// Clients that are being served.
    pub active: Cell<usize>,
    /// Clients that have been served.
    pub served: Cell<u64>,
    /// Told of the end of a session.
    pub changed: Notify,
    status: Option<AsyncFd<OwnedFd>>,
    told: Cell<Report>,
}

/// One client that is being served; its end is noted however the session ends.
pub(crate) struct Session {
    pub ward: Rc<Ward>,
    pub context: Rc<Context>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.ward.active.set(self.ward.active.get() - 1);
        self.ward.served.set(self.ward.served.get() + 1);
        self.ward.tell(&self.context);
        self.ward.changed.notify_one();
    }
}

impl Ward {
    pub(crate) fn new(status: Option<AsyncFd<OwnedFd>>) -> Self {
        let (active, served, told) = (Cell::new(0), Cell::new(0), Cell::new(Report::Idle));
        Self { active, served, changed: Notify::new(), status, told }
    }

    /// The system's log may be where the walls do not let this process go: master is asked for a connection then.
    pub(crate) fn watch_log(&self) -> io::Result<()> {
        let Some(status) = &self.status else { return Ok(()) };
        let channel = status.get_ref().try_clone()?;
        logging::on_lost(move || {
            // A master that is gone ends this process by other means; a full channel is tried again a second later.
            let _ = nix::unistd::write(&channel, &[LOG_WANTED]);
        });
        Ok(())
    }

    /// One client more.
    pub(crate) fn begin(self: &Rc<Self>, context: &Rc<Context>) -> Session {
        self.active.set(self.active.get() + 1);
        self.tell(context);
        Session { ward: Rc::clone(self), context: Rc::clone(context) }
    }

    /// Reports a change of state to master.
    fn tell(&self, context: &Context) {
        let report = match self.active.get() {
            0 => Report::Idle,
            active if active >= context.session_limit => Report::Full,
            _ => Report::Busy,
        };
        let Some(status) = &self.status else { return };
        if self.told.replace(report) != report {
            match nix::unistd::write(status.get_ref(), &[report.byte()]) {
                Ok(_) | Err(nix::errno::Errno::EAGAIN) => {}
                Err(_) => context.drain(),
            }
        }
    }

    /// The next order of master; `None` when master is gone.
    pub(crate) async fn order(&self) -> Option<Order> {
        let Some(status) = &self.status else { return std::future::pending().await };
        loop {
            let Ok(mut ready) = status.readable().await else { return None };
            let mut byte = [0];
            match sys::descriptor::receive_with(status.get_ref().as_fd(), &mut byte) {
                Ok((0, _)) => return None,
                Ok((_, descriptors)) if byte[0] == LOG => {
                    descriptors.into_iter().for_each(|log| logging::adopt(log.into()));
                }
                Ok(_) => {
                    if let Some(order) = Order::parse(byte[0]) {
                        return Some(order);
                    }
                    logging::repeated!("unknown order {} from master", byte[0]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(_) => return None,
            }
        }
    }
}
