//! Addresses, address families and interfaces: what IPv4 and IPv6 mean everywhere in the mail system.
//!
//! Nothing here reads configuration, logs, or looks a name up: functions take bytes and give values or errors whose
//! `Display` is the sentence that an operator sees. That is what lets every program treat both families in the same
//! way.
//!
//! * [`protocols`]: `inet_protocols`, and what the kernel can do
//! * [`interfaces`]: the addresses of this machine, and "is it me?"
//! * [`presence`]: is an address there to be used?
//! * [`discover`]: the ways to ask a system for them; [`platform`]: which system has which
//! * [`cidr`]: network patterns of match lists and cidr tables
//! * [`hostname`], [`literal`]: syntax checks for what strangers send
//! * [`idna`]: names in other scripts
//! * [`haproxy`]: what a proxy says of its client
//! * [`octets`]: patterns of the answers of DNS lists
//! * [`peer`]: the client of a server, under a name that can be believed
//! * [`brackets`]: where an IPv6 address lacks them
//! * [`endpoint`]: `host:port` in master.cf and in nexthops
//! * [`server`]: where a server of others is
//! * [`address`]: parsing, printing and unmapping

pub mod address;
pub mod brackets;
pub mod cidr;
pub mod discover;
pub mod endpoint;
pub mod haproxy;
pub mod hostname;
pub mod idna;
pub mod interfaces;
pub mod literal;
pub mod octets;
pub mod peer;
pub mod platform;
pub mod ports;
pub mod presence;
pub mod protocols;
pub mod server;

pub use address::{Shown, reason, unmap};
pub use cidr::{Cidr, CidrError};
pub use endpoint::{EndpointError, HostPort};
pub use interfaces::Interface;
pub use octets::{OctetError, OctetPattern};
pub use peer::Peer;
pub use platform::PLATFORM;
pub use protocols::{Family, Protocols, ProtocolsError};
pub use server::Server;
