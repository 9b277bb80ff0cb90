//! From a destination to its servers: mail exchangers and addresses.

use std::net::{IpAddr, SocketAddr};

use dns::{LookupError, LookupFault, MailExchanger, MailExchangers, Offer, RecordType, Resolver};
use dsn::Status;
use net::{Family, Protocols};

use crate::chance::Chance;
use crate::destination::Lookup;
use crate::lookups::{self, Late, Place};
use crate::rules::LookupRules;
use crate::server::{Endpoint, Server};

/// The most hosts that records of one domain name whose addresses are looked up: an answer can hold thousands.
/// told: the log.
const MOST_HOSTS: usize = 50;

/// Finds servers.
#[derive(Clone, Copy)]
pub struct Finder<'a> {
    /// Who is asked.
    pub resolver: &'a Resolver,
    /// How.
    pub rules: LookupRules,
    /// The families that count.
    pub protocols: Protocols,
    /// The port on which the servers listen, where SRV records name no other.
    pub port: u16,
    /// The answer for one address family waits for that of the other, however long that takes.
    pub is_patient: bool,
}

/// The servers of a destination, this machine included if it is one of them.
pub struct Found {
    /// As far as they are known, by preference.
    pub servers: Vec<Server>,
    /// Whose they are: the host, the domain, or the service of it (`_submission._tcp.example.com`).
    pub domain: String,
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
    /// Finds the servers of a host or domain; those of a service of it, where one is named.
    ///
    /// # Errors
    /// There are none, or there is no answer.
    pub async fn find(&self, host: &str, lookup: Lookup, service: Option<&str>) -> Result<Found, NoServer> {
        // SRV records are in DNS alone, as MX records are.
        if let Some(service) = service.filter(|_| self.rules.exchangers) {
            let name = format!("_{service}._tcp.{host}");
            match self.offers(&name).await {
                Err(none) if self.rules.srv_fallback || (self.rules.ignore_srv_error && none.temporary) => {
                    logging::info!("skipping SRV lookup for {name}: {}", none.reason);
                }
                found => return found,
            }
        }
        match lookup {
            Lookup::Literal(address) => self.literal(host, address, Place::alone(self.port)),
            Lookup::MailExchanger if self.rules.exchangers => self.exchangers(host).await,
            Lookup::MailExchanger | Lookup::Address => self.alone(host).await,
        }
    }

    fn literal(&self, host: &str, address: IpAddr, place: Place) -> Result<Found, NoServer> {
        if !self.protocols.allows(address) {
            let error = LookupError {
                name: host.to_owned(),
                record_type: RecordType::from(Family::of(address)),
                fault: LookupFault::InvalidName,
            };
            return Err(failure_of(&error));
        }
        let endpoint = Endpoint::Internet(SocketAddr::new(address, place.port));
        let server = Server { turn: place.turn, ..Server::new(host, endpoint, place.preference) };
        Ok(Found { servers: vec![server], domain: host.to_owned(), best: place.preference, late: Late::default() })
    }

    /// RFC 2782: the hosts of a service, and their ports.
    async fn offers(&self, name: &str) -> Result<Found, NoServer> {
        let answer = match self.rules.dnssec {
            true => self.resolver.dnssec().srv(name).await.map(|answer| (answer.found, answer.secure)),
            false => self.resolver.srv(name).await.map(|found| (found, false)),
        };
        let failed = |error: LookupError| NoServer { temporary: error.is_temporary(), ..failure_of(&error) };
        let (offers, secure) = answer.map_err(failed)?;
        let place = |(turn, (offer, host)): (usize, (Offer, String))| {
            // Port 0 is nobody's.
            let port = if offer.port == 0 { self.port } else { offer.port };
            let turn = u16::try_from(turn).unwrap_or(u16::MAX);
            (host, Place { preference: offer.priority, turn, port, secure: Some(secure) })
        };
        let places = Chance::new().draw(offers).into_iter().enumerate().map(place).collect();
        self.named(name, RecordType::Srv, places).await
    }

    /// RFC 5321 5.1: mail exchangers, or the domain itself when it has none.
    async fn exchangers(&self, domain: &str) -> Result<Found, NoServer> {
        let (mut exchangers, secure) = match self.mx(domain).await {
            Ok(answer) => answer,
            Err(error) => match error.fault {
                LookupFault::NotFound | LookupFault::NoData | LookupFault::Loop => return self.alone(domain).await,
                // ignore_mx_lookup_error
                _ if error.is_temporary() && self.rules.ignore_mx_error => {
                    return self.alone(domain).await;
                }
                _ => return Err(failure_of(&error)),
            },
        };
        exchangers.sort_by_key(|exchanger| exchanger.preference);
        let place = |exchanger: MailExchanger| {
            let MailExchanger { preference, host } = exchanger;
            (host, Place { preference, turn: 0, port: self.port, secure: Some(secure) })
        };
        self.named(domain, RecordType::Mx, exchangers.into_iter().map(place).collect()).await
    }

    /// The servers of the hosts that the records of a domain name, best first.
    async fn named(
        &self,
        domain: &str,
        record_type: RecordType,
        mut places: Vec<(String, Place)>,
    ) -> Result<Found, NoServer> {
        if places.len() > MOST_HOSTS {
            let count = places.len();
            logging::warning!("{domain} has {count} {record_type} hosts: the first {MOST_HOSTS} are used");
            // told: the log; mail that none of them takes stays in the queue.
            places.truncate(MOST_HOSTS);
        }
        let best = places.first().map_or(0, |(_, place)| place.preference);
        let (mut servers, mut late) = (Vec::new(), Late::default());
        let mut last = None;
        for (host, place) in places {
            match self.of_host(&host, place).await {
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
                logging::warning!("no {record_type} host for {domain} has a valid address record");
                // smtp_defer_if_no_mx_address_found
                let defer = self.rules.defer_without_address;
                let status = if defer { last.status.with_class(4) } else { last.status };
                Err(NoServer { status, temporary: false, ..last })
            }
            _ => Ok(Found { servers, domain: domain.to_owned(), best, late }),
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

    async fn alone(&self, host: &str) -> Result<Found, NoServer> {
        self.of_host(host, Place::alone(self.port)).await
    }

    /// The addresses of one host, IPv4 first.
    async fn of_host(&self, host: &str, place: Place) -> Result<Found, NoServer> {
        if let Some(address) = net::address::parse(host.as_bytes()) {
            return self.literal(host, address, place);
        }
        let found = lookups::addresses(self, host, place).await;
        match found.error {
            Some(error) if found.servers.is_empty() => {
                Err(NoServer { temporary: error.is_temporary(), ..self.failure(&error) })
            }
            _ => {
                Ok(Found { servers: found.servers, domain: host.to_owned(), best: place.preference, late: found.late })
            }
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
}

fn failure_of(error: &LookupError) -> NoServer {
    // cannot fail: the crate's codes are codes; a wrong one would only defer
    let status = error.status().parse().unwrap_or(Status::new(4, 4, 3));
    NoServer { status, reason: error.to_string(), temporary: false }
}
