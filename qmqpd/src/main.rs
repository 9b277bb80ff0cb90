//! qmqpd - Postfix QMQP server
//!
//! # Synopsis
//! `qmqpd [generic daemon options]`, from master.cf
//!
//! # Description
//! Takes mail from machines of our own that have no queue: list servers, web servers, everything that speaks qmail's
//! QMQP. A connection carries one message with its envelope, and one answer: `K`, the message is on stable storage;
//! `Z`, not now; `D`, never. Who may connect says qmqpd_authorized_clients, and nothing else: such a client sends to
//! anywhere, and its addresses are taken as they are.
//!
//! The message comes before its envelope, and goes to cleanup behind it. Until then a short one is in memory, a longer
//! one in a file of the queue directory that has no name. Recipients go to cleanup as they come. So a session has the
//! same memory whatever its client sends. A sender `LIST-@DOMAIN-@[]` asks for VERP, as with qmail.
//!
//! # Privilege
//! `$mail_owner`, in a sandbox: it talks to hosts. It makes files without a name in `incoming`, and opens nothing else.
//!
//! # Peers
//! `public/cleanup` (messages), name servers.
//!
//! # Diagnostics
//! Sessions and messages, what was wrong with a request, and why a message was not taken, go to the log; a client that
//! may not connect hears so, and only that it came and went is logged.

mod connection;
mod content;
mod envelope;
mod message;
mod service;
mod session;
mod settings;

use std::process::ExitCode;

use daemon::{Access, Lifetime, Network, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "qmqpd",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "talks to hosts",
    siblings: &[Sibling::Cleanup],
    files: &[Access::QueueWrite("incoming")],
    outside: &[],
    network: Network::Internet,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<service::Qmqpd>(&SERVICE)
}
