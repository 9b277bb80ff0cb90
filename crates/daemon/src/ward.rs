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
        self.ward.tell(self.context.session_limit);
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
        self.tell(context.session_limit);
        Session { ward: Rc::clone(self), context: Rc::clone(context) }
    }

    /// Reports a change of state to master.
    fn tell(&self, session_limit: usize) {
        let report = match self.active.get() {
            0 => Report::Idle,
            active if active >= session_limit => Report::Full,
            _ => Report::Busy,
        };
        let Some(status) = &self.status else { return };
        let before = self.told.replace(report);
        if before != report {
            // When master has closed its end, the order that it has left there says how to end, and `order` reads it.
            if nix::unistd::write(status.get_ref(), &[report.byte()]).is_err() {
                self.told.set(before);
            }
        }
    }

    /// The next order of master; `None` when master is gone.
    pub(crate) async fn order(&self) -> Option<Order> {
        let Some(status) = &self.status else { return std::future::pending().await };
        loop {
            // turns: master says little
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_that_master_leaves_behind_is_read_before_the_end_of_the_channel() {
        let (master, worker) = sys::descriptor::packet_pair().unwrap();
        let ward = Ward::new(Some(crate::door::register(worker).unwrap()));
        nix::unistd::write(&master, &[Order::Empty.byte()]).unwrap();
        drop(master);
        ward.active.set(1);
        ward.tell(1);
        assert_eq!(ward.order().await, Some(Order::Empty));
        assert_eq!(ward.order().await, None);
    }

    #[tokio::test]
    async fn a_report_for_which_there_is_no_room_is_not_taken_for_told() {
        let (master, worker) = sys::descriptor::packet_pair().unwrap();
        let ward = Ward::new(Some(crate::door::register(worker).unwrap()));
        let mut told = 0;
        while ward.told.get() == if told % 2 == 0 { Report::Idle } else { Report::Full } {
            ward.active.set(1 - told % 2);
            ward.tell(1);
            told += 1;
        }
        let mut byte = [0];
        nix::unistd::read(&master, &mut byte).unwrap();
        ward.tell(1);
        assert_eq!(ward.told.get(), if ward.active.get() == 0 { Report::Idle } else { Report::Full });
    }
}
