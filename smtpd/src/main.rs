//! smtpd - Postfix SMTP server
//!
//! # Synopsis
//! `smtpd [generic daemon options]`, from master.cf
//!
//! # Description
//! Takes mail from the network: accepts connections, one session each, and hands each message as a stream of queue file
//! records to cleanup, which answers when the message is on stable storage; only then is the message acknowledged. Who
//! may send what to whom is decided by the smtpd_*_restrictions lists. With a configuration that would relay mail for
//! strangers the server refuses to start.
//!
//! Commands: HELO, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BDAT, RSET, NOOP, VRFY, QUIT, HELP, XCLIENT, XFORWARD
//! (`crates/smtp-server`, which knows no socket; this program gives it one, and answers what it asks). Extensions:
//! PIPELINING, SIZE, ENHANCEDSTATUSCODES, STARTTLS, AUTH, XVERP, 8BITMIME, DSN, CHUNKING, REQUIRETLS. Restrictions: see
//! the folder `restriction`. A restriction that is not there yet turns mail down with `451 4.3.5` and a warning that
//! names it. A proxy in front of it may say who the client is (haproxy's PROXY protocol).
//!
//! # Privilege
//! `$mail_owner`, in a sandbox: it talks to strangers. It opens no file. Whether a local user exists it asks of its
//! porter, a process of its own that is started with it.
//!
//! # Peers
//! `public/cleanup` (messages), `private/rewrite` (address classes), `private/anvil` (counts of clients),
//! `private/tlsmgr` (certificates, signatures by their keys, keys of session tickets), name servers;
//! an authentication server with Dovecot's protocol, where clients log in: by a socket below the queue directory, over
//! TCP, or through the porter; policy services, in the same ways.
//!
//! What a client says to log in goes to that server, and nowhere else.
//!
//! Mail filters (milters), by a socket below the queue directory or through the porter. They are told of a client's
//! commands; its message is shown to them by cleanup, which gets their connections for that time.
//!
//! # Diagnostics
//! Sessions, rejections and problems go to the log. The client is told no more than it needs.

mod amend;
mod authentication;
mod backend;
mod client_limits;
mod connection;
mod decision;
mod envelope;
mod filters;
mod incoming;
mod look_ups;
mod macros;
mod missing;
mod old_defaults;
mod policy;
mod proxy;
mod reach;
mod receive;
mod restriction;
mod service;
mod session;
mod settings;
mod template;
mod tls;
mod upstream;
mod worker;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use daemon::{Access, Lifetime, Network, Outside, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "smtpd",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "talks to strangers",
    siblings: &[Sibling::Cleanup, Sibling::Rewrite, Sibling::Anvil, Sibling::Verify, Sibling::Tlsmgr, Sibling::Flush],
    files: &[Access::BeforeQueue],
    outside: &[Outside::UserDatabase, Outside::UnixSockets, Outside::Servers],
    network: Network::Internet,
    threads: true,
};

fn main() -> ExitCode {
    daemon::run::<service::Server>(&SERVICE)
}
