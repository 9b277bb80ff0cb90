//! The servers of a destination that may still be tried, in the order in which they are.
//!
//! Mail exchanger preference always comes first: nothing here moves a server before one of better preference. Those
//! beyond smtp_mx_address_limit are kept aside; they are only tried when one that is within it does not answer, or will
//! have none of our address. What a slow name server says later joins the rest when it comes, and may say that mail
//! must not go there: no server is tried before it is known that this machine is no better one.

use std::time::Duration;

use net::Family;
use smtp_client::{Endpoint, Late, Server};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::home::Home;

/// How long the best servers wait for what a slow name server may say of this machine. If it is one of them, its hello
/// tells as well, and mail is not on its way back yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is left to be tried.
pub struct Candidates {
    waiting: Vec<Server>,
    beyond: Vec<Server>,
    late: Late,
    /// How many servers more may wait; `None`: any number.
    room: Option<usize>,
    home: Home,
    /// The best preference of this machine, if a late look-up has found it.
    own: Option<u16>,
    /// When the best servers have waited long enough.
    patience: Instant,
}

impl Candidates {
    /// Servers within the limit, those beyond it, and look-ups that have not ended.
    pub fn new(waiting: Vec<Server>, beyond: Vec<Server>, late: Late, limit: usize, home: Home) -> Self {
        let room = (limit > 0).then(|| limit.saturating_sub(waiting.len()));
        Self { waiting, beyond, late, room, home, own: None, patience: Instant::now() + PATIENCE }
    }

    /// Whether the destination has no server that is better than this one.
    pub fn is_best(&self, server: &Server) -> bool {
        self.home.is_best(server.preference)
    }

    /// Whether a server may be tried, as far as is known by now.
    pub fn admits(&self, server: &Server) -> bool {
        self.own.is_none_or(|own| server.preference < own)
    }

    /// Mail would come back here, as a late look-up has shown.
    pub fn loop_failure(&self) -> Option<Failure> {
        self.own.map(|own| self.home.failure(own))
    }

    /// Takes the servers out that were tried already.
    pub fn without(&mut self, tried: &[Endpoint]) {
        self.waiting.retain(|server| !tried.contains(&server.endpoint));
    }

    /// No server is left, and none may come.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.late.is_empty()
    }

    /// More servers may come.
    pub fn may_grow(&self) -> bool {
        !self.late.is_empty()
    }

    /// The server whose turn it is; a look-up that has not ended is waited for when nothing else is left, or when it
    /// may rule the server out.
    pub async fn next(&mut self) -> Option<Server> {
        loop {
            match self.waiting.first() {
                Some(first) if self.may_be_ruled_out(first) => {
                    if !self.home.is_best(first.preference) {
                        self.wait().await;
                    } else if tokio::time::timeout_at(self.patience, self.wait()).await.is_err() {
                        return Some(self.waiting.remove(0));
                    }
                }
                Some(_) => return Some(self.waiting.remove(0)),
                None if self.late.is_empty() => return None,
                None => self.wait().await,
            }
        }
    }

    fn may_be_ruled_out(&self, server: &Server) -> bool {
        self.late.may_bring(server.preference, |family| self.home.may_be_found_in(family))
    }

    /// Waits until a look-up has ended, and takes up what it brings; for ever if there is none.
    pub async fn wait(&mut self) {
        for server in self.late.next().await {
            if self.home.is(&server) {
                let own = self.own.map_or(server.preference, |own| own.min(server.preference));
                self.own = Some(own);
                self.waiting.retain(|other| other.preference < own);
                self.beyond.retain(|other| other.preference < own);
            }
            if !self.admits(&server) {
                continue;
            }
            match &mut self.room {
                Some(0) => self.beyond.push(server),
                Some(room) => {
                    *room -= 1;
                    self.put(server);
                }
                None => self.put(server),
            }
        }
    }

    /// The next server of the same preference.
    pub fn next_equal(&mut self, server: &Server) -> Option<Server> {
        take(&mut self.waiting, |other| other.preference == server.preference)
    }

    /// The server to try beside one that does not answer: of the same preference, of the other family if there is one.
    pub fn rival(&mut self, silent: &Server) -> Option<Server> {
        let family = silent.family()?;
        let fits = |other: &Server| {
            other.preference == silent.preference && other.family().is_some_and(|other_family| other_family != family)
        };
        let rival = take(&mut self.waiting, fits).or_else(|| take(&mut self.beyond, fits));
        rival.or_else(|| self.next_equal(silent))
    }

    /// A server of another family than this one, the best there is.
    pub async fn of_other_family(&mut self, family: Family) -> Option<Server> {
        let fits = |other: &Server| other.family().is_some_and(|other_family| other_family != family);
        loop {
            let found = take(&mut self.waiting, fits).or_else(|| take(&mut self.beyond, fits));
            if found.is_some() || self.late.is_empty() {
                return found;
            }
            self.wait().await;
        }
    }

    /// Gives a server back that did not answer: it is tried after the others of its preference.
    pub fn give_back(&mut self, server: Server) {
        if self.admits(&server) {
            self.put(server);
        }
    }

    /// Among those of the best preference, puts the server first that worked lately, and the family last that did not.
    pub fn prefer(&mut self, worked: &Endpoint, lost: Option<Family>) {
        let Some(best) = self.waiting.first().map(|server| server.preference) else { return };
        if let Some(server) = take(&mut self.beyond, |server| server.preference == best && server.endpoint == *worked) {
            self.waiting.push(server);
        }
        let rank =
            |server: &Server| (server.endpoint != *worked, lost.is_some_and(|lost| server.family() == Some(lost)));
        self.waiting.sort_by_key(|server| (server.preference, rank(server)));
    }

    fn put(&mut self, server: Server) {
        let at = self.waiting.partition_point(|other| other.preference <= server.preference);
        self.waiting.insert(at, server);
    }
}

