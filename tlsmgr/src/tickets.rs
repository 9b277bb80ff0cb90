//! The keys of session tickets: made here, in memory alone. One is for new tickets for half of
//! smtpd_tls_session_cache_timeout, and for those that there are for as long again; then it is forgotten, so that what
//! was said in a session cannot be read by who comes by our memory later.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ipc::tlsmgr::{TicketKey, TicketKeys};

/// The keys that are good for something.
pub(crate) struct Tickets {
    period: Duration,
    current: Option<Made>,
    previous: Option<Made>,
}

#[derive(Clone)]
struct Made {
    key: TicketKey,
    at: Instant,
}

impl Tickets {
    /// `lifetime`: smtpd_tls_session_cache_timeout.
    pub(crate) fn new(lifetime: Duration) -> Tickets {
        Tickets { period: (lifetime / 2).max(Duration::from_secs(1)), current: None, previous: None }
    }

    /// How long a key is for new tickets.
    pub(crate) fn period(&self) -> Duration {
        self.period
    }

    /// The keys as they are now; `None` where the system has no random bytes.
    pub(crate) fn keys(&mut self) -> Option<TicketKeys> {
        self.keys_at(Instant::now())
    }

    /// Forgets keys that open nothing any more, whether anybody asks for others or not.
    pub(crate) fn forget(&mut self) {
        self.forget_at(Instant::now());
    }

    fn keys_at(&mut self, now: Instant) -> Option<TicketKeys> {
        self.forget_at(now);
        if self.current.as_ref().is_none_or(|made| made.at + self.period <= now) {
            let next = Made { key: fresh(self.period)?, at: now };
            self.previous = self.current.replace(next);
        }
        let key = |made: &Made| self.with_times(made, now);
        Some(TicketKeys { current: key(self.current.as_ref()?), previous: self.previous.as_ref().map(key) })
    }

    fn forget_at(&mut self, now: Instant) {
        for place in [&mut self.current, &mut self.previous] {
            place.take_if(|made| made.at + self.period * 2 <= now);
        }
    }

    fn with_times(&self, made: &Made, now: Instant) -> TicketKey {
        let left = |end: Instant| u32::try_from(end.saturating_duration_since(now).as_secs()).unwrap_or(u32::MAX);
        let mut key = made.key.clone();
        (key.makes, key.opens) = (left(made.at + self.period), left(made.at + self.period * 2));
        key
    }
}

fn fresh(period: Duration) -> Option<TicketKey> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let mut key = TicketKey { name: [0; 16], secret: [0; 32], until: (now + period).as_secs(), makes: 0, opens: 0 };
    aws_lc_rs::rand::fill(&mut key.name).ok()?;
    aws_lc_rs::rand::fill(&mut key.secret).ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(3600);

    /// What is there so many seconds after `start`: the two secrets, and the times that are left to the first.
    fn seen(tickets: &mut Tickets, start: Instant, seconds: u64) -> ([Option<[u8; 32]>; 2], [u32; 2]) {
        let keys = tickets.keys_at(start + Duration::from_secs(seconds)).unwrap();
        let previous = keys.previous.as_ref().map(|key| key.secret);
        ([Some(keys.current.secret), previous], [keys.current.makes, keys.current.opens])
    }

    #[test]
    fn a_key_makes_tickets_for_half_the_time_and_opens_them_for_all_of_it() {
        let (mut tickets, start) = (Tickets::new(LIFETIME), Instant::now());
        let ([first, none], times) = seen(&mut tickets, start, 0);
        assert_eq!((none, times), (None, [1800, 3600]));
        assert_eq!(seen(&mut tickets, start, 1799), ([first, None], [1, 1801]));
        let ([second, before], times) = seen(&mut tickets, start, 1800);
        assert_eq!((before, times), (first, [1800, 3600]));
        assert_ne!(second, first);
        assert_eq!(seen(&mut tickets, start, 3599).0, [second, first]);
        let ([third, before], _) = seen(&mut tickets, start, 3600);
        assert_eq!(before, second);
        assert_ne!(third, second);
    }

    #[test]
    fn a_key_that_nobody_has_asked_for_in_time_is_not_the_one_before() {
        let (mut tickets, start) = (Tickets::new(LIFETIME), Instant::now());
        let ([first, _], _) = seen(&mut tickets, start, 0);
        let ([second, before], _) = seen(&mut tickets, start, 3600);
        assert_eq!(before, None);
        assert_ne!(second, first);
        // Between the two it still opens what it has made; the times of its successor begin when that is made.
        let ([_, before], times) = seen(&mut tickets, start, 3600 + 2700);
        assert_eq!((before, times), (second, [1800, 3600]));
        let previous = tickets.keys_at(start + Duration::from_secs(3600 + 2700)).unwrap().previous.unwrap();
        assert_eq!((previous.makes, previous.opens), (0, 900));
    }

    #[test]
    fn a_key_that_opens_nothing_is_forgotten_unasked() {
        let (mut tickets, start) = (Tickets::new(LIFETIME), Instant::now());
        seen(&mut tickets, start, 0);
        seen(&mut tickets, start, 1800);
        tickets.forget_at(start + Duration::from_secs(3599));
        assert!(tickets.current.is_some() && tickets.previous.is_some());
        tickets.forget_at(start + Duration::from_secs(3600));
        assert!(tickets.current.is_some() && tickets.previous.is_none());
        tickets.forget_at(start + Duration::from_secs(5400));
        assert!(tickets.current.is_none());
    }
}
