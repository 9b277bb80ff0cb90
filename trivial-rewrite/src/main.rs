//! trivial-rewrite - addresses in standard form, and the way of each recipient
//!
//! # Synopsis
//! `trivial-rewrite [daemon options]`, started by master for the entry `rewrite unix - - n - - trivial-rewrite`
//!
//! # Description
//! Two questions: what is the standard form of this address (with a domain, without source routes), and by which
//! transport and nexthop does mail for it go. Cleanup asks the first, smtpd and qmgr the second. The answers follow from
//! main.cf and its tables alone; nothing is looked up in the DNS and nothing is remembered.
//!
//! # Privilege
//! None. Opens its tables before it gives up its rights, and ends when one of them has changed.
//!
//! # Diagnostics
//! A table that cannot be read makes the answer "failed", and the mail waits.

mod classes;
mod resolve;
mod routes;
mod standard;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::rc::Rc;

use daemon::{Client, Context, Lifetime, Network, Privilege, Service, Skeleton, StartError, Worker};
use ipc::Server;
use ipc::rewrite::{Reply, Request, Rewrite};

use crate::resolve::Resolver;
use crate::standard::Standard;

/// What this daemon is and may do.
pub static SERVICE: Service = Service {
    name: "trivial-rewrite",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<TrivialRewrite>(&SERVICE)
}

struct TrivialRewrite {
    standard: Standard,
    resolver: Resolver,
}

impl Worker for TrivialRewrite {
    fn start(context: &Context) -> Result<Self, StartError> {
        let (mut standard, resolver) = (Standard::read(&context.config)?, Resolver::read(&context.config)?);
        standard.localhost_is_known = resolver.knows(b"localhost");
        Ok(Self { standard, resolver })
    }

    async fn session(self: Rc<Self>, client: Client) {
        let context = client.context.clone();
        let Some(stream) = client.into_unix() else { return };
        let mut channel: Server<Rewrite> = Server::<Rewrite>::new(stream);
        while let Some(request) = context.next_fresh_request(&mut channel).await {
            if channel.send(&self.answer(&request)).await.is_err() {
                return;
            }
        }
    }

    fn changed_table(&self) -> Option<String> {
        self.resolver.changed()
    }
}

impl TrivialRewrite {
    fn answer(&self, request: &Request) -> Reply {
        match request {
            Request::Rewrite { context, address } => Reply::Rewritten(self.standard.rewrite(*context, address)),
            Request::Resolve { sender, address, verify } => {
                Reply::Resolved(self.resolver.resolve(&self.standard, sender, address, *verify))
            }
        }
    }
}
