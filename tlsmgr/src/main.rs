//! tlsmgr - holds the private keys of the mail system, and signs with them
//!
//! # Synopsis
//! `tlsmgr [generic daemon options]`, from master.cf under the service name `tlsmgr`
//!
//! # Description
//! Servers and clients of SMTP and LMTP know certificates, and no private key: what is to be signed in a handshake they
//! send here. The files with keys are those that main.cf, and the options of master.cf, name for smtpd, smtp and lmtp,
//! and those of tls_server_sni_maps. A file that has changed is read again when it is asked for next, at most once a
//! second; what cannot be used is told, and what was read before stays in use.
//!
//! It also makes the keys of session tickets, which all servers have and no disk: after half of
//! smtpd_tls_session_cache_timeout there is a new one, and tickets by the one before are taken for as long again.
//!
//! Nobody can read its memory: it leaves no core file, and other processes of its user cannot trace it.
//!
//! # Privilege
//! Started as root for a keeper, a process of its own, which opens the files that it was started for and no others, and
//! looks names up in tls_server_sni_maps. The part that is asked and signs is `$mail_owner`, and opens nothing.
//!
//! # Peers
//! Nobody but its clients: smtpd, smtp, lmtp.
//!
//! # Diagnostics
//! Files that cannot be used. What is wrong with the files that a service is configured with, that service logs.

mod keeper;
mod packet;
mod rights;
mod service;
mod tickets;
mod vault;

use std::process::ExitCode;

use daemon::{Lifetime, Network, Privilege, Service, Skeleton};

static SERVICE: Service = Service {
    name: "tlsmgr",
    skeleton: Skeleton::Trigger,
    lifetime: Lifetime::Endless,
    privilege: Privilege::KeepsKeys,
    why: "reads private keys through it",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: true,
};

fn main() -> ExitCode {
    if let Some(status) = keeper::run_as_keeper(SERVICE.name) {
        return status;
    }
    daemon::run::<service::Tlsmgr>(&SERVICE)
}
