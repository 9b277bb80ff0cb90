//! pickup - takes local submissions from the maildrop queue to cleanup
//!
//! # Synopsis
//! `pickup [generic daemon options]`, from master.cf under the service name `pickup`
//!
//! # Description
//! postdrop leaves messages in `maildrop`; `postsuper -r` puts queue files back there. This daemon looks when it is
//! woken up, hands each complete file to cleanup under a new name, with a Received header that tells the submitting
//! user, and removes the file when cleanup has the message on disk. A crash between the two delivers the message twice,
//! never not at all.
//!
//! It must never trust a file in maildrop more than the user who wrote it: from a user's file only those records are
//! taken that postdrop lets through.
//!
//! # Privilege
//! `$mail_owner`; reads and removes files in `maildrop`, moves unreadable ones to `corrupt`.
//!
//! # Peers
//! `public/cleanup` (messages). postdrop, postqueue and master wake it up.
//!
//! # Diagnostics
//! One line `Q: uid=N from=<S>` a message. A file that cannot be understood is moved to `corrupt` with a warning; one
//! that cleanup does not take stays and is tried again.

mod scan;
mod service;
mod submission;

use std::process::ExitCode;

use daemon::{Access, Lifetime, Network, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "pickup",
    skeleton: Skeleton::Trigger,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "takes files from maildrop",
    siblings: &[Sibling::Cleanup],
    files: &[Access::QueueWrite("maildrop"), Access::QueueWrite("corrupt")],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<service::Pickup>(&SERVICE)
}
