//! The connections of qmgr: every recipient gets the result that the nexthop names.

use std::rc::Rc;

use daemon::{Client, Context, StartError, Worker};
use delivery::{Finding, Session, Settings};
use dsn::Status;

use crate::{SERVICE, nexthop};

/// The agent, under any of its names.
pub(crate) struct Agent {
    settings: Rc<Settings>,
    /// What is dropped counts as delivered, whatever status the nexthop names.
    drops: bool,
    /// The status of a nexthop that names none.
    status: Status,
}

impl Worker for Agent {
    fn start(context: &Context) -> Result<Self, StartError> {
        let settings = Rc::new(Settings::read(&context.config)?);
        let drops = SERVICE.name == "discard";
        let class = match context.service_name.as_str() {
            _ if drops => 2,
            "retry" => 4,
            _ => 5,
        };
        Ok(Self { settings, drops, status: Status::new(class, 0, 0) })
    }

    async fn session(self: Rc<Self>, client: Client) {
        let Some(mut session) = Session::new(client, Rc::clone(&self.settings)) else { return };
        while let Some(mut job) = session.next().await {
            let (status, reason) = nexthop::reason(&job.request().nexthop, self.status);
            let finding = match self.drops {
                true => Finding::sent(status, reason, "none"),
                false => Finding::from_status(status, reason, "none"),
            };
            job.finish_rest(&finding);
            if session.report(job).await.is_none() {
                return;
            }
        }
    }
}
