//! The keys of session tickets: made here, in memory alone, and forgotten after twice the lifetime of a session.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ipc::tlsmgr::{TicketKey, TicketKeys};

/// The keys, and when the next one is due.
pub(crate) struct Tickets {
    lifetime: Duration,
    current: Option<(TicketKey, Instant)>,
    previous: Option<TicketKey>,
}

impl Tickets {
    /// `lifetime`: smtpd_tls_session_cache_timeout.
    pub(crate) fn new(lifetime: Duration) -> Tickets {
        Tickets { lifetime: lifetime.max(Duration::from_secs(1)), current: None, previous: None }
    }

    /// The keys as they are now; `None` where the system has no random bytes.
    pub(crate) fn keys(&mut self) -> Option<TicketKeys> {
        let now = Instant::now();
        let is_due = self.current.as_ref().is_none_or(|(_, until)| *until <= now);
        if is_due {
            let next = fresh(self.lifetime)?;
            // A key that nobody has asked for in time is too old to be the one before.
            let still = self.current.take().filter(|(_, until)| *until + self.lifetime > now);
            self.previous = still.map(|(key, _)| key);
            self.current = Some((next, now + self.lifetime));
        }
        let (current, until) = self.current.clone()?;
        let seconds = u32::try_from(until.duration_since(now).as_secs()).unwrap_or(u32::MAX);
        Some(TicketKeys { current, previous: self.previous.clone(), seconds })
    }
}

fn fresh(lifetime: Duration) -> Option<TicketKey> {
    let (mut name, mut secret) = ([0; 16], [0; 32]);
    aws_lc_rs::rand::fill(&mut name).ok()?;
    aws_lc_rs::rand::fill(&mut secret).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(TicketKey { name, secret, expires: (now + lifetime * 2).as_secs() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_followed_by_another_and_stays_for_its_tickets() {
        let mut tickets = Tickets::new(Duration::from_secs(3600));
        let first = tickets.keys().unwrap();
        assert_eq!(tickets.keys().unwrap().current, first.current);
        assert!(first.previous.is_none());
        let due = |tickets: &mut Tickets, ago: Duration| {
            let (key, _) = tickets.current.take().unwrap();
            tickets.current = Some((key, Instant::now().checked_sub(ago).unwrap()));
        };
        due(&mut tickets, Duration::ZERO);
        let second = tickets.keys().unwrap();
        assert_eq!(second.previous, Some(first.current));
        due(&mut tickets, Duration::from_secs(3600));
        assert_eq!(tickets.keys().unwrap().previous, None);
    }
}
