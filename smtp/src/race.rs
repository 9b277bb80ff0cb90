//! Two address families, one of them perhaps broken on the way: the connection that is made first is used.
//!
//! The second attempt begins only when the first has taken a quarter of a second, goes to a server of the same
//! preference and the other family, and never replaces the order of servers: an attempt that only was slow stays
//! untried. What was learned is remembered for a while, so that it costs one message and not each of them (RFC 8305).

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use net::Family;

use crate::connect::connect;
use crate::failure::Failure;
use crate::server::Server;
use crate::settings::Settings;
use crate::stream::Stream;

/// RFC 8305 section 5, "Connection Attempt Delay".
const HEAD_START: Duration = Duration::from_millis(250);
/// How long a family that lost is tried last.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Destinations that are remembered.
const MOST_REMEMBERED: usize = 1000;

/// How a race ended.
#[derive(Default)]
pub struct Race {
    /// The connection, and whose it is.
    pub winner: Option<(Stream, Server)>,
    /// What went wrong, in the order of time, and where.
    pub failed: Vec<(Failure, Server)>,
}

/// Connects to a server and, when that takes long, to its rival at the same time.
pub async fn connect_first(server: &Server, rival: Option<&Server>, settings: &Settings) -> Race {
    let mut race = Race::default();
    let first = connect(server, settings);
    tokio::pin!(first);
    let Some(rival) = rival else {
        race.ended(first.await, server);
        return race;
    };
    tokio::select! {
        biased;
        result = &mut first => {
            race.ended(result, server);
            return race;
        }
        () = tokio::time::sleep(HEAD_START) => {}
    }
    let second = connect(rival, settings);
    tokio::pin!(second);
    tokio::select! {
        biased;
        result = &mut first => {
            race.ended(result, server);
            if race.winner.is_none() {
                race.ended(second.await, rival);
            }
        }
        result = &mut second => {
            race.ended(result, rival);
            if race.winner.is_none() {
                race.ended(first.await, server);
            }
        }
    }
    race
}

impl Race {
    /// Whether a server was connected to, or could not be: either way it is tried.
    pub fn has_tried(&self, server: &Server) -> bool {
        self.winner.as_ref().is_some_and(|(_, winner)| winner == server)
            || self.failed.iter().any(|(_, failed)| failed == server)
    }

    fn ended(&mut self, result: Result<Stream, Failure>, server: &Server) {
        match result {
            Ok(stream) => self.winner = Some((stream, server.clone())),
            Err(failure) => self.failed.push((failure, server.clone())),
        }
    }
}

/// The server to race against: the next one of the same preference and the other family.
pub fn rival_of<'a>(server: &Server, others: &'a [Server]) -> Option<&'a Server> {
    let family = server.family()?;
    others.iter().find(|other| {
        other.preference == server.preference && other.family().is_some_and(|other_family| other_family != family)
    })
}

/// Families that lost, by nexthop.
#[derive(Debug, Default)]
pub struct Memory {
    losers: RefCell<HashMap<String, (Family, Instant)>>,
}

impl Memory {
    /// A family lost.
    pub fn lost(&self, nexthop: &str, family: Family) {
        let mut losers = self.losers.borrow_mut();
        if losers.len() >= MOST_REMEMBERED {
            losers.retain(|_, (_, since)| since.elapsed() < REMEMBERED);
        }
        if losers.len() < MOST_REMEMBERED {
            losers.insert(nexthop.to_owned(), (family, Instant::now()));
        }
    }

    /// Puts servers of a family that lost lately behind those of the other, within their preference.
    pub fn apply(&self, nexthop: &str, servers: &mut [Server]) {
        let losers = self.losers.borrow();
        let Some((family, since)) = losers.get(nexthop) else { return };
        if since.elapsed() < REMEMBERED {
            servers.sort_by_key(|server| (server.preference, server.family() == Some(*family)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Endpoint;
    use crate::tests::fixture;

    fn server(address: &str, preference: u16) -> Server {
        let endpoint = Endpoint::Internet(address.parse().unwrap());
        Server { name: "m.test".to_owned(), endpoint, preference }
    }

    #[test]
    fn the_rival_has_the_same_preference_and_the_other_family() {
        let others = [server("192.0.2.2:25", 10), server("[2001:db8::2]:25", 20), server("[2001:db8::3]:25", 10)];
        assert_eq!(rival_of(&server("192.0.2.1:25", 10), &others), Some(&others[2]));
        assert_eq!(rival_of(&server("192.0.2.1:25", 30), &others), None);
    }

    #[test]
    fn a_family_that_lost_is_tried_last_within_its_preference() {
        let memory = Memory::default();
        memory.lost("d.test", Family::V6);
        let mut servers = [server("[2001:db8::1]:25", 10), server("192.0.2.1:25", 10), server("[2001:db8::2]:25", 5)];
        let before = servers.clone();
        memory.apply("other.test", &mut servers);
        assert_eq!(servers, before);
        memory.apply("d.test", &mut servers);
        assert_eq!(servers, [before[2].clone(), before[1].clone(), before[0].clone()]);
    }

    /// A server that never takes connections: its queue is full.
    async fn black_hole() -> (Vec<tokio::net::TcpStream>, tokio::net::TcpListener, Server) {
        let socket = tokio::net::TcpSocket::new_v6().unwrap();
        socket.bind("[::1]:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
        {
            held.push(stream);
        }
        (held, listener, server(&address.to_string(), 10))
    }

    #[tokio::test]
    async fn a_path_that_swallows_everything_costs_a_quarter_of_a_second() {
        let (_held, _listener, silent) = black_hole().await;
        let good = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rival = server(&good.local_addr().unwrap().to_string(), 10);
        let started = Instant::now();
        let race = connect_first(&silent, Some(&rival), &fixture::settings()).await;
        assert!(race.has_tried(&rival) && !race.has_tried(&silent));
        assert!(race.winner.is_some());
        assert!(started.elapsed() >= HEAD_START && started.elapsed() < Duration::from_millis(900));
    }

    #[tokio::test]
    async fn when_both_fail_both_failures_are_known() {
        let (_held, _listener, silent) = black_hole().await;
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let closed = server(&closed.to_string(), 10);
        let race = connect_first(&silent, Some(&closed), &fixture::settings()).await;
        assert!(race.winner.is_none());
        let (refused, timed_out) = (&race.failed[0], &race.failed[1]);
        assert!(refused.0.reason.ends_with("Connection refused") && refused.1 == closed);
        assert!(timed_out.0.reason.ends_with("Connection timed out") && timed_out.1 == silent);
    }
}
