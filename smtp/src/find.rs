//! From a destination to its servers: mail exchangers, addresses, and the test whether one of them is this machine.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use dns::{LookupError, LookupFault, MailExchanger, MailExchangers, RecordType, Resolver};
use dsn::Status;
use net::Family;

use crate::candidates::Candidates;
use crate::destination::{Destination, Lookup};
use crate::failure::Failure;
use crate::home::Home;
use crate::lookups::{self, Exchanger, Late};
use crate::server::{Endpoint, Server};
use crate::settings::Settings;

/// The most mail exchangers of one domain whose addresses are looked up: an answer can hold thousands.
/// told: the log.
const MOST_EXCHANGERS: usize = 50;

/// The servers of a destination, best first.
///
/// # Errors
/// There are none, there is no answer, or mail would come back here.
pub async fn servers(
    resolver: &Resolver,
    settings: &Rc<Settings>,
    destination: &Destination,
) -> Result<Candidates, Failure> {
    let (host, lookup, port) = match destination {
        Destination::Unix(path) => {
            let endpoint = Endpoint::Unix(path.clone());
            let server = Server::new(&settings.hostname, endpoint, 0);
            return Ok(Candidates::new(vec![server], Vec::new(), Late::default(), 0, Home::elsewhere()));
        }
        Destination::Internet { host, lookup, port } => (host.as_str(), *lookup, *port),
    };
    if settings.protocols.is_empty() {
        return Err(Failure::of_way(Status::new(4, 4, 4), "all network protocols are disabled"));
    }
    let finder = Finder { resolver, settings, port };
    let found = match lookup {
        Lookup::Literal(address) => finder.literal(host, address)?,
        Lookup::MailExchanger if settings.lookup.exchangers => finder.exchangers(host).await?,
        Lookup::MailExchanger | Lookup::Address => {
            finder.of_host(host, Exchanger::default()).await.map_err(|it| it.failure)?
        }
    };
    let home = Home::of(settings, host, port, found.best);
    let servers = without_home(&home, found.servers)?;
    let (within, beyond) = settings.order.apply(servers);
    Ok(Candidates::new(within, beyond, found.late, settings.order.limit, home))
}

struct Finder<'a> {
    resolver: &'a Resolver,
    settings: &'a Settings,
    port: u16,
}

/// The servers of a destination before the loop test.
struct Found {
    servers: Vec<Server>,
    /// The best preference, addresses or not.
    best: u16,
    /// Look-ups that have not ended.
    late: Late,
}

/// No address, and what the look-up itself said.
struct NoAddress {
    failure: Failure,
    temporary: bool,
}