fn take(list: &mut Vec<Server>, fits: impl Fn(&Server) -> bool) -> Option<Server> {
    let at = list.iter().position(fits)?;
    Some(list.remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str, preference: u16) -> Server {
        let endpoint = Endpoint::Internet(format!("{address}:25").parse().unwrap());
        Server::new("m.test", endpoint, preference)
    }

    fn candidates(waiting: &[(&str, u16)], beyond: &[(&str, u16)]) -> Candidates {
        let list =
            |list: &[(&str, u16)]| list.iter().map(|(address, preference)| server(address, *preference)).collect();
        Candidates::new(list(waiting), list(beyond), Late::default(), 0, Home::elsewhere())
    }

    fn order(candidates: &Candidates) -> Vec<String> {
        candidates.waiting.iter().map(|server| server.endpoint.to_string()).collect()
    }

    const A: &str = "192.0.2.1";
    const B: &str = "192.0.2.2";
    const SIX: &str = "[2001:db8::6]";
    const SEVEN: &str = "[2001:db8::7]";

    #[test]
    fn a_rival_is_of_the_other_family_and_never_of_another_preference() {
        let mut some = candidates(&[(B, 10), (SIX, 20), (SEVEN, 10)], &[]);
        assert_eq!(some.rival(&server(A, 10)), Some(server(SEVEN, 10)));
        assert_eq!(some.rival(&server(A, 10)), Some(server(B, 10)));
        assert_eq!(some.rival(&server(A, 10)), None);
    }

    #[test]
    fn a_rival_may_stand_beyond_the_limit_and_a_successor_may_not() {
        let mut some = candidates(&[(SEVEN, 10)], &[(A, 10)]);
        assert_eq!(some.next_equal(&server(SIX, 10)), Some(server(SEVEN, 10)));
        assert_eq!(some.next_equal(&server(SIX, 10)), None);
        assert_eq!(some.rival(&server(SIX, 10)), Some(server(A, 10)));
    }

    #[test]
    fn who_did_not_answer_comes_after_its_equals_and_before_the_worse() {
        let mut some = candidates(&[(A, 10), (B, 20)], &[]);
        some.give_back(server(SIX, 10));
        assert_eq!(order(&some), ["[192.0.2.1]:25", "[2001:db8::6]:25", "[192.0.2.2]:25"]);
    }

    #[test]
    fn what_worked_lately_comes_first_among_its_equals_and_what_did_not_comes_last() {
        let mut some = candidates(&[(SIX, 10), (A, 10), (SEVEN, 20)], &[(B, 10)]);
        some.prefer(&server(B, 10).endpoint, Some(Family::V6));
        assert_eq!(order(&some), ["[192.0.2.2]:25", "[192.0.2.1]:25", "[2001:db8::6]:25", "[2001:db8::7]:25"]);
        let mut some = candidates(&[(SIX, 10)], &[(B, 20)]);
        some.prefer(&server(B, 20).endpoint, Some(Family::V6));
        assert_eq!(order(&some), ["[2001:db8::6]:25"]);
    }

    #[tokio::test]
    async fn the_other_family_is_found_wherever_it_stands() {
        let mut some = candidates(&[(SIX, 10)], &[(A, 10)]);
        assert_eq!(some.of_other_family(Family::V6).await, Some(server(A, 10)));
        assert_eq!(some.of_other_family(Family::V6).await, None);
    }
}
