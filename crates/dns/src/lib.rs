//! MX, SRV, A, AAAA, PTR, NS, TXT and TLSA look-ups as resolv.conf(5) says, with Postfix's error texts.
//!
//! resolv.conf, nsswitch.conf and the hosts file are opened when a [`Resolver`] is made, before the program enters its
//! sandbox; a look-up opens sockets and nothing else. [`Resolver::changed`] tells when they are not what they were.
//!
//! Names are looked up as they are written, unless [`Resolver::searching`] says otherwise. Only the `native` look-ups,
//! which stand for the system's resolver, know the hosts file, and always the search list.
//!
//! The look-ups of [`Resolver::dnssec`] ask for validated answers and tell whether they were ([`Signed`]). Nothing is
//! validated here: the AD bit of the servers in resolv.conf is believed, so these, and the way to them, have to be
//! trusted.

mod answer;
mod dnssec;
mod error;
mod exchange;
mod filter;
mod hosts;
mod message;
mod name;
mod records;
mod resolv_conf;
mod resolver;
mod servers;
mod shown;
mod system;
mod tlsa;
mod understood;

pub use dnssec::{Dnssec, Probe, ProbeError, Signed};
pub use error::{LookupError, LookupFault, RecordType};
pub use filter::RecordFilter;
pub use hosts::Hosts;
pub use records::{MailExchanger, MailExchangers, Offer, Offers};
pub use resolv_conf::{ResolvConf, ResolvConfError, Surroundings};
pub use resolver::Resolver;
pub use system::{Places, Searching};
pub use tlsa::Association;
pub use understood::understood;
