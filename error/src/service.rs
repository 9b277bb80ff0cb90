//! The connections of qmgr: every recipient gets the result that the nexthop names.

use std::fs::File;
use std::rc::Rc;

use daemon::{Client, Context, StartError, Worker};
use delivery::{Finding, Job, Session, Settings};
use dsn::Status;

use crate::{SERVICE, nexthop};

/// The agent, under any of its names.
pub(crate) struct Agent {
    settings: Rc<Settings>,
    /// What is dropped counts as delivered, whatever status the nexthop names.
    drops: bool,
    /// The status of a nexthop that names none.
    status: Status,
    /// Stands for queue files, which nothing here opens or marks; what it is does not matter.
    no_file: Rc<File>,
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
        let no_file = File::open(".").map_err(|error| StartError::new(text::system_error(&error)))?;
        Ok(Self { settings, drops, status: Status::new(class, 0, 0), no_file: Rc::new(no_file) })
    }

    async fn session(self: Rc<Self>, client: Client) {
        let Some(session) = Session::new(client, Rc::clone(&self.settings)) else { return };
        // What is dropped is marked as delivered, in its file.
        let session = if self.drops { session } else { session.without_files(Rc::clone(&self.no_file)) };
        let deliver = async |job: &mut Job| {
            let (status, reason) = nexthop::reason(&job.request().nexthop, self.status);
            let finding = match self.drops {
                true => Finding::sent(status, reason, "none"),
                false => Finding::from_status(status, reason, "none"),
            };
            job.finish_rest(&finding);
        };
        session.serve(deliver).await;
    }
}
