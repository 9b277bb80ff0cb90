//! MX, A, AAAA, PTR and TXT look-ups with Postfix's error texts.
//!
//! A wall around the DNS library: no type of it is in this crate's interface, and its generic code is compiled
//! here once instead of in every program. resolv.conf and the hosts file are read when a [`Resolver`] is made,
//! before the program enters its sandbox; a look-up opens sockets and nothing else.
//!
//! Names are looked up as they are written. Only the `native` look-ups, which stand for the system's resolver,
//! know the hosts file and the search list.

mod answer;
mod error;
mod hosts;
mod resolv_conf;
mod resolver;

pub use error::{LookupError, LookupFault, RecordType};
pub use hosts::Hosts;
pub use resolv_conf::{ResolvConf, ResolvConfError};
pub use resolver::{MailExchanger, MailExchangers, Resolver};
