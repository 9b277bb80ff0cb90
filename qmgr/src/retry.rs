//! When a message is tried again, and when it has been tried long enough. Times are seconds since the epoch, as the
//! queue file has them; [`now`] alone reads the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::param;

config::settings! {
    /// How long messages are kept and how often they are tried.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RetrySettings {
        /// The shortest wait, also of a dead destination.
        minimum: Duration = param::MINIMAL_BACKOFF_TIME,
        /// The longest wait.
        maximum: Duration = param::MAXIMAL_BACKOFF_TIME,
        /// After this, mail goes back to its sender.
        lifetime: Duration = param::MAXIMAL_QUEUE_LIFETIME,
        /// The same for mail without a sender, which is kept no longer than other mail.
        bounce_lifetime: Duration = param::BOUNCE_QUEUE_LIFETIME,
    }
}

impl RetrySettings {
    /// Mail without a sender is not kept for longer than other mail.
    pub fn adjusted(mut self) -> Self {
        if self.bounce_lifetime > self.lifetime {
            logging::warning!(
                "bounce_queue_lifetime is larger than maximal_queue_lifetime - adjusting bounce_queue_lifetime"
            );
            self.bounce_lifetime = self.lifetime;
        }
        self
    }

    /// When a message of this age is tried next: it waits as long as it is old, within the bounds, so that waits
    /// double.
    pub fn next_attempt(&self, now: i64, created: i64) -> i64 {
        let (least, most) = (seconds(self.minimum), seconds(self.maximum));
        let wait = now.saturating_sub(created).min(most).max(least);
        now.saturating_add(wait)
    }

    /// Whether a message that could not be delivered is given up. A lifetime of zero means one attempt.
    pub fn is_expired(&self, now: i64, created: i64, null_sender: bool) -> bool {
        let life = if null_sender { self.bounce_lifetime } else { self.lifetime };
        now >= created.saturating_add(seconds(life))
    }
}

/// Now, in seconds since the epoch.
pub fn now() -> i64 {
    seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> RetrySettings {
        RetrySettings {
            minimum: Duration::from_secs(300),
            maximum: Duration::from_secs(4000),
            lifetime: Duration::from_secs(5 * 86_400),
            bounce_lifetime: Duration::from_secs(86_400),
        }
    }

    #[test]
    fn waits_double_within_the_bounds() {
        let (mut now, mut waits) = (1_000_000, Vec::new());
        for _ in 0..8 {
            let next = settings().next_attempt(now, 1_000_000);
            waits.push(next - now);
            now = next;
        }
        assert_eq!(waits, [300, 300, 600, 1200, 2400, 4000, 4000, 4000]);
    }

    #[test]
    fn mail_without_a_sender_has_its_own_lifetime() {
        assert!(settings().is_expired(86_400, 0, true));
        assert!(!settings().is_expired(86_400, 0, false));
        assert!(settings().is_expired(5 * 86_400, 0, false));
        let longer = RetrySettings { bounce_lifetime: Duration::from_secs(9 * 86_400), ..settings() };
        assert!(longer.adjusted().is_expired(5 * 86_400, 0, true));
        assert_eq!(settings().adjusted(), settings());
    }

    #[test]
    fn a_lifetime_of_zero_is_one_attempt() {
        let once = RetrySettings { lifetime: Duration::ZERO, ..settings() };
        assert!(once.is_expired(1000, 1000, false));
    }

    #[test]
    fn a_clock_set_back_makes_nobody_wait_longer_than_the_maximum() {
        assert_eq!(settings().next_attempt(1000, 9_999_999), 1300);
    }
}
