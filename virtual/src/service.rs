//! The agent that serves qmgr.

use std::rc::Rc;

use config::param;
use daemon::{Client, Context, StartError, Worker};
use delivery::content::Heading;
use delivery::deposit::{self, Trouble};
use delivery::steward::{Policy, Steward};
use delivery::{Finding, Job, Recipient, Session, Timestamp};
use dsn::Status;
use ipc::carrier::{Deposit, Path, Target};
use lookup::{Maps, OpenFlags, OwnDomains};

use crate::SERVICE;
use crate::mailbox::{Bounds, Mailbox, Mailboxes, NoMailbox};
use crate::settings::Settings;
use crate::verdict::Attempt;

/// The virtual delivery agent.
pub struct Virtual {
    settings: Settings,
    mailboxes: Mailboxes,
    /// The name of the service, which is `relay=`.
    name: String,
    steward: Rc<Steward>,
    agent: Rc<delivery::Settings>,
}

impl Worker for Virtual {
    const REFUSES: bool = true;

    fn start(context: &Context) -> Result<Self, StartError> {
        let config = &context.config;
        let filter = param::VIRTUAL_DELIVERY_STATUS_FILTER;
        let agent = delivery::Settings::read(config)?.filtered_by(config, filter)?;
        let settings = Settings::of(config)?;
        let maps = |title: &str, list: Vec<String>| {
            Maps::open(config, title, &list.join(", "), OpenFlags::TRUSTED).map_err(StartError::from)
        };
        let policy = Policy::of_numbers(config, settings.minimum_uid, settings.size_limit).map_err(StartError::new)?;
        Ok(Virtual {
            mailboxes: Mailboxes {
                paths: maps("virtual_mailbox_maps", config.get(param::VIRTUAL_MAILBOX_MAPS)?)?,
                users: maps("virtual_uid_maps", config.get(param::VIRTUAL_UID_MAPS)?)?,
                groups: maps("virtual_gid_maps", config.get(param::VIRTUAL_GID_MAPS)?)?,
                domains: OwnDomains::read(config).map_err(StartError::new)?,
            },
            name: context.service_name.clone(),
            agent: Rc::new(agent.without(config.withheld(SERVICE.name))),
            // The last thing with the rights that this process was started with.
            steward: Rc::new(Steward::start(SERVICE.name, &policy, config)?),
            settings,
        })
    }

    fn background(self: &Rc<Self>, context: &Rc<Context>) {
        self.steward.watch(context);
    }

    async fn session(self: Rc<Self>, client: Client) {
        let Some(session) = Session::new(client, Rc::clone(&self.agent)) else { return };
        session.serve(async |job| self.deliver(job).await).await;
    }

    fn changed_table(&self) -> Option<String> {
        self.mailboxes.changed().or_else(|| self.agent.filter.changed())
    }
}

impl Virtual {
    async fn deliver(&self, job: &mut Job) {
        // A mailbox passes nothing on: what was delivered to it before may be delivered to it again.
        for index in job.open_recipients() {
            let recipient = job.request().recipients[index].clone();
            let finding = self.deliver_one(job, &recipient).await;
            job.finish(index, &finding);
        }
    }

    async fn deliver_one(&self, job: &Job, recipient: &Recipient) -> Finding {
        let settings = &self.settings;
        let bounds = Bounds {
            base: &settings.base,
            minimum_uid: settings.minimum_uid,
            delimiters: &settings.delimiters,
            utf8: settings.utf8,
        };
        let mailbox = match lookup::settled(|| self.mailboxes.find(&recipient.address, &bounds)).await {
            Ok(mailbox) => mailbox,
            Err(NoMailbox::Unknown) => {
                let address = text::printable(&lookup::fold::fold(&recipient.address, settings.utf8));
                let reason = format!("unknown user: \"{address}\"");
                return Finding::bounced(Status::new(5, 1, 1), reason, self.name.as_str());
            }
            Err(NoMailbox::Misconfigured) => {
                return self.deferred(Status::new(4, 3, 5), "mail system configuration error");
            }
        };
        if job.is_probe() {
            let kind = if mailbox.path.ends_with(b"/") { "maildir" } else { "mailbox" };
            return Finding::sent(Status::new(2, 0, 0), format!("delivers to {kind}"), self.name.as_str());
        }
        match self.write(job, recipient, &mailbox).await {
            Ok(finding) => finding,
            Err(Trouble::Damaged(error)) => {
                job.mark_damaged(&error);
                self.deferred(Status::new(4, 3, 0), "queue file is damaged")
            }
            Err(trouble) => {
                logging::warning!(id: job.request().message.queue_id, "{trouble}");
                self.deferred(Status::new(4, 3, 0), "temporary failure")
            }
        }
    }

    async fn write(&self, job: &Job, recipient: &Recipient, mailbox: &Mailbox) -> Result<Finding, Trouble> {
        let settings = &self.settings;
        let is_maildir = mailbox.path.ends_with(b"/");
        let heading = Heading {
            sender: &job.request().message.sender,
            from_line: !is_maildir,
            return_path: true,
            original: settings.original_recipient.then_some(&recipient.original[..]),
            delivered_to: Some(&recipient.address),
        };
        let target = if is_maildir {
            Target::Maildir { path: Path(mailbox.path.clone()), hostname: settings.machine.clone() }
        } else {
            Target::Mailbox(settings.mailbox(&mailbox.path))
        };
        let heading = heading.text(Timestamp::now().seconds);
        let deposit = Deposit { target, heading };
        let carrier = self.steward.numbers(mailbox.ids.0, mailbox.ids.1).await?;
        let done = deposit::deliver(&self.steward, carrier, job, deposit.into()).await?;
        let (address, path) = (text::printable(&recipient.address), text::printable(&mailbox.path));
        Ok(Attempt { relay: &self.name, address: &address, path: &path, ids: mailbox.ids }.finding(&done))
    }

    fn deferred(&self, status: Status, reason: &str) -> Finding {
        Finding::deferred(status, reason, self.name.as_str())
    }
}
