//! fast_flush_domains: the flush service hears which messages wait for which domain.

use std::collections::BTreeSet;

use config::Config;
use daemon::StartError;
use ipc::bounce::Record;
use ipc::flush::{Flush, Request, Status};
use lookup::{DomainList, ParentStyle};
use queue::QueueId;

/// Domains for which lists are kept, and who keeps them.
pub struct Waiting {
    domains: DomainList,
    flush: Flush,
}

impl Waiting {
    /// Reads the domains. `flush`: how the service is reached.
    ///
    /// # Errors
    /// The list makes no sense.
    pub fn read(config: &Config, flush: Flush) -> Result<Self, StartError> {
        let title = "fast_flush_domains";
        let value = config.lookup(title)?.unwrap_or_default();
        let domains = DomainList::open(config, title, &value, ParentStyle::in_config(config, title))?;
        Ok(Self { domains, flush })
    }

    /// A table that has changed on disk.
    pub fn changed_table(&self) -> Option<String> {
        self.domains.changed()
    }

    /// A message waits for these recipients. A domain whose list cannot be written has its mail at its time: that is
    /// in the log, and nothing else comes of it.
    pub async fn note(&self, queue_id: &QueueId, records: &[Record]) {
        if self.domains.is_empty() {
            return;
        }
        let domain_of = |record: &Record| {
            let address = &record.recipient.address;
            let at = address.iter().rposition(|byte| *byte == b'@')?;
            Some(address.get(at + 1..)?.to_ascii_lowercase())
        };
        let domains: BTreeSet<Vec<u8>> = records.iter().filter_map(domain_of).collect();
        for site in domains {
            // A list that cannot be asked is logged by itself.
            if !self.domains.matches(&site).unwrap_or(false) {
                continue;
            }
            let request = Request::Add { site, queue_id: queue_id.as_str().into() };
            let why = match self.flush.ask(&request).await {
                Ok(Status::Done | Status::Denied | Status::Bad) => continue,
                Ok(Status::Failed) => "the list is not written".to_owned(),
                Err(error) => text::system_error(&error),
            };
            logging::repeated!("fast flush service: {}", &why);
            return;
        }
    }
}
