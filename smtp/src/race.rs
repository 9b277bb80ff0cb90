//! Connections that are tried one beside the other: the one that is made first is used (RFC 8305).
//!
//! The second attempt begins only when the first has taken some time, goes to a server of the same preference, and to
//! the other address family if there is one. A failure is followed at once by the next server in Postfix's order. An
//! attempt that only was slow is closed before a byte is sent, and its server stays untried. What was learned is
//! remembered for a while, so that it costs one message and not each of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use net::Family;
use smtp_client::{Endpoint, Server, Stream};

use crate::candidates::Candidates;
use crate::connect::connect;
use crate::failure::Failure;
use crate::settings::Settings;

/// Attempts at the same time.
/// told: nobody; other servers wait.
const MOST_ATTEMPTS: usize = 10;
/// How long it counts what worked.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Destinations that are remembered.
/// told: nobody; others are not remembered.
const MOST_REMEMBERED: usize = 1000;

/// How a race ended.
#[derive(Default)]
pub struct Race {
    /// The connection, and whose it is.
    pub winner: Option<(Stream, Server)>,
    /// What went wrong, in the order of time, and where.
    pub failed: Vec<(Failure, Server)>,
    /// Who had not answered when the winner did.
    pub slow: Vec<Server>,
}

/// An attempt on its way.
struct Attempt<'a> {
    server: Server,
    connect: Pin<Box<dyn Future<Output = Result<Stream, Failure>> + 'a>>,
}

/// Connects to a server and, when that takes long, to others of `candidates` at the same time. Without a connection,
/// all that were tried have failed, or were given up because this machine was found to be as good.
pub async fn connect_first(first: Server, candidates: &mut Candidates, settings: &Settings) -> Race {
    let mut race = Race::default();
    // smtp_connection_attempt_delay
    let delay = settings.families.attempt_delay.filter(|_| first.family().is_some());
    let mut newest = first.clone();
    let mut running = vec![attempt(first, settings)];
    let mut others_wait = true;
    loop {
        let may_start = others_wait && running.len() < MOST_ATTEMPTS;
        let next = tokio::select! {
            biased;
            (server, result) = first_end(&mut running) => match result {
                Ok(stream) => {
                    race.winner = Some((stream, server));
                    race.slow = running.into_iter().map(|attempt| attempt.server).collect();
                    return race;
                }
                Err(failure) => {
                    race.failed.push((failure, server));
                    if running.is_empty() {
                        return race;
                    }
                    candidates.next_equal(&newest)
                }
            },
            () = wait(delay), if may_start => {
                let rival = candidates.rival(&newest);
                others_wait = rival.is_some();
                rival
            }
            () = candidates.wait(), if delay.is_some() && candidates.may_grow() => {
                others_wait = true;
                // Mail must not go to one that is no better than this machine.
                running.retain(|attempt| candidates.admits(&attempt.server));
                if running.is_empty() {
                    return race;
                }
                None
            }
        };
        if let Some(server) = next {
            newest = server.clone();
            running.push(attempt(server, settings));
        }
    }
}

fn attempt<'a>(server: Server, settings: &'a Settings) -> Attempt<'a> {
    let target = server.clone();
    Attempt { server, connect: Box::pin(async move { connect(&target, settings).await }) }
}

async fn wait(delay: Option<Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => pending().await,
    }
}

/// The attempt that ends first, in the order of their beginnings; it leaves the list.
async fn first_end(running: &mut Vec<Attempt<'_>>) -> (Server, Result<Stream, Failure>) {
    poll_fn(|context| {
        for at in 0..running.len() {
            if let Poll::Ready(result) = running[at].connect.as_mut().poll(context) {
                return Poll::Ready((running.remove(at).server, result));
            }
        }
        Poll::Pending
    })
    .await
}

/// What worked where another server did not answer, or would have none of us, by nexthop.
#[derive(Debug, Default)]
pub struct Memory {
    entries: RefCell<HashMap<String, Worked>>,
}

#[derive(Debug)]
struct Worked {
    endpoint: Endpoint,
    lost: Option<Family>,
    since: Instant,
}

impl Memory {
    /// A server worked, and those of a family did not.
    pub fn keep(&self, nexthop: &str, worked: &Server, lost: Option<Family>) {
        let mut entries = self.entries.borrow_mut();
        if entries.len() >= MOST_REMEMBERED {
            entries.retain(|_, entry| entry.since.elapsed() < REMEMBERED);
        }
        if entries.len() < MOST_REMEMBERED || entries.contains_key(nexthop) {
            let endpoint = worked.endpoint.clone();
            entries.insert(nexthop.to_owned(), Worked { endpoint, lost, since: Instant::now() });
        }
    }

    /// How the race for a nexthop ended.
    pub fn learn(&self, nexthop: &str, race: &Race) {
        if let Some((_, winner)) = &race.winner
            && let Some(slow) = race.slow.first()
        {
            self.keep(nexthop, winner, slow.family().filter(|family| winner.family() != Some(*family)));
        }
        let mut entries = self.entries.borrow_mut();
        let fails = |entry: &Worked| race.failed.iter().any(|(_, failed)| failed.endpoint == entry.endpoint);
        if entries.get(nexthop).is_some_and(fails) {
            entries.remove(nexthop);
        }
    }

