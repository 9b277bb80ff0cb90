//! The addresses of one host: both families are asked at once, and the slower answer is not waited for.
//!
//! When one family has an answer with addresses, the other has 50 milliseconds left (RFC 8305 section 3). Then the
//! look-up goes on beside the delivery, and what it brings joins the other servers.

use std::future::{Future, pending, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use dns::{LookupError, Resolver, Signed};
use net::Family;

use crate::find::Finder;
use crate::rules::LookupRules;
use crate::server::{Endpoint, Origin, Server};

/// RFC 8305 section 3, "Resolution Delay".
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

type Answer = Result<Signed<Vec<IpAddr>>, LookupError>;

/// What a host has, IPv4 first, and what is not known yet.
pub struct Addresses {
    /// The servers.
    pub servers: Vec<Server>,
    /// The error that counts when there is none.
    pub error: Option<LookupError>,
    /// A look-up that has not ended.
    pub late: Late,
}

/// Look-ups that have not ended; dropped, they end.
#[derive(Default)]
pub struct Late {
    lookups: Vec<Lookup>,
}

/// What is known of the servers of a host before it is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// See [`Server::preference`].
    pub preference: u16,
    /// See [`Server::turn`].
    pub turn: u16,
    /// The port.
    pub port: u16,
    /// See [`Origin::exchanger`].
    pub secure: Option<bool>,
}

impl Place {
    /// Of a host that no record names.
    pub fn alone(port: u16) -> Self {
        Self { preference: 0, turn: 0, port, secure: None }
    }
}

struct Lookup {
    family: Family,
    host: String,
    /// The name that an alias leads to is the server's.
    canonical: bool,
    place: Place,
    answer: Pin<Box<dyn Future<Output = Answer>>>,
}

impl Late {
    /// None is on its way.
    pub fn is_empty(&self) -> bool {
        self.lookups.is_empty()
    }

    /// Whether one may bring a server of this preference or a better one, in a family of which `is_wanted` says yes.
    pub fn may_bring(&self, preference: u16, is_wanted: impl Fn(Family) -> bool) -> bool {
        self.lookups.iter().any(|lookup| lookup.place.preference <= preference && is_wanted(lookup.family))
    }

    /// Adds those of another host.
    pub fn extend(&mut self, other: Late) {
        self.lookups.extend(other.lookups);
    }

    /// Waits for one of them, and gives the servers that it brings; for ever when there is none.
    pub async fn next(&mut self) -> Vec<Server> {
        if self.lookups.is_empty() {
            return pending().await;
        }
        let (lookup, answer) = self.first().await;
        answer.map_or_else(|_| Vec::new(), |answer| lookup.servers(answer))
    }

    /// The one that ends first; it leaves the list.
    async fn first(&mut self) -> (Lookup, Answer) {
        poll_fn(|context| {
            for at in 0..self.lookups.len() {
                if let Poll::Ready(answer) = self.lookups[at].answer.as_mut().poll(context) {
                    return Poll::Ready((self.lookups.remove(at), answer));
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Lookup {
    fn servers(&self, answer: Signed<Vec<IpAddr>>) -> Vec<Server> {
        let is_alias = !answer.owner.eq_ignore_ascii_case(&self.host);
        let name = if self.canonical && is_alias { &answer.owner } else { &self.host }.clone();
        let origin = Origin {
            exchanger: self.place.secure,
            address: answer.secure,
            canonical: is_alias.then_some(answer.owner),
        };
        let server = |address| Server {
            name: name.clone(),
            endpoint: Endpoint::Internet(SocketAddr::new(address, self.place.port)),
            preference: self.place.preference,
            turn: self.place.turn,
            origin: origin.clone(),
        };
        answer.found.into_iter().map(server).collect()
    }
}

/// Looks a host up.
pub async fn addresses(finder: &Finder<'_>, host: &str, place: Place) -> Addresses {
    let Finder { resolver, rules, protocols, is_patient, .. } = *finder;
    let lookup = |family| Lookup {
        family,
        host: host.to_owned(),
        canonical: rules.canonical,
        place,
        answer: Box::pin(ask(resolver.clone(), rules, host.to_owned(), family)),
    };
    // A is asked for before AAAA, and with single-request of resolv.conf is answered before.
    let mut waiting: Vec<_> = protocols.families().map(lookup).collect();
    // told: nobody; the others follow, one by one.
    let together = if resolver.conf().single_request { waiting.len().min(1) } else { waiting.len() };
    let mut late = Late { lookups: waiting.drain(..together).collect() };
    let mut found = Vec::new();
    let mut errors = Vec::new();
    while !late.is_empty() {
        let is_enough = !is_patient && !found.is_empty();
        let (lookup, answer) = tokio::select! {
            biased;
            ended = late.first() => ended,
            () = tokio::time::sleep(RESOLUTION_DELAY), if is_enough => break,
        };
        match answer {
            Ok(addresses) => found.push((lookup.family, lookup.servers(addresses))),
            Err(error) => errors.push((lookup.family, error)),
        }
        if late.is_empty() {
            late.lookups.extend(waiting.pop());
        }
    }
    found.sort_by_key(|(family, _)| *family == Family::V6);
    errors.sort_by_key(|(family, _)| *family == Family::V6);
    let mut error: Option<LookupError> = None;
    for (_, failed) in errors {
        // A temporary failure counts most, then the last.
        if failed.is_temporary() || !error.as_ref().is_some_and(LookupError::is_temporary) {
            error = Some(failed);
        }
    }
    Addresses { servers: found.into_iter().flat_map(|(_, servers)| servers).collect(), error, late }
}

/// smtp_host_lookup: DNS, the system's way, or that when DNS does not know the host.
async fn ask(resolver: Resolver, rules: LookupRules, host: String, family: Family) -> Answer {
    let unsigned = |found| Signed { found, owner: host.clone(), secure: false };
    if rules.dns {
        let answer = match rules.dnssec {
            true => resolver.dnssec().addresses(&host, family).await,
            false if rules.canonical => resolver.owned_addresses(&host, family).await,
            false => resolver.addresses(&host, family).await.map(unsigned),
        };
        // A name server that fails may know the host: another answer in its place would be a guess.
        let is_final = answer.as_ref().is_ok_and(|answer| !answer.found.is_empty())
            || answer.as_ref().is_err_and(LookupError::is_temporary);
        if is_final || !rules.native {
            return answer;
        }
    }
    resolver.native_addresses(&host, family).await.map(unsigned)
}
