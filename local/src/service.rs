//! The agent that serves qmgr.

use std::rc::Rc;

use config::param;
use daemon::{Client, Context, Sibling, StartError};
use delivery::steward::{Policy, StartProblem, Started, Steward, Who};
use delivery::{Job, Session};
use ipc::Pool;
use ipc::cleanup::Cleanup;
use ipc::rewrite::Rewriter;
use lookup::{Maps, OpenFlags};

use crate::SERVICE;
use crate::alias::Aliases;
use crate::biff::Biff;
use crate::expansion::Expansion;
use crate::place::Rights;
use crate::settings::Settings;
use crate::verdict;

/// The local delivery agent.
pub struct Local {
    /// What main.cf says.
    pub settings: Settings,
    /// alias_maps.
    pub aliases: Aliases,
    /// mailbox_transport_maps, mailbox_command_maps, fallback_transport_maps.
    pub maps: UserMaps,
    /// Starts the processes that have users' rights.
    pub steward: Rc<Steward>,
    /// trivial-rewrite.
    pub rewriter: Rewriter,
    /// cleanup.
    pub cleanup: Pool<Cleanup>,
    /// This service's name: addresses that resolve to it are delivered here.
    pub service_name: String,
    /// Who tells users that are logged in.
    pub biff: Biff,
    agent: Rc<delivery::Settings>,
}

/// Tables that decide per user.
pub struct UserMaps {
    /// mailbox_transport_maps.
    pub mailbox_transport: Maps,
    /// mailbox_command_maps.
    pub mailbox_command: Maps,
    /// fallback_transport_maps.
    pub fallback_transport: Maps,
}

impl daemon::Worker for Local {
    const REFUSES: bool = true;

    fn start(context: &Context) -> Result<Self, StartError> {
        let config = &context.config;
        let filter = param::LOCAL_DELIVERY_STATUS_FILTER;
        let agent = delivery::Settings::read(config)?.filtered_by(config, filter)?;
        let settings = Settings::read(config)?;
        let maps = |title: &str, list: Vec<String>| {
            Maps::open(config, title, &list.join(", "), OpenFlags::TRUSTED).map_err(StartError::from)
        };
        let limit = param::MAILBOX_SIZE_LIMIT;
        delivery::check_mailbox_limit(config, limit.name(), config.read(limit)?)?;
        let policy = Policy::of_users(config).map_err(StartError::new)?;
        Ok(Local {
            aliases: Aliases::open(config)?,
            maps: UserMaps {
                mailbox_transport: maps("mailbox_transport_maps", config.get(param::MAILBOX_TRANSPORT_MAPS)?)?,
                mailbox_command: maps("mailbox_command_maps", config.get(param::MAILBOX_COMMAND_MAPS)?)?,
                fallback_transport: maps("fallback_transport_maps", config.get(param::FALLBACK_TRANSPORT_MAPS)?)?,
            },
            rewriter: Rewriter::new(context.socket(Sibling::Rewrite)?, context.ipc_timeout()),
            cleanup: Pool::new(context.socket(Sibling::Cleanup)?, context.ipc_timeout()),
            agent: Rc::new(agent.without(config.withheld(SERVICE.name))),
            biff: Biff::start(settings.biff),
            service_name: context.service_name.clone(),
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
        let maps = &self.maps;
        let named = [&maps.mailbox_transport, &maps.mailbox_command, &maps.fallback_transport];
        self.aliases
            .changed()
            .or_else(|| self.agent.filter.changed())
            .or_else(|| named.iter().find_map(|maps| maps.changed()).map(str::to_owned))
    }
}

impl Local {
    /// A carrier that reads lists and writes files, with these rights or those of default_privs in their place.
    pub(crate) async fn files_carrier(&self, rights: &Rights) -> Result<Started, StartProblem> {
        match self.steward.files(rights.who()).await {
            Err(StartProblem::Withheld(_)) => self.steward.files(Who::Default).await,
            other => other,
        }
    }

    /// The same for a command.
    pub(crate) async fn command_carrier(&self, rights: &Rights) -> Result<Started, StartProblem> {
        match self.steward.command(rights.who()).await {
            Err(StartProblem::Withheld(_)) => self.steward.command(Who::Default).await,
            other => other,
        }
    }

    async fn deliver(&self, job: &mut Job) {
        let passed = match job.delivered_to() {
            Ok(passed) => passed,
            Err(error) => {
                job.mark_damaged(&error);
                return job.finish_rest(&verdict::deferred(3, 0, "queue file is damaged"));
            }
        };
        for index in job.open_recipients() {
            let outcome = Expansion::new(self, job, index, &passed).run().await;
            job.settle(index, outcome);
        }
    }
}
