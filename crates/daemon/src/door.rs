//! The listening sockets of a worker: who waits there, and when to let nobody in.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::Poll;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

/// How long nobody is let in after the system had no room for one more: until then, or until a session ends.
pub(crate) const REST: Duration = Duration::from_secs(1);

/// The listening sockets.
pub(crate) struct Door {
    listeners: Vec<AsyncFd<OwnedFd>>,
    /// Closed until then.
    closed: Cell<Option<Instant>>,
}

/// What came of taking one client.
pub(crate) enum Taken {
    /// A connection.
    Client(OwnedFd),
    /// The one who waited first is gone; another may wait.
    Gone,
    /// Nobody waits.
    Nobody,
    /// The system has no room for one more; the door is closed for a while.
    NoRoom,
    /// The socket gives nobody any more; the door is closed for a while all the same.
    Broken,
}

impl Door {
    /// # Errors
    /// The event loop does not take the sockets.
    pub(crate) fn new(listeners: Vec<OwnedFd>) -> io::Result<Self> {
        let listeners = listeners.into_iter().map(register).collect::<io::Result<_>>()?;
        Ok(Self { listeners, closed: Cell::new(None) })
    }

    /// The sockets.
    pub(crate) fn listeners(&self) -> &[AsyncFd<OwnedFd>] {
        &self.listeners
    }

    /// The first listener that has a client; never while the door is closed.
    pub(crate) async fn guest(&self) -> io::Result<&AsyncFd<OwnedFd>> {
        if let Some(until) = self.closed.get() {
            tokio::time::sleep_until(until.into()).await;
            self.reopen();
        }
        poll_fn(|context| {
            for listener in &self.listeners {
                if let Poll::Ready(ready) = listener.poll_read_ready(context) {
                    return Poll::Ready(ready.map(|_| listener));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// There is room again: a session has ended, or it is time to try.
    pub(crate) fn reopen(&self) {
        self.closed.set(None);
    }

    /// Takes the client that waits first. An error that the next attempt would meet again closes the door: a ready
    /// listener is ready again at once, and a loop that tries at every turn does nothing else.
    pub(crate) fn take(&self, listener: &AsyncFd<OwnedFd>) -> Taken {
        match attempt(listener, sys::descriptor::accept) {
            None => Taken::Nobody,
            Some(Ok(accepted)) => Taken::Client(accepted),
            Some(Err(error)) if concerns_one_client(&error) => Taken::Gone,
            Some(Err(error)) => {
                logging::repeated!("accept connection: {}", text::system_error(&error));
                self.closed.set(Some(Instant::now() + REST));
                if is_shortage(&error) { Taken::NoRoom } else { Taken::Broken }
            }
        }
    }

    /// The door is closed for a while after another error than that of taking a client.
    pub(crate) fn close_after(&self, what: &str, error: &io::Error) {
        logging::repeated!("{what}: {}", text::system_error(error));
        self.closed.set(Some(Instant::now() + REST));
    }
}

/// Errors of accept(2) that tell of the client that was taken, and not of the next one: it has gone, the network has
/// lost it, or a packet filter does not want it.
fn concerns_one_client(error: &io::Error) -> bool {
    let known = [
        Errno::ECONNABORTED,
        Errno::EINTR,
        Errno::EPROTO,
        Errno::EPERM,
        Errno::ENETDOWN,
        Errno::ENOPROTOOPT,
        Errno::EHOSTDOWN,
        Errno::EHOSTUNREACH,
        Errno::EOPNOTSUPP,
        Errno::ENETUNREACH,
    ];
    error.raw_os_error().is_some_and(|number| known.contains(&Errno::from_raw(number)))
}

/// Errors of accept(2) that pass when something is given back.
fn is_shortage(error: &io::Error) -> bool {
    let known = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|number| known.contains(&Errno::from_raw(number)))
}

/// A descriptor for the event loop.
#[expect(deprecated, reason = "unsound only for types whose descriptor can change; the successor is unsafe code")]
pub(crate) fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    sys::descriptor::set_nonblocking(fd.as_fd(), true)?;
    AsyncFd::with_interest(fd, Interest::READABLE)
}

/// One non-blocking operation on a ready descriptor; `None` when it was not ready after all.
pub(crate) fn attempt<T>(
    fd: &AsyncFd<OwnedFd>,
    operation: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
) -> Option<io::Result<T>> {
    let result = operation(fd.get_ref().as_fd());
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            // Tell tokio that the readiness is used up; the next poll waits for new.
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            if let Poll::Ready(Ok(mut guard)) = fd.poll_read_ready(&mut context) {
                guard.clear_ready_matching(Ready::READABLE);
            }
            None
        }
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_one_client_keeps_nobody_else_out() {
        let is_one = |errno| concerns_one_client(&io::Error::from(errno));
        assert!(is_one(Errno::ECONNABORTED) && is_one(Errno::EPERM));
        for lasting in [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM, Errno::EBADF, Errno::EINVAL] {
            assert!(!is_one(lasting), "{lasting}");
        }
        let passes = |errno| is_shortage(&io::Error::from(errno));
        assert!(passes(Errno::EMFILE) && !passes(Errno::EINVAL) && !passes(Errno::EBADF));
    }
}
