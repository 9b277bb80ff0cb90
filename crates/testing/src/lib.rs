//! What system tests and development commands run against: private instances of this mail system and of C Postfix, an
//! SMTP client, an SMTP sink, swaks, Exim, a DNS server, authentication servers and policy services.
//!
//! Everything is private: an own directory, own ports, loopback addresses only. Nothing here ends a process that it did
//! not start, and nothing waits for a fixed time: it waits for a log line, a file, a reply, with a deadline. Being for
//! tests, it panics with a sentence where a program would return an error.

pub mod accounts;
pub mod answering;
pub mod auth_server;
pub mod certificates;
pub mod client;
pub mod disk;
pub mod dns;
pub mod dovecot;
pub mod exim;
pub mod gnu_sasl;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod inject;
pub mod instance;
pub mod link;
pub mod maildir;
pub mod master_cf;
pub mod milter;
pub mod name_server;
pub mod policy_server;
pub mod port;
pub mod process;
pub mod programs;
pub mod qmqp;
pub mod setup;
pub mod signed;
pub mod sink;
pub mod submission;
pub mod swaks;
pub mod system_log;
pub mod terminal;
pub mod tls_client;
pub mod tls_server;
pub mod trace;
pub mod wait;
pub mod world;

pub use answering::Answering;
pub use auth_server::AuthServer;
pub use client::Client;
pub use disk::Disk;
pub use dovecot::Dovecot;
pub use exim::Exim;
pub use instance::Instance;
pub use link::Link;
pub use name_server::NameServer;
pub use policy_server::PolicyServer;
pub use programs::Programs;
pub use setup::Setup;
pub use sink::Sink;
pub use submission::Submission;
pub use system_log::SystemLog;
pub use tls_client::TlsClient;
pub use world::World;
