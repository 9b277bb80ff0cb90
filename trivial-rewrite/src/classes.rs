//! Address classes: which domains are ours, and in which way.

use std::net::IpAddr;

use config::{Config, param};
use daemon::StartError;
use ipc::rewrite::Class;
use lookup::{DomainList, ParentStyle, TableError};

/// The domain lists of main.cf.
pub(crate) struct Classes {
    destination: DomainList,
    virtual_alias: DomainList,
    virtual_mailbox: DomainList,
    relay: DomainList,
    addresses: Vec<IpAddr>,
    /// Domains that stand in two lists are told of.
    warns: bool,
}

impl Classes {
    /// Reads the settings.
    pub(crate) fn read(config: &Config) -> Result<Self, StartError> {
        let list = |name: &str, parents: ParentStyle| -> Result<DomainList, StartError> {
            let value = config.lookup(name)?.unwrap_or_default();
            DomainList::open(config, name, &value, parents).map_err(|error| StartError::new(error.to_string()))
        };
        let text = |error: config::ConfigError| StartError::new(error.to_string());
        Ok(Self {
            destination: list("mydestination", ParentStyle::Never)?,
            virtual_alias: list("virtual_alias_domains", ParentStyle::Never)?,
            virtual_mailbox: list("virtual_mailbox_domains", ParentStyle::Never)?,
            relay: list("relay_domains", ParentStyle::in_config(config, "relay_domains"))?,
            addresses: config.addresses_of_this_system().map_err(text)?,
            warns: config.get(param::HELPFUL_WARNINGS)?, // helpful_warnings
        })
    }

    /// Whether mail for the domain, or for the address literal, is delivered on this system.
    pub(crate) fn is_local(&self, domain: &[u8]) -> Result<bool, TableError> {
        if self.destination.matches(domain)? {
            return Ok(true);
        }
        // inet_interfaces, proxy_interfaces
        Ok(net::literal::mailhost(domain).is_some_and(|address| self.addresses.contains(&address)))
    }

    /// The class of a domain that is not local.
    pub(crate) fn of_remote(&self, domain: &[u8]) -> Result<Class, TableError> {
        if self.virtual_alias.matches(domain)? {
            self.warn_if_in_both(&self.virtual_alias, &self.virtual_mailbox, domain);
            self.warn_if_in_both(&self.virtual_alias, &self.relay, domain);
            return Ok(Class::VirtualAlias);
        }
        if self.virtual_mailbox.matches(domain)? {
            self.warn_if_in_both(&self.virtual_mailbox, &self.relay, domain);
            return Ok(Class::VirtualMailbox);
        }
        Ok(if self.relay.matches(domain)? { Class::Relay } else { Class::Default })
    }

    /// A local domain that is also listed as virtual never reaches its virtual users.
    pub(crate) fn warn_if_virtual_too(&self, domain: &[u8]) {
        self.warn_if_in_both(&self.destination, &self.virtual_alias, domain);
        self.warn_if_in_both(&self.destination, &self.virtual_mailbox, domain);
    }

    pub(crate) fn changed(&self) -> Option<String> {
        let lists = [&self.destination, &self.virtual_alias, &self.virtual_mailbox, &self.relay];
        lists.into_iter().find_map(DomainList::changed)
    }

    fn warn_if_in_both(&self, first: &DomainList, second: &DomainList, domain: &[u8]) {
        if self.warns && second.matches(domain).unwrap_or(false) {
            let domain = text::printable(domain);
            logging::warning!("do not list domain {domain} in BOTH {} and {}", first.title(), second.title());
        }
    }
}
