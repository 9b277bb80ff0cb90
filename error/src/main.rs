//! # NAME
//! error - delivery agent that delivers nothing and says why
//!
//! # SYNOPSIS
//! `error [generic daemon options]`, from master.cf under the service names `error` and `retry`
//!
//! # DESCRIPTION
//! The nexthop of a request is the reason, with an optional enhanced status code in front. Under the service name
//! `retry` every recipient is deferred (default code 4.0.0), under any other name every recipient fails (5.0.0).
//! transport_maps entries such as `error:5.1.1 no such user` and qmgr's suspended destinations end here.
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
    name: "error",
    skeleton: Skeleton::Sessions,
    lifetime: Lifetime::Limited,
    privilege: Privilege::MailOwner,
    why: "marks nothing, opens nothing",
    siblings: &[],
    files: &[],
    outside: &[],
    network: Network::None,
    threads: false,
};

fn main() -> ExitCode {
    daemon::run::<Agent>(&SERVICE)
}

struct Agent {
    settings: Rc<Settings>,
    class: u8,
}

impl daemon::Worker for Agent {
    fn start(context: &Context) -> Result<Self, StartError> {
        let settings = Rc::new(Settings::read(&context.config)?);
        let class = if context.service_name == "retry" { 4 } else { 5 };
        Ok(Agent { settings, class })
    }

    async fn session(self: Rc<Self>, client: Client) {
        let Some(mut session) = Session::new(client, Rc::clone(&self.settings)) else { return };
        while let Some(mut job) = session.next().await {
            let (status, reason) = nexthop::reason(&job.request().nexthop, Status::new(self.class, 0, 0));
            job.finish_rest(&Finding::from_status(status, reason, "none"));
            if session.report(job).await.is_none() {
                return;
            }
        }
    }
}