impl Finder<'_> {
    fn literal(&self, host: &str, address: IpAddr) -> Result<Found, Failure> {
        if !self.settings.protocols.allows(address) {
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
    async fn exchangers(&self, domain: &str) -> Result<Found, Failure> {
        let (mut exchangers, secure) = match self.mx(domain).await {
            Ok(answer) => answer,
            Err(error) => match error.fault {
                LookupFault::NotFound | LookupFault::NoData | LookupFault::Loop => return self.implicit(domain).await,
                // ignore_mx_lookup_error
                _ if error.is_temporary() && self.settings.lookup.ignore_mx_error => {
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
                Err(failed) if failed.temporary || !last.as_ref().is_some_and(|it: &NoAddress| it.temporary) => {
                    last = Some(failed);
                }
                Err(_) => {}
            }
        }
        match last {
            Some(last) if servers.is_empty() => {
                logging::warning!("no MX host for {domain} has a valid address record");
                // smtp_defer_if_no_mx_address_found
                let defer = self.settings.lookup.defer_without_address;
                Err(if defer { last.failure.softened() } else { last.failure })
            }
            _ => Ok(Found { servers, best, late }),
        }
    }

    /// The mail exchangers, and whether they were validated.
    async fn mx(&self, domain: &str) -> Result<(MailExchangers, bool), LookupError> {
        if self.settings.lookup.dnssec {
            let answer = self.resolver.dnssec().mx(domain).await?;
            return Ok((answer.found, answer.secure));
        }
        Ok((self.resolver.mx(domain).await?, false))
    }

    async fn implicit(&self, domain: &str) -> Result<Found, Failure> {
        self.of_host(domain, Exchanger::default()).await.map_err(|it| it.failure)
    }

    /// The addresses of one host, IPv4 first.
    async fn of_host(&self, host: &str, exchanger: Exchanger) -> Result<Found, NoAddress> {
        if let Some(address) = net::address::parse(host.as_bytes()) {
            let found = self.literal(host, address);
            return found.map_err(|failure| NoAddress { failure, temporary: false });
        }
        let found = lookups::addresses(self.resolver, self.settings, host, self.port, exchanger).await;
        match found.error {
            Some(error) if found.servers.is_empty() => {
                Err(NoAddress { failure: self.failure(&error), temporary: error.is_temporary() })
            }
            _ => Ok(Found { servers: found.servers, best: exchanger.preference, late: found.late }),
        }
    }

    fn failure(&self, error: &LookupError) -> Failure {
        let rules = self.settings.lookup;
        // What is temporary in DNS is the last word, see `lookups::ask`.
        if !rules.native || (rules.dns && error.is_temporary()) {
            return failure_of(error);
        }
        let status = match error.fault {
            LookupFault::NoData => Status::new(5, 3, 0),
            _ if error.is_temporary() => Status::new(4, 4, 4),
            _ => Status::new(5, 4, 4),
        };
        Failure::of_way(status, format!("unable to look up host {}: {}", error.name, error.system_text()))
    }

    fn server(&self, name: &str, address: IpAddr, preference: u16) -> Server {
        let endpoint = Endpoint::Internet(SocketAddr::new(address, self.port));
        Server::new(name, endpoint, preference)
    }
}

fn failure_of(error: &LookupError) -> Failure {
    // cannot fail: the crate's codes are codes; a wrong one would only defer
    let status = error.status().parse().unwrap_or(Status::new(4, 4, 3));
    Failure::of_way(status, error.to_string())
}

/// The servers that are better than this machine, as far as is known.
fn without_home(home: &Home, servers: Vec<Server>) -> Result<Vec<Server>, Failure> {
    let own = servers.iter().filter(|server| home.is(server)).map(|server| server.preference).min();
    let Some(own) = own else { return Ok(servers) };
    let better: Vec<_> = servers.into_iter().filter(|server| server.preference < own).collect();
    if better.is_empty() { Err(home.failure(own)) } else { Ok(better) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Protocol;
    use crate::tests::fixture;

    fn found(list: &[(u16, &str)]) -> Vec<Server> {
        let server = |(preference, address): &(u16, &str)| {
            Server::new("m.test", Endpoint::Internet(format!("{address}:25").parse().unwrap()), *preference)
        };
        list.iter().map(server).collect()
    }

    fn kept(list: &[(u16, &str)], best: u16) -> Result<usize, String> {
        let home = Home::of(&fixture::shared(), "d.test", 25, best);
        without_home(&home, found(list)).map(|it| it.len()).map_err(|it| it.reason)
    }

    #[test]
    fn only_better_servers_than_this_one_are_kept() {
        let list = [(10, "192.0.2.1"), (20, "127.0.0.1"), (20, "192.0.2.2"), (30, "192.0.2.3")];
        assert_eq!(kept(&list, 10), Ok(1));
        assert_eq!(kept(&list[..1], 10), Ok(1));
    }

    #[test]
    fn the_best_server_being_this_one_is_a_loop_and_a_missing_better_one_is_not() {
        assert_eq!(kept(&[(10, "127.0.0.1")], 10), Err("mail for d.test loops back to myself".to_owned()));
        let missing = "unable to find primary relay for d.test".to_owned();
        assert_eq!(kept(&[(20, "[::1]")], 10), Err(missing));
    }

    #[tokio::test]
    async fn a_literal_of_a_disabled_family_is_an_invalid_name() {
        let mut settings = fixture::settings();
        settings.protocols = net::Protocols::V4;
        let resolver = Resolver::with_servers(vec!["127.0.0.1:9".parse().unwrap()], settings.protocols);
        let destination = Destination::parse("[2001:db8:1::11]", Protocol::Smtp, &settings.services).unwrap();
        let failure = servers(&resolver, &Rc::new(settings), &destination).await.err().unwrap();
        assert_eq!(failure.reason, "Name service error for 2001:db8:1::11: invalid host or domain name");
        assert_eq!(failure.status, Status::new(5, 4, 4));
        let mut settings = fixture::settings();
        settings.protocols = net::Protocols::NONE;
        let failure = servers(&resolver, &Rc::new(settings), &destination).await.err().unwrap();
        assert_eq!(failure.reason, "all network protocols are disabled");
    }
}
