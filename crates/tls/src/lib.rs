//! TLS sessions with mail servers and clients: what is asked for, what came of it, and Postfix's words for it.
//!
//! The library below (rustls) does the cryptography; all policy is here. Nothing outside of this crate names it.

mod certificate;
pub mod chain;
mod client;
mod credential;
pub mod dane;
pub mod engine;
mod facts;
pub mod files;
mod fingerprint;
mod groups;
mod handshake;
mod judge;
mod keys;
mod loglevel;
mod names;
pub mod pem;
mod server;
mod session;
mod suites;
mod tickets;
mod trust;
mod versions;
mod witness;
mod words;

pub use certificate::{Certificate, Key};
pub use client::{Client, Connected, Demand};
pub use credential::{Credential, RawKey};
pub use facts::{Facts, Signature};
pub use fingerprint::Digest;
pub use groups::Groups;
pub use handshake::{Carrier, HandshakeError};
pub use judge::{Matching, Standard, Trust, Verdict, hex, unhex};
pub use keys::{Found, Identity, Keys};
pub use loglevel::LogLevel;
pub use names::{NameRule, Wanted};
pub use server::{Accepted, Server, check_server_level};
pub use session::{Broken, Session};
pub use suites::{BadCiphers, Grades, Suites};
pub use trust::{Anchors, Fault, LoadError, Place, Role};
pub use versions::{BadProtocolList, Versions};
