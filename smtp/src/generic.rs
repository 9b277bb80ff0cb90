//! smtp_generic_maps: addresses of this site, which mean nothing elsewhere, are replaced on their way out.
//!
//! Each address is looked up once, in the envelope as in the header of the message; what is attached stays as it is.
//! Mail must not leave with the addresses that were to be hidden: while the table has no answer, it waits.

use address::Delimiters;
use config::param::twin;
use config::{Reader, param};
use daemon::{Context, Sibling, StartError};
use ipc::rewrite::{self, Rewriter};
use lookup::search::address_keys;
use lookup::{Maps, OwnDomains};
use message::addresses::Addresses;
use message::header::{Field, Role};
use message::refold::refold;

use crate::configure;

/// The tables, and what they are asked with.
pub struct Generic {
    maps: Maps,
    domains: OwnDomains,
    delimiters: Delimiters,
    /// propagate_unmatched_extensions has `generic`.
    propagate: bool,
    rewriter: Rewriter,
}

/// There is no answer: the agent cannot go on.
#[derive(Debug)]
pub struct NoAnswer(pub String);

impl Generic {
    /// Reads the settings; `None` where there is no table.
    ///
    /// # Errors
    /// One of them makes no sense.
    pub fn read(from: &Reader<'_>, context: &Context) -> Result<Option<Self>, StartError> {
        let maps = configure::maps(from, twin::GENERIC_MAPS)?;
        if maps.is_empty() {
            return Ok(None);
        }
        let classes: Vec<String> = from.get(param::PROPAGATE_UNMATCHED_EXTENSIONS)?;
        Ok(Some(Generic {
            maps,
            domains: OwnDomains::read(from.config).map_err(StartError::new)?,
            delimiters: from.config.delimiters()?,
            propagate: classes.iter().any(|class| class.eq_ignore_ascii_case("generic")),
            rewriter: Rewriter::new(context.socket(Sibling::Rewrite)?, context.ipc_timeout()),
        }))
    }

    /// A table that has changed on disk.
    pub fn changed(&self) -> Option<&str> {
        self.maps.changed()
    }

    /// What stands for an address (internal form both ways).
    ///
    /// # Errors
    /// The table has no answer.
    pub async fn address(&self, address: &[u8]) -> Result<Vec<u8>, NoAnswer> {
        if address.is_empty() {
            return Ok(Vec::new());
        }
        let keys = address_keys(address, &self.delimiters, |domain| self.domains.contains(domain));
        let found = self.maps.search(&keys).map_err(|_| self.problem(address))?;
        let Some(found) = found else { return Ok(address.to_vec()) };
        let mut values = found.addresses(address, self.propagate).into_iter();
        let (title, shown) = (self.maps.title(), text::printable(address));
        let Some(first) = values.next() else {
            let value = text::printable(&found.value);
            logging::warning!("{title} lookup of {shown} returns non-address result \"{value}\"");
            return Err(self.problem(address));
        };
        if values.next().is_some() {
            logging::warning!("multi-valued {title} result for {shown}");
        }
        self.complete(first).await
    }

    /// A field of the message's header; `None` where it stays as it is written.
    ///
    /// # Errors
    /// The table has no answer for one of its addresses.
    pub async fn field(&self, text: &[u8]) -> Result<Option<Vec<u8>>, NoAnswer> {
        let Some(field) = Field::parse(text) else { return Ok(None) };
        if matches!(field.kind().role(), Role::Text | Role::Mime) {
            return Ok(None);
        }
        let addresses = Addresses::of(field.value);
        let internal = addresses.internal();
        let mut new = Vec::with_capacity(internal.len());
        for address in &internal {
            new.push(self.address(address).await?);
        }
        Ok((new != internal).then(|| refold(field.name, &addresses.replaced(&new))))
    }

    /// A value of the table with the domain that it lacks.
    async fn complete(&self, address: Vec<u8>) -> Result<Vec<u8>, NoAnswer> {
        if address.is_empty() || address::is_standard(&address) {
            return Ok(address);
        }
        let answer = self.rewriter.rewrite(rewrite::Context::Local, &address).await;
        answer.map_err(|error| NoAnswer(format!("problem talking to service rewrite: {error}")))
    }

    fn problem(&self, address: &[u8]) -> NoAnswer {
        NoAnswer(format!("{} map lookup problem for {}", self.maps.title(), text::printable(address)))
    }
}
