//! The way to a server of SMTP or LMTP: what a destination means, which servers it has, what they have to show by DNS,
//! and the bytes to and from them.
//!
//! What is said to a server, and what follows from its answers, is for the programs.

mod chance;
pub mod dane;
mod destination;
mod find;
mod level;
mod lookups;
mod order;
mod protocol;
mod rules;
mod server;
mod stream;

pub use destination::{BadDestination, Destination, Lookup};
pub use find::{Finder, Found, NoServer};
pub use level::Level;
pub use lookups::Late;
pub use order::{Order, Preference};
pub use protocol::{ByRecords, Protocol, Services};
pub use rules::LookupRules;
pub use server::{Endpoint, Origin, Server};
pub use stream::Stream;
