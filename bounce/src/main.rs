//! bounce, defer, trace - keep the delivery logs of messages, and report them
//!
//! # Synopsis
//! `bounce [generic daemon options]`, from master.cf under the service names `bounce`, `defer` and `trace`
//!
//! # Description
//! qmgr has this daemon write down what became of the recipients of a message that were not delivered (queue
//! directories `bounce` and `defer`) or whose delivery the sender asked to hear of (`trace`). When a message is done or
//! overdue, qmgr asks for a notification: a multipart/report (RFC 3464) that enters the queue through cleanup as new
//! mail from the null sender. The log is removed when the notification is on stable storage, not before.
//!
//! A message from the null sender is itself a notification and is never answered: postmaster is told, if
//! `notify_classes` has `2bounce`. A notification to postmaster that fails is dropped. So no loop is possible.
//!
//! # Privilege
//! `$mail_owner`; reads messages in the queue, writes the three log directories.
//!
//! # Peers
//! `public/cleanup` (notifications). Its clients are qmgr and cleanup.
//!
//! # Diagnostics
//! `Q: sender non-delivery notification: Q2` and its like, one line a notification. A notification that cannot be
//! queued is reported to the client, which keeps the message and asks again later.

mod log;
mod notice;
mod service;
mod settings;
mod subject;
mod waiting;

use std::process::ExitCode;

use daemon::{Access, Lifetime, Network, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "bounce",
    skeleton: Skeleton::Unlimited,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "reads messages that it returns and keeps their logs",
    siblings: &[Sibling::Cleanup, Sibling::Flush],
    files: &[
        Access::QueueWrite("bounce"),
        Access::QueueWrite("defer"),
        Access::QueueWrite("trace"),
        Access::QueueRead("active"),
        Access::QueueRead("incoming"),
        Access::QueueRead("deferred"),
    ],
    outside: &[],
    network: Network::None,
    threads: true,
};

fn main() -> ExitCode {
    daemon::run::<service::Bounce>(&SERVICE)
}
