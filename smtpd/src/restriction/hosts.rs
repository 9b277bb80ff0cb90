//! check_*_a_access, check_*_mx_access, check_*_ns_access: a table decides about the hosts behind a name.
//!
//! Whoever owns a name decides which hosts are behind it: a table may turn mail down or pass, never accept it.

use std::net::IpAddr;

use dns::{LookupError, LookupFault};
use dsn::Status;
use lookup::search;
use smtp_server::{NameStatus, Rejection};

use crate::look_ups::LookUps;
use crate::restriction::access::Found;
use crate::restriction::{AccessTable, Class, Evaluation, Subject, Verdict};

/// Which hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// The one with this name, by its addresses alone.
    Itself,
    /// The mail exchangers of the domain, or what takes their place.
    MailExchangers,
    /// The name servers of the zone that the name is in.
    NameServers,
}

/// Hosts of one name that are looked at. told: the client, who may try again, and the log: who owns the name must not
/// hide a host behind many others.
const MAX_HOSTS: usize = 100;
/// Addresses of one host that are looked at. told: as above.
const MAX_ADDRESSES: usize = 100;

/// Why it is not known what a table says about hosts.
enum Unknown {
    Table,
    TooMany,
}

impl From<lookup::TableError> for Unknown {
    fn from(_: lookup::TableError) -> Unknown {
        Unknown::Table
    }
}

impl Hosts {
    /// The subject and the hosts of a `check_*_{a,mx,ns}_access` restriction.
    pub fn of_restriction(name: &str) -> Option<(Subject, Hosts)> {
        let kinds =
            [("_a_access", Hosts::Itself), ("_mx_access", Hosts::MailExchangers), ("_ns_access", Hosts::NameServers)];
        let (base, hosts) = kinds.into_iter().find_map(|(suffix, hosts)| Some((name.strip_suffix(suffix)?, hosts)))?;
        let subject = Subject::of_restriction(&format!("{base}_access")).filter(|subject| *subject != Subject::Etrn)?;
        Some((subject, hosts))
    }

    /// The name of the restriction.
    fn restriction(self, subject: Subject) -> String {
        let subject = match subject {
            Subject::Client => "client",
            Subject::ReverseClient => "reverse_client_hostname",
            Subject::Helo => "helo",
            Subject::Sender => "sender",
            Subject::Recipient => "recipient",
            // There is no such restriction.
            Subject::Etrn => "etrn",
        };
        let kind = match self {
            Hosts::Itself => "a",
            Hosts::MailExchangers => "mx",
            Hosts::NameServers => "ns",
        };
        format!("check_{subject}_{kind}_access")
    }
}

