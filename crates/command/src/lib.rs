//! What the commands share: the way to main.cf, messages, who may do what.
//!
//! Commands run as whoever calls them, some with the group of the mail system. Nothing here may start an event loop or
//! trust the caller's environment.

mod neighbour;
mod run;
mod spawn;
mod start;
mod user;

pub use neighbour::become_neighbour;
pub use run::{Failure, run};
pub use spawn::spawn;
pub use start::{configure, enter_queue, load, log_as};
pub use user::Caller;
