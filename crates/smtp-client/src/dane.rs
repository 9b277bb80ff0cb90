//! What DANE comes to at one server: the records that its certificate has to meet, or the level that takes their place
//! (RFC 7672 2.2, 3).
//!
//! Nothing is believed that was not validated. A look-up that fails is never taken for one that found nothing: who can
//! make it fail could else make mail go in the clear.

use std::rc::Rc;

use dns::{Association, LookupError, LookupFault, Resolver, Signed};
use tls::Wanted;
use tls::dane::{Digests, Proof, Worth};

use crate::server::Server;

/// The most TLSA records of one server: each is compared with each certificate.
/// told: the log.
const MOST_RECORDS: usize = 100;

/// What main.cf says of DANE.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Why no answer of DNS could be believed, if that is so.
    pub obstacle: Option<Obstacle>,
    /// smtp_tls_dane_insecure_mx_policy
    pub insecure_exchanger: InsecureExchanger,
    /// smtp_tls_force_insecure_host_tlsa_lookup
    pub insecure_host: bool,
    /// Whether the records that are found go to the log.
    pub shown: bool,
    /// tls_dane_digests
    pub digests: Rc<Digests>,
}

/// Settings that go ill with DANE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// smtp_dns_support_level is not dnssec, or smtp_host_lookup has no dns.
    NoDnssec,
    /// ignore_mx_lookup_error: whoever makes the look-up fail could choose the server.
    IgnoredErrors,
    /// smtp_dns_resolver_options: the name that is found is another than the one that was asked for.
    Searching,
}

/// What is asked of a server with records that is named by an MX record which nobody vouches for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InsecureExchanger {
    /// `dane`: to meet its records all the same.
    #[default]
    Dane,
    /// `encrypt`
    Encrypt,
    /// `may`
    May,
}

impl InsecureExchanger {
    /// Reads smtp_tls_dane_insecure_mx_policy.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "dane" => Self::Dane,
            "encrypt" => Self::Encrypt,
            "may" => Self::May,
            _ => return None,
        })
    }
}

/// What is asked of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Its certificate has to meet a record.
    Records(Secured),
    /// TLS, with any certificate: there are records, and none that is of use.
    Encrypt,
    /// TLS if the server can.
    May,
}

/// The records of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The name whose records they are, which the server is asked for.
    pub base: String,
    /// The records.
    pub records: Vec<Association>,
    /// Names of which the certificate has to have one where an authority vouches for it.
    pub names: Vec<String>,
    /// The MX record that names the server may be anybody's.
    pub half: bool,
}

impl Secured {
    /// What the certificate of the server has to show.
    pub fn proof(self, digests: Rc<Digests>, worth: Worth) -> Proof {
        let wanted = self.names.iter().filter_map(|name| Wanted::parse(name)).collect();
        Proof { records: self.records, digests, wanted, worth }
    }
}

/// Nothing is to be sent to this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Settings make DANE impossible, which was logged.
    Misconfigured,
    /// The reason, for the sender and for the log.
    Because(String),
}