impl<L: LookUps> Evaluation<'_, L> {
    /// Looks the hosts behind the subject up and does what the table says of the first one that it has.
    pub(super) async fn host_access(
        &mut self,
        subject: Subject,
        hosts: Hosts,
        table: &AccessTable,
        depth: usize,
    ) -> Verdict {
        let class = subject.class();
        if self.name(class).is_none() {
            return Verdict::Dunno;
        }
        let Some(name) = self.host_name(subject) else { return Verdict::Dunno };
        let found = match (name.starts_with('['), hosts) {
            // A literal has an address, and is in no zone.
            (true, Hosts::NameServers) => return Verdict::Dunno,
            (true, _) => match net::literal::mailhost(name.as_bytes()) {
                Some(address) => self.address_in(table, address).map_err(Unknown::from),
                None => return Verdict::Dunno,
            },
            (false, _) => match self.servers(hosts, &name, self.shown_subject(subject)).await {
                Some(servers) => self.hosts_in(hosts, class, &servers, table).await,
                None => return Verdict::Dunno,
            },
        };
        match found {
            Ok(Some(Found { subject: key, value })) => {
                match self.action(class, table, &key, &value, depth).await {
                    // DISCARD lets nobody in.
                    Verdict::Permit if !self.effects.discard => {
                        self.refuse_permission(subject, &hosts.restriction(subject))
                    }
                    verdict => verdict,
                }
            }
            Ok(None) => Verdict::Dunno,
            Err(Unknown::Table) => {
                let text = self.text(class, "Server configuration error");
                self.reject(Rejection::new(451, Status::new(4, 3, 5), text))
            }
            Err(Unknown::TooMany) => {
                let text = self.text(class, "Too many hosts behind this name");
                self.reject(Rejection::new(450, Status::new(4, 4, 4), text))
            }
        }
    }

    /// A "yes" of a restriction whose subject strangers choose.
    pub(super) fn refuse_permission(&mut self, subject: Subject, restriction: &str) -> Verdict {
        let shown = self.shown_subject(subject);
        logging::warning!("restriction {restriction} returns OK for {shown}");
        logging::warning!("this is not allowed for security reasons");
        logging::warning!("use DUNNO instead of OK if you want to make an exception");
        self.server_error(Rejection::server_configuration())
    }

    /// The name whose hosts count; `None` when there is none.
    fn host_name(&self, subject: Subject) -> Option<String> {
        let peer = self.facts.peer;
        let of_address = |address: Option<&[u8]>| {
            let address = address.filter(|address| !address.is_empty())?;
            let (local, domain) = address::split(address);
            Some(String::from_utf8_lossy(domain.unwrap_or(local)).into_owned())
        };
        match subject {
            Subject::Client => (peer.name_status == NameStatus::Known).then(|| peer.name.clone()),
            Subject::ReverseClient => (peer.reverse_status == NameStatus::Known).then(|| peer.reverse_name.clone()),
            Subject::Helo => self.facts.helo.map(str::to_owned),
            Subject::Sender => of_address(self.facts.sender),
            Subject::Recipient => of_address(self.facts.recipient),
            Subject::Etrn => None,
        }
    }

    /// The subject as warnings name it.
    fn shown_subject(&self, subject: Subject) -> String {
        let peer = self.facts.peer;
        let bytes = match subject {
            Subject::Client => peer.name.as_bytes(),
            Subject::ReverseClient => peer.reverse_name.as_bytes(),
            Subject::Helo => self.facts.helo.unwrap_or_default().as_bytes(),
            Subject::Sender => self.facts.sender.unwrap_or_default(),
            Subject::Recipient => self.facts.recipient.unwrap_or_default(),
            Subject::Etrn => self.facts.etrn_domain.unwrap_or_default(),
        };
        text::printable(bytes)
    }

    /// The names of the hosts; `None` when they cannot be found, which is logged.
    async fn servers(&self, hosts: Hosts, name: &str, shown: String) -> Option<Vec<String>> {
        let look_ups = self.look_ups;
        match hosts {
            Hosts::Itself => Some(vec![name.to_owned()]),
            Hosts::MailExchangers => match look_ups.mail_exchangers(name).await {
                Ok(mut found) => {
                    found.sort_by_key(|exchanger| exchanger.preference);
                    Some(found.into_iter().map(|exchanger| exchanger.host).collect())
                }
                Err(error) if error.fault == LookupFault::NullMx => None,
                // RFC 5321 5.1: without an MX the name itself is the exchanger.
                Err(error) if is_absent(&error) => Some(vec![name.to_owned()]),
                Err(error) => {
                    logging::warning!("Unable to look up MX host for {}: {}", printable(name), reason(&error));
                    None
                }
            },
            Hosts::NameServers => {
                let mut zone = name;
                loop {
                    match (look_ups.name_servers(zone).await, zone.split_once('.')) {
                        (Ok(found), _) => return Some(found),
                        (Err(error), Some((_, parent))) if is_absent(&error) && !parent.is_empty() => zone = parent,
                        (Err(error), _) => {
                            let whose = if is_absent(&error) { shown } else { printable(zone) };
                            logging::warning!("Unable to look up NS host for {whose}: {}", reason(&error));
                            return None;
                        }
                    }
                }
            }
        }
    }

    /// What the table has about one of the hosts: by name, by a parent of the name, by an address.
    async fn hosts_in(
        &self,
        hosts: Hosts,
        class: Class,
        servers: &[String],
        table: &AccessTable,
    ) -> Result<Option<Found>, Unknown> {
        let parents = self.rules.tables.access.parents;
        if servers.len() > MAX_HOSTS {
            return Err(Unknown::TooMany);
        }
        for host in servers {
            if hosts != Hosts::Itself
                && let Some(found) = table.maps.search(&search::host_keys(host.as_bytes(), parents))?
            {
                return Ok(Some(Found { subject: host.as_bytes().to_vec(), value: found.value }));
            }
            let addresses = self.addresses(hosts, class, host).await;
            if addresses.len() > MAX_ADDRESSES {
                return Err(Unknown::TooMany);
            }
            for address in addresses {
                if let Some(found) = self.address_in(table, address)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    fn address_in(&self, table: &AccessTable, address: IpAddr) -> Result<Option<Found>, lookup::TableError> {
        let shown = net::Shown(address).to_string();
        let found = table.maps.search(&search::network_keys(shown.as_bytes()))?;
        Ok(found.map(|found| Found { subject: shown.into_bytes(), value: found.value }))
    }

    /// The addresses of a host in all families that mail uses.
    async fn addresses(&self, hosts: Hosts, class: Class, host: &str) -> Vec<IpAddr> {
        let word = match hosts {
            Hosts::Itself => None,
            Hosts::MailExchangers => Some("MX"),
            Hosts::NameServers => Some("NS"),
        };
        self.look_ups.hosts(host).await.unwrap_or_else(|error| {
            if let Some(word) = word {
                let shown = text::printable(self.name(class).unwrap_or_default());
                let reason = error.system_text();
                logging::warning!("Unable to look up {word} host {} for {class} {shown}: {reason}", printable(host));
            }
            Vec::new()
        })
    }
}

/// The name, or what was asked of it, is not there. A name that nothing can have is not there either.
fn is_absent(error: &LookupError) -> bool {
    use LookupFault::{InvalidName, Loop, NoData, NotFound};
    matches!(error.fault, NotFound | NoData | InvalidName | Loop)
}

fn reason(error: &LookupError) -> &'static str {
    match error.fault {
        LookupFault::InvalidName => LookupFault::NotFound.reason(),
        LookupFault::Filtered => "DNS reply filter policy",
        fault => fault.reason(),
    }
}

fn printable(name: &str) -> String {
    text::printable(name.as_bytes())
}
