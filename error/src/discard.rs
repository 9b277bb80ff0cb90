//! # NAME
//! discard - delivery agent that drops mail
//!
//! # SYNOPSIS
//! `discard [generic daemon options]`, from master.cf
//!
//! # DESCRIPTION
//! Every recipient counts as delivered; the nexthop of the request is logged as the reason, with an optional enhanced
//! status code in front.
//!
//! # PRIVILEGE
//! `$mail_owner`; opens no file and talks to nobody but qmgr.
//!
//! # DIAGNOSTICS
//! One delivery status line a recipient.

mod nexthop;

use std::process::ExitCode;
use std::rc::Rc;

use daemon::{Client, Context, Lifetime, Network, Privilege, Service, Skeleton, StartError};
use delivery::{Finding, Session, Settings};
use dsn::Status;

static SERVICE: Service = Service {
    name: "discard",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "opens nothing",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<Agent>(&SERVICE)
}

struct Agent(Rc<Settings>);

impl daemon::Worker for Agent {
    fn start(context: &Context) -> Result<Self, StartError> {
        Ok(Agent(Rc::new(Settings::read(&context.config)?)))
    }

    async fn session(self: Rc<Self>, client: Client) {
        let Some(mut session) = Session::new(client, Rc::clone(&self.0)) else { return };
        while let Some(mut job) = session.next().await {
            let (status, reason) = nexthop::reason(&job.request().nexthop, Status::new(2, 0, 0));
            job.finish_rest(&Finding::sent(status, reason, "none"));
            if session.report(job).await.is_none() {
                return;
            }
        }
    }
}
