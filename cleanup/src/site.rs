//! What all messages share: the settings, tables and services of this site.

use std::cell::RefCell;
use std::time::Duration;

use config::Config;
use daemon::{Sibling, StartError, UnixSockets};
use ipc::Pool;
use ipc::bounce::Bounce;
use ipc::rewrite::Rewriter;
use ipc::verify::Verifier;
use queue::Spares;

use crate::SERVICE;
use crate::milters::Local;
use crate::settings::Settings;
use crate::tables::Tables;
use crate::withheld::Missing;

/// Read once, and never changed but for what is remembered.
pub struct Site {
    /// main.cf.
    pub settings: Settings,
    /// Lookup tables.
    pub tables: Tables,
    /// What main.cf asks for and is not there.
    pub missing: Missing,
    /// non_smtpd_milters.
    pub milters: Local,
    /// Domains that tables are also asked about without the domain.
    pub domains: lookup::OwnDomains,
    /// trivial-rewrite.
    pub rewriter: Rewriter,
    /// bounce, for messages that are returned at once.
    pub bounce: Pool<Bounce>,
    /// trace, for aliases whose senders want to hear of success.
    pub trace: Pool<Bounce>,
    /// Is told of probes that end here.
    pub verifier: Verifier,
    /// Files of finished messages.
    pub spares: RefCell<Spares>,
}

impl Site {
    /// Reads the settings and opens the tables. `sockets`: how filters are reached, if there are any.
    pub fn new(
        config: &Config,
        timeout: Duration,
        sockets: impl FnOnce() -> Result<UnixSockets, StartError>,
    ) -> Result<Self, StartError> {
        let socket = |sibling| SERVICE.socket(sibling, config);
        Ok(Site {
            settings: Settings::read(config)?,
            tables: Tables::open(config)?,
            missing: Missing::read(config),
            milters: Local::read(config, sockets)?,
            domains: lookup::OwnDomains::read(config).map_err(StartError::new)?,
            rewriter: Rewriter::new(socket(Sibling::Rewrite)?, timeout),
            bounce: Pool::new(socket(Sibling::Bounce)?, timeout),
            trace: Pool::new(socket(Sibling::Trace)?, timeout),
            verifier: Verifier::new(socket(Sibling::Verify)?),
            spares: RefCell::default(),
        })
    }
}
