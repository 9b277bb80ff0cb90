//! smtp - delivery agent that gives mail to the next host by SMTP
//!
//! # Synopsis
//! `smtp [generic daemon options] [flags=DORX]`, from master.cf
//!
//! # Description
//! Takes delivery requests from qmgr, finds the servers of the nexthop (mail exchangers and addresses of both families,
//! `[host]` for addresses alone, numeric addresses as they are), and gives them the message, one server after the
//! other, until every recipient has its result. Sessions are kept for a moment and reused where qmgr says that more
//! mail for the same place waits. One worker delivers many messages at the same time.
//!
//! The message is read through the descriptor that comes with the request. Recipients that a server took are marked in
//! the queue file before qmgr hears of it; what a server refused goes to qmgr, which has bounce record it.
//!
//! For a server without 8BITMIME, 8-bit parts of the content become quoted-printable. smtp_generic_maps replaces
//! addresses of the envelope and of the header, smtp_header_checks and its kin change headers and lines, and `flags=`
//! puts headers in front: `D` Delivered-To, `O` X-Original-To, `R` Return-Path. Everything else is sent as it is in the
//! queue file. With `X`, what a server has taken is reported as delivered, and not as relayed.
//!
//! # Privilege
//! `$mail_owner`. Opens no file after its start; resolv.conf, hosts and tables are opened before that. When one of them
//! changes, the process ends after its present deliveries, and the next one has the new file.
//!
//! # Peers
//! `public/cleanup` (notices to the postmaster); `private/rewrite` (addresses of smtp_generic_maps
//! without a domain); the transport of best_mx_transport; qmgr; name servers and mail servers.
//!
//! # Diagnostics
//! One delivery status line a recipient. A server that cannot be reached has a line of its own, and so has a reason to
//! try another server. A bad nexthop, an unusable source address and a server without a valid address are warnings.

use std::process::ExitCode;

use daemon::{Lifetime, Network, Privilege, Service, Sibling, Skeleton};

static SERVICE: Service = Service {
    name: "smtp",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "reads a message through the descriptor that comes with the request",
    siblings: &[Sibling::Cleanup, Sibling::Rewrite, Sibling::Tlsmgr, Sibling::Transports],
    files: &[],
    outside: &[],
    network: Network::Internet,
    threads: true,
};

fn main() -> ExitCode {
    smtp::run(&SERVICE)
}
