//! flush - lists of deferred messages by destination
//!
//! # Synopsis
//! `flush [generic daemon options]`, from master.cf under the service name `flush`
//!
//! # Description
//! For every domain of fast_flush_domains it keeps a list of the messages that wait for it, so that ETRN,
//! `postqueue -s` and `sendmail -qR` have just these delivered, and not the whole queue. A list is the file
//! `flush/DOMAIN` of the queue directory, every byte of the domain but letters and digits written as `_`, with the
//! identifier of a message on each line; a message that waits long may stand there many times. The lists are a
//! convenience: a message that is missing from one is delivered at its time.
//!
//! A list that nobody has asked for within fast_flush_refresh_time is gone through by itself, which takes out what has
//! been delivered meanwhile. An empty one goes after fast_flush_purge_time.
//!
//! # Privilege
//! `$mail_owner`; writes in `flush`, and moves messages from `deferred` to `incoming`.
//!
//! # Peers
//! `public/qmgr`, which is told that messages are there. It is asked by postqueue, sendmail, smtpd (ETRN) and the defer
//! service; master wakes it up.
//!
//! # Diagnostics
//! What is found in a list and is no queue identifier is a warning; so is a list that cannot be read or written.

mod lists;
mod service;

use std::process::ExitCode;

use daemon::{Access, Lifetime, Network, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "flush",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "keeps lists in the queue directory",
    siblings: &[Sibling::Qmgr],
    files: &[Access::QueueWrite("flush"), Access::QueueWrite("deferred"), Access::QueueWrite("incoming")],
    outside: &[],
    network: Network::None,
    threads: true,
};

fn main() -> ExitCode {
    daemon::run::<service::Flush>(&SERVICE)
}
