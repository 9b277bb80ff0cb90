//! verify - which addresses mail can be delivered to
//!
//! # Synopsis
//! `verify [generic daemon options]`, from master.cf under the service name `verify`
//!
//! # Description
//! smtpd asks it about addresses (reject_unverified_sender, reject_unverified_recipient). Of an address that nothing is
//! known of, or nothing new, it finds out with a probe: a message that goes the way of all mail (address_verify_* may
//! send it another way) and that nobody gets; the agent at its end says whether the address would have been good. Until
//! then the answer is that a probe is under way, or what was known before.
//!
//! What a probe has found out is kept in address_verify_map, for address_verify_positive_expire_time or
//! address_verify_negative_expire_time. What is older than address_verify_*_refresh_time is found out anew when
//! somebody asks, and counts until then. A failure never takes the place of a success: that has to expire.
//!
//! Every address_verify_cache_cleanup_interval what has expired is taken out of the file.
//!
//! # Privilege
//! `$mail_owner`; reads the file of its cache. Beside it the scribe, a process of its own, which writes it.
//!
//! # Peers
//! `public/cleanup`, which takes its probes. Its clients are smtpd, which asks, and qmgr and cleanup, which tell what
//! became of probes.
//!
//! # Diagnostics
//! `cache MAP full cleanup: retained=N dropped=N entries`, one line a cleanup. A file that cannot be used is an error,
//! and every answer is then that nobody can say; one that makes no sense is put aside as NAME.damaged, and another one
//! begun.

mod probe;
mod rules;
mod service;

use std::process::ExitCode;

use config::param;
use daemon::{Lifetime, Network, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "verify",
    skeleton: Skeleton::Solitary,
    lifetime: Lifetime::Keeps(param::ADDRESS_VERIFY_MAP),
    privilege: Privilege::MailOwner,
    why: "keeps what it knows in a file",
    siblings: &[Sibling::Cleanup],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: true,
};

fn main() -> ExitCode {
    if let Some(status) = cache::scribe::run_as_scribe(SERVICE.name) {
        return status;
    }
    daemon::run::<service::Verify>(&SERVICE)
}
