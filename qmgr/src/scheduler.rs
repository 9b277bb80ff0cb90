//! What is delivered next. A message has a job for every transport that it needs; a job has entries (recipients that go
//! together) for destinations; a destination lets as many deliveries run as it has shown to bear.
//!
//! Nothing here does I/O, reads a clock or knows main.cf: time and limits come in, decisions go out. That is what makes
//! the laws in the tests possible. Recipients must never be lost between the structures: each comes out exactly once,
//! selected or returned.

mod arena;
mod destination;
mod job;
mod limits;
mod order;
mod pool;
mod selection;
mod transport;

#[cfg(test)]
mod laws;

#[cfg(test)]
pub use limits::defaults;

pub use destination::{HostFailure, Significant, Verdict};
pub use job::MessageKey;
pub use limits::{Feedback, Limits};
pub use transport::{Delivery, Returned, Transport};
