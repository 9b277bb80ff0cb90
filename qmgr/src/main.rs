//! qmgr - the queue manager
//!
//! # Synopsis
//! `qmgr [generic daemon options]`, `oqmgr [generic daemon options]`, from master.cf under the service name `qmgr`
//!
//! # Description
//! The queue manager takes messages from the incoming and deferred queues, has trivial-rewrite say where each recipient
//! goes, and hands recipients with the open queue file to delivery agents. It decides what is delivered next and how
//! many deliveries a destination bears, has bounce record what failed, and in the end removes the message, returns it,
//! or lets it wait.
//!
//! New mail is announced by cleanup; the deferred queue is scanned once and then remembered, so that the directory is
//! read again only when an operator asks for it (`postqueue -f`) or when its contents changed behind our back. What a
//! list shows of the messages that were deferred is kept for showq, at most 64 MiB of it.
//!
//! No message can be lost by killing this process: a message is in exactly one of the queues at any moment, recipients
//! are marked done by those who delivered them, and the active queue is emptied into the incoming queue at the next
//! start. What is delivered at the moment of the kill is locked by its agent, and left alone for a minute.
//!
//! As `oqmgr`, a name that old master.cf files have, it takes the messages of a transport in their order, and none
//! overtakes a larger one that came before.
//!
//! Triggers: `W` and `I` scan the incoming queue, `D` the deferred queue; `F` forgets which destinations are dead; `A`
//! scans regardless of the times of the next attempts.
//!
//! # Privilege
//! `$mail_owner`; renames and removes files of the message queues.
//!
//! # Peers
//! `private/rewrite` (where recipients go), `private/bounce`, `private/defer` and `private/trace` (what became of
//! them), every transport (deliveries).
//!
//! # Diagnostics
//! `Q: from=<S>, size=N, nrcpt=N (queue active)`, `Q: removed`, `Q: from=<S>, status=expired, returned to sender`;
//! warnings about transports that do not work, destinations that clog the queue, and corrupt files.

mod active;
mod assign;
mod attempt;
mod deliveries;
mod feed;
mod finish;
mod index;
mod intake;
#[cfg(test)]
mod laws;
mod ledger;
mod listed;
mod retry;
mod route;
mod scheduler;
mod service;
mod settings;
mod spares;
mod suspended;

use std::process::ExitCode;

use daemon::{Access, Lifetime, Network, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "qmgr",
    skeleton: Skeleton::Trigger,
    lifetime: Lifetime::Endless,
    privilege: Privilege::MailOwner,
    why: "moves queue files",
    siblings: &[
        Sibling::Rewrite,
        Sibling::Bounce,
        Sibling::Defer,
        Sibling::Trace,
        Sibling::Verify,
        Sibling::Transports,
    ],
    files: &[
        Access::QueueWrite("incoming"),
        Access::QueueWrite("active"),
        Access::QueueWrite("deferred"),
        Access::QueueWrite("corrupt"),
        Access::QueueWrite("saved"),
        Access::QueueWrite("spare"),
        Access::QueueWrite("defer"),
        Access::QueueRead("bounce"),
        Access::QueueRead("trace"),
    ],
    outside: &[],
    network: Network::None,
    threads: true,
};

fn main() -> ExitCode {
    daemon::run::<service::Qmgr>(&SERVICE)
}