    /// Puts what worked lately first among its equals.
    pub fn apply(&self, nexthop: &str, candidates: &mut Candidates) {
        let entries = self.entries.borrow();
        if let Some(entry) = entries.get(nexthop).filter(|entry| entry.since.elapsed() < REMEMBERED) {
            candidates.prefer(&entry.endpoint, entry.lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Home;
    use crate::tests::fixture;
    use smtp_client::Late;
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    fn server(address: std::net::SocketAddr, preference: u16) -> Server {
        Server::new("m.test", Endpoint::Internet(address), preference)
    }

    /// A server that never takes connections: its queue is full.
    struct BlackHole {
        listener: TcpListener,
        _held: Vec<TcpStream>,
    }

    impl BlackHole {
        async fn new() -> Self {
            let socket = TcpSocket::new_v6().unwrap();
            socket.bind("[::1]:0".parse().unwrap()).unwrap();
            let listener = socket.listen(1).unwrap();
            let address = listener.local_addr().unwrap();
            let mut held = Vec::new();
            let patience = Duration::from_millis(200);
            while let Ok(Ok(stream)) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
                held.push(stream);
            }
            Self { listener, _held: held }
        }

        fn server(&self) -> Server {
            server(self.listener.local_addr().unwrap(), 10)
        }
    }

    async fn listener() -> (TcpListener, Server) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, server(address, 10))
    }

    fn candidates(servers: &[&Server]) -> Candidates {
        Candidates::new(
            servers.iter().map(|it| (*it).clone()).collect(),
            Vec::new(),
            Late::default(),
            0,
            Home::elsewhere(),
        )
    }

    fn closed() -> Server {
        server(std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(), 10)
    }

    #[tokio::test]
    async fn a_path_that_swallows_everything_leaves_the_race_to_the_other_family() {
        let hole = BlackHole::new().await;
        let (_good, rival) = listener().await;
        let (silent, other) = (hole.server(), hole.server());
        let race = connect_first(silent.clone(), &mut candidates(&[&other, &rival]), &fixture::settings()).await;
        assert_eq!(race.winner.map(|(_, winner)| winner), Some(rival.clone()));
        assert_eq!(race.slow, [silent]);
        assert!(race.failed.is_empty());
    }

    #[tokio::test]
    async fn without_the_delay_no_second_attempt_begins() {
        let hole = BlackHole::new().await;
        let (_good, rival) = listener().await;
        let mut settings = fixture::settings();
        settings.families.attempt_delay = None;
        let mut others = candidates(&[&rival]);
        let race = connect_first(hole.server(), &mut others, &settings).await;
        assert!(race.winner.is_none() && race.failed[0].0.reason.ends_with("Connection timed out"));
        assert_eq!(others.next().await, Some(rival));
    }

    #[tokio::test]
    async fn a_worse_server_takes_no_part_in_the_race() {
        let hole = BlackHole::new().await;
        let (_good, rival) = listener().await;
        let worse = Server { preference: 20, ..rival };
        let mut others = candidates(&[&worse]);
        let race = connect_first(hole.server(), &mut others, &fixture::settings()).await;
        assert!(race.winner.is_none());
        assert_eq!(others.next().await, Some(worse));
    }

    #[tokio::test]
    async fn a_failure_beside_a_slow_attempt_is_followed_by_the_next_server() {
        let hole = BlackHole::new().await;
        let (_good, good) = listener().await;
        let refused = closed();
        let race = connect_first(hole.server(), &mut candidates(&[&refused, &good]), &fixture::settings()).await;
        assert_eq!(race.failed.iter().map(|(_, failed)| failed).collect::<Vec<_>>(), [&refused]);
        assert_eq!(race.winner.map(|(_, winner)| winner), Some(good));
    }

    #[tokio::test]
    async fn when_all_fail_all_failures_are_known() {
        let hole = BlackHole::new().await;
        let refused = closed();
        let race = connect_first(hole.server(), &mut candidates(&[&refused]), &fixture::settings()).await;
        assert!(race.winner.is_none());
        let reasons: Vec<_> = race.failed.iter().map(|(failure, _)| failure.reason.as_str()).collect();
        assert!(reasons[0].ends_with("Connection refused"), "{reasons:?}");
        assert!(reasons[1].ends_with("Connection timed out"), "{reasons:?}");
    }

    #[tokio::test]
    async fn what_worked_is_remembered_until_it_fails() {
        let memory = Memory::default();
        let (v6, v4) = (server("[2001:db8::1]:25".parse().unwrap(), 10), server("192.0.2.1:25".parse().unwrap(), 10));
        memory.keep("d.test", &v4, Some(Family::V6));
        let first = |nexthop: &str| {
            let mut servers = candidates(&[&v6, &v4]);
            memory.apply(nexthop, &mut servers);
            servers.next_equal(&v6).unwrap()
        };
        assert_eq!((first("d.test"), first("other.test")), (v4.clone(), v6.clone()));
        let failure = Failure::of_host(dsn::Status::new(4, 4, 1), "gone");
        memory.learn("d.test", &Race { failed: vec![(failure, v4.clone())], ..Race::default() });
        assert_eq!(first("d.test"), v6);
    }
}
