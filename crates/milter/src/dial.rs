//! How a filter is reached: programs know, this crate does not.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;

use crate::settings::Endpoint;

/// A connection that is being made.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<OwnedFd>> + 'a>>;

/// Makes connections.
pub trait Dial {
    /// Connects; the socket does not block.
    ///
    /// # Errors
    /// Those of connect(2).
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> Dialing<'a>;
}
