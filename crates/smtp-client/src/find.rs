//! From a destination to its servers: mail exchangers and addresses.

use std::net::{IpAddr, SocketAddr};

use dns::{LookupError, LookupFault, MailExchanger, MailExchangers, RecordType, Resolver};
use dsn::Status;
use net::{Family, Protocols};

use crate::destination::Lookup;
use crate::lookups::{self, Exchanger, Late};
use crate::rules::LookupRules;
use crate::server::{Endpoint, Server};

/// The most mail exchangers of one domain whose addresses are looked up: an answer can hold thousands.
/// told: the log.
const MOST_EXCHANGERS: usize = 50;

/// Finds servers.
#[derive(Clone, Copy)]
pub struct Finder<'a> {
    /// Who is asked.
    pub resolver: &'a Resolver,
    /// How.
    pub rules: LookupRules,
    /// The families that count.
    pub protocols: Protocols,
    /// The port on which the servers listen.
    pub port: u16,
    /// The answer for one address family waits for that of the other, however long that takes.
    pub is_patient: bool,
}

/// The servers of a destination, this machine included if it is one of them.
pub struct Found {
    /// As far as they are known, by preference.
    pub servers: Vec<Server>,
    /// The best preference, addresses or not.
    pub best: u16,
    /// Look-ups that have not ended.
    pub late: Late,
}

/// There is no server, or it is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoServer {
    /// What it means for mail.
    pub status: Status,
    /// The text.
    pub reason: String,
    /// The look-up itself may have another result later.
    temporary: bool,
}

impl Finder<'_> {
    /// Finds the servers of a host or domain.
    ///
    /// # Errors
    /// There are none, or there is no answer.
    pub async fn find(&self, host: &str, lookup: Lookup) -> Result<Found, NoServer> {
        match lookup {
            Lookup::Literal(address) => self.literal(host, address),
            Lookup::MailExchanger if self.rules.exchangers => self.exchangers(host).await,
            Lookup::MailExchanger | Lookup::Address => self.of_host(host, Exchanger::default()).await,
        }
    }

    fn literal(&self, host: &str, address: IpAddr) -> Result<Found, NoServer> {
        if !self.protocols.allows(address) {
            let error = LookupError {
                name: host.to_owned(),
                record_type: RecordType::from(Family::of(address)),
                fault: LookupFault::InvalidName,
            };
            return Err(failure_of(&error));
        }
        Ok(Found { servers: vec![self.server(host, address, 0)], best: 0, late: Late::default() })
    }

    /// RFC 5321 5.1: mail exchangers, or the domain itself when it has none.
    async fn exchangers(&self, domain: &str) -> Result<Found, NoServer> {
        let (mut exchangers, secure) = match self.mx(domain).await {
            Ok(answer) => answer,
            Err(error) => match error.fault {
                LookupFault::NotFound | LookupFault::NoData | LookupFault::Loop => return self.implicit(domain).await,
                // ignore_mx_lookup_error
                _ if error.is_temporary() && self.rules.ignore_mx_error => {
                    return self.implicit(domain).await;
                }
                _ => return Err(failure_of(&error)),
            },
        };
        exchangers.sort_by_key(|exchanger| exchanger.preference);
        if exchangers.len() > MOST_EXCHANGERS {
            logging::warning!("{domain} has {} MX hosts: the first {MOST_EXCHANGERS} are used", exchangers.len());
            // told: the log; mail that none of them takes stays in the queue.
            exchangers.truncate(MOST_EXCHANGERS);
        }
        let best = exchangers.first().map_or(0, |exchanger| exchanger.preference);
        let (mut servers, mut late) = (Vec::new(), Late::default());
        let mut last = None;
        for MailExchanger { preference, host } in exchangers {
            match self.of_host(&host, Exchanger { preference, secure: Some(secure) }).await {
                Ok(found) => {
                    servers.extend(found.servers);
                    late.extend(found.late);
                }
                // A temporary failure is remembered: more may be known later.
                Err(failed) if failed.temporary || !last.as_ref().is_some_and(|it: &NoServer| it.temporary) => {
                    last = Some(failed);
                }
                Err(_) => {}
            }
        }
        match last {
            Some(last) if servers.is_empty() => {
                logging::warning!("no MX host for {domain} has a valid address record");
                // smtp_defer_if_no_mx_address_found
                let defer = self.rules.defer_without_address;
                let status = if defer { last.status.with_class(4) } else { last.status };
                Err(NoServer { status, ..last })
            }
            _ => Ok(Found { servers, best, late }),
        }
    }

    /// The mail exchangers, and whether they were validated.
    async fn mx(&self, domain: &str) -> Result<(MailExchangers, bool), LookupError> {
        if self.rules.dnssec {
            let answer = self.resolver.dnssec().mx(domain).await?;
            return Ok((answer.found, answer.secure));
        }
        Ok((self.resolver.mx(domain).await?, false))
    }

    async fn implicit(&self, domain: &str) -> Result<Found, NoServer> {
        self.of_host(domain, Exchanger::default()).await
    }

    /// The addresses of one host, IPv4 first.
    async fn of_host(&self, host: &str, exchanger: Exchanger) -> Result<Found, NoServer> {
        if let Some(address) = net::address::parse(host.as_bytes()) {
            return self.literal(host, address);
        }
        let found = lookups::addresses(self, host, exchanger).await;
        match found.error {
            Some(error) if found.servers.is_empty() => {
                Err(NoServer { temporary: error.is_temporary(), ..self.failure(&error) })
            }
            _ => Ok(Found { servers: found.servers, best: exchanger.preference, late: found.late }),
        }
    }

    fn failure(&self, error: &LookupError) -> NoServer {
        let rules = self.rules;
        // What is temporary in DNS is the last word, see `lookups::ask`.
        if !rules.native || (rules.dns && error.is_temporary()) {
            return failure_of(error);
        }
        let status = match error.fault {
            LookupFault::NoData => Status::new(5, 3, 0),
            _ if error.is_temporary() => Status::new(4, 4, 4),
            _ => Status::new(5, 4, 4),
        };
        let reason = format!("unable to look up host {}: {}", error.name, error.system_text());
        NoServer { status, reason, temporary: false }
    }

    fn server(&self, name: &str, address: IpAddr, preference: u16) -> Server {
        let endpoint = Endpoint::Internet(SocketAddr::new(address, self.port));
        Server::new(name, endpoint, preference)
    }
}

fn failure_of(error: &LookupError) -> NoServer {
    // cannot fail: the crate's codes are codes; a wrong one would only defer
    let status = error.status().parse().unwrap_or(Status::new(4, 4, 3));
    NoServer { status, reason: error.to_string(), temporary: false }
}