impl Rules {
    /// What is asked of `server`, for mail to `nexthop`, as it is written, whose domain is `domain`. `only`: the level
    /// is `dane-only`, which asks for records.
    ///
    /// # Errors
    /// Nothing is to be sent to it.
    pub async fn judge(
        &self,
        resolver: &Resolver,
        (nexthop, domain): (&str, &str),
        (server, port): (&Server, u16),
        only: bool,
    ) -> Result<Ruling, Refusal> {
        if let Some(obstacle) = self.obstacle {
            logging::warning!("{}: {}", text::printable(nexthop.as_bytes()), obstacle.told(only));
            return if only { Err(Refusal::Misconfigured) } else { Ok(Ruling::May) };
        }
        let because = |reason: &str| Err(Refusal::Because(reason.to_owned()));
        let is_insecure = server.origin.exchanger == Some(false);
        if only && is_insecure {
            return because("non DNSSEC destination");
        }
        if is_insecure && self.insecure_exchanger == InsecureExchanger::May {
            return Ok(Ruling::May);
        }
        let (base, found) = match self.find(resolver, server, port).await {
            Ok(Some(found)) => found,
            Ok(None) if only => return because("no TLSA records found"),
            Ok(None) => return Ok(Ruling::May),
            Err(error) => {
                logging::warning!("DANE TLSA lookup problem: {error}");
                return because(&format!("TLSA lookup error for {}:{port}", server.name));
            }
        };
        let Signed { found: mut records, owner, .. } = found;
        if records.len() > MOST_RECORDS {
            logging::warning!("{owner} has {} TLSA records: the first {MOST_RECORDS} are used", records.len());
            // told: the log; a server that meets none of these gets no mail.
            records.truncate(MOST_RECORDS);
        }
        let (records, warnings) = tls::dane::supported(&owner, records);
        warnings.iter().for_each(|warning| logging::warning!("{warning}"));
        if records.is_empty() {
            return if only { because("TLSA records unusable") } else { Ok(Ruling::Encrypt) };
        }
        if self.shown {
            records.iter().for_each(|record| logging::info!("DNSSEC-signed TLSA record: {owner}: {record}"));
        }
        Ok(match self.insecure_exchanger {
            InsecureExchanger::Encrypt if is_insecure => Ruling::Encrypt,
            _ => {
                let names = names(&base, server, domain);
                Ruling::Records(Secured { base, records, names, half: is_insecure })
            }
        })
    }

    /// The validated records of a server, and the name that has them: that at the end of its aliases, else the one by
    /// which it is known.
    async fn find(
        &self,
        resolver: &Resolver,
        server: &Server,
        port: u16,
    ) -> Result<Option<(String, Signed<Vec<Association>>)>, LookupError> {
        let name = server.name.as_str();
        if net::address::parse(name.as_bytes()).is_some() {
            return Ok(None);
        }
        let canonical = server.origin.canonical.as_deref();
        let bases: Vec<&str> = if server.origin.address {
            canonical.into_iter().chain([name]).collect()
        } else if self.insecure_host || (canonical.is_some() && is_validated_alias(resolver, name).await?) {
            // Whatever it leads to may be anybody's, but not the records of the name itself.
            vec![name]
        } else {
            Vec::new()
        };
        for base in bases {
            match resolver.dnssec().tlsa(&format!("_{port}._tcp.{base}")).await {
                Ok(found) if found.secure => return Ok(Some((base.to_owned(), found))),
                Ok(_) => {}
                Err(error) if is_nothing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl Obstacle {
    fn told(self, only: bool) -> String {
        let level = if only { "dane-only" } else { "dane" };
        match self {
            Self::NoDnssec => format!("{level} configured with dnssec lookups disabled"),
            Self::IgnoredErrors => format!("{level} configured with MX lookup errors ignored"),
            Self::Searching => format!("dns resolver options incompatible with {level} TLS"),
        }
    }
}

async fn is_validated_alias(resolver: &Resolver, name: &str) -> Result<bool, LookupError> {
    match resolver.dnssec().alias(name).await {
        Ok(answer) => Ok(answer.secure),
        Err(error) if is_nothing(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// There is nothing, and not only nobody who says so.
fn is_nothing(error: &LookupError) -> bool {
    matches!(error.fault, LookupFault::NotFound | LookupFault::NoData | LookupFault::InvalidName)
}

/// RFC 7672 3.2.2: the base of the records, the host, and the domain if it is certain that the host is the domain's.
fn names(base: &str, server: &Server, domain: &str) -> Vec<String> {
    let of_domain = server.origin.exchanger.unwrap_or(false).then_some(domain);
    let mut names: Vec<String> = Vec::new();
    for name in [Some(base), Some(&server.name), of_domain].into_iter().flatten() {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests;
