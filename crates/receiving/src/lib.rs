//! What the programs that take mail in share, whatever the protocol: smtpd, qmqpd, and pickup as far as it goes.
//!
//! * [`peer`]: the client's name, and lists of clients
//! * [`overrides`]: what cleanup shall do with the messages of this service
//! * [`client`]: the attributes of an envelope that say where its message comes from
//!
//! A message goes to cleanup by `ipc::cleanup`, its lines as records by `queue::Lines`, and what waits before it can go
//! there is in a `queue::Nameless`.

pub mod client;
pub mod overrides;
pub mod peer;

pub use overrides::Overrides;
