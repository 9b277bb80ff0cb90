//! Which domains are this system's own, for the tables that are also asked with a bare local part.

use config::Config;

use crate::{DomainList, ParentStyle};

/// myorigin, mydestination and the addresses of this machine.
pub struct OwnDomains {
    origin: String,
    destination: DomainList,
    addresses: Vec<std::net::IpAddr>,
}

impl OwnDomains {
    /// Reads the settings.
    ///
    /// # Errors
    /// One of them makes no sense; the sentence says which.
    pub fn read(config: &Config) -> Result<Self, String> {
        let list = config.lookup("mydestination").map_err(|error| error.to_string())?.unwrap_or_default();
        let destination = DomainList::open(config, "mydestination", &list, ParentStyle::Never);
        Ok(OwnDomains {
            origin: config.get(config::param::MYORIGIN).map_err(|error| error.to_string())?,
            destination: destination.map_err(|error| error.to_string())?,
            addresses: config.addresses_of_this_system().map_err(|error| error.to_string())?,
        })
    }

    /// Whether mail for this domain is for this system. A table that cannot be read counts as no: the complete key was
    /// tried before.
    pub fn contains(&self, domain: &[u8]) -> bool {
        if domain.eq_ignore_ascii_case(self.origin.as_bytes()) {
            return true;
        }
        if domain.starts_with(b"[") {
            return net::literal::mailhost(domain).is_some_and(|address| self.addresses.contains(&address));
        }
        self.destination.matches(domain).unwrap_or(false)
    }
}
