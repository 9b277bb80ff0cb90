//! What an entry of the cache is worth at a moment: whether it still counts, and whether it is time for a probe.

use std::time::Duration;

use config::param;
use wire::verified::{Entry, Standing};

config::settings! {
    /// How long what was found out counts.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Rules {
        positive_expire: Duration = param::ADDRESS_VERIFY_POSITIVE_EXPIRE_TIME,
        positive_refresh: Duration = param::ADDRESS_VERIFY_POSITIVE_REFRESH_TIME,
        negative_expire: Duration = param::ADDRESS_VERIFY_NEGATIVE_EXPIRE_TIME,
        negative_refresh: Duration = param::ADDRESS_VERIFY_NEGATIVE_REFRESH_TIME,
        /// Failures are remembered.
        negative_cache: bool = param::ADDRESS_VERIFY_NEGATIVE_CACHE,
    }
}

/// What is said of an address while its first probe is under way.
pub(crate) const IN_PROGRESS: &str = "Address verification in progress";
/// Seconds after which nothing is expected of a probe any more.
const PATIENCE: i64 = 1000;

/// What follows from a question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// The entry as it is to be told.
    pub(crate) entry: Entry,
    /// A probe is to be sent, and the entry to be kept with the time of it.
    pub(crate) is_due: bool,
    /// Nothing that counts was known before.
    pub(crate) is_new: bool,
}

impl Rules {
    /// What is known of an address now, by its entry.
    pub(crate) fn judge(&self, entry: Option<Entry>, now: i64) -> Judgement {
        let waits = entry.as_ref().is_some_and(|entry| is_under_way(entry, now));
        let known = entry.filter(|entry| waits || self.counts(entry, now));
        let is_due = !waits && known.as_ref().is_none_or(|entry| self.is_old(entry, now));
        let is_new = known.is_none();
        let unknown = || Entry { standing: Standing::Unknown, probed: 0, updated: 0, text: IN_PROGRESS.to_owned() };
        Judgement { entry: known.unwrap_or_else(unknown), is_due, is_new }
    }

    /// Whether the entry goes when the cache is cleaned up.
    pub(crate) fn is_over(&self, entry: &Entry, now: i64) -> bool {
        !self.counts(entry, now) && !is_under_way(entry, now)
    }

    /// Whether what was found out still counts.
    fn counts(&self, entry: &Entry, now: i64) -> bool {
        let time = match entry.standing {
            Standing::Deliverable => self.positive_expire,
            Standing::Deferred | Standing::Undeliverable => self.negative_expire,
            Standing::Unknown => return false,
        };
        !is_past(entry.updated, time, now)
    }

    fn is_old(&self, entry: &Entry, now: i64) -> bool {
        let time = if entry.standing == Standing::Deliverable { self.positive_refresh } else { self.negative_refresh };
        is_past(entry.updated, time, now)
    }
}

/// A failure says nothing against an address that has been good: that has to expire.
pub(crate) fn updated(before: Option<Entry>, found: (Standing, String), now: i64) -> Entry {
    let (standing, text) = found;
    match before {
        Some(good) if good.standing == Standing::Deliverable && standing != Standing::Deliverable => {
            Entry { probed: 0, ..good }
        }
        _ => Entry { standing, probed: 0, updated: now, text },
    }
}

/// Whether a probe was sent of which something may still be heard. One of the future was sent by another clock.
fn is_under_way(entry: &Entry, now: i64) -> bool {
    entry.probed > 0 && (0..=PATIENCE).contains(&now.saturating_sub(entry.probed))
}

fn is_past(since: i64, time: Duration, now: i64) -> bool {
    let time = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    since.saturating_add(time) < now
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_796_000_000;
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn rules() -> Rules {
        let config = config::Config::parse(b"", std::path::Path::new("/proc/self/none"), &[]).unwrap();
        Rules::read(&config).unwrap()
    }

    fn entry(standing: Standing, probed: i64, updated: i64) -> Entry {
        Entry { standing, probed, updated, text: "x".to_owned() }
    }

    /// What is told, and whether a probe is due.
    fn judged(standing: Standing, probed: i64, age: i64) -> (Standing, bool) {
        let judgement = rules().judge(Some(entry(standing, probed, NOW - age)), NOW);
        (judgement.entry.standing, judgement.is_due)
    }

    #[test]
    fn nothing_is_known_of_a_new_address_and_a_probe_is_due() {
        let judgement = rules().judge(None, NOW);
        assert_eq!((judgement.entry.standing, judgement.is_due, judgement.is_new), (Standing::Unknown, true, true));
        assert_eq!(judgement.entry.text, IN_PROGRESS);
    }

    #[test]
    fn what_is_known_counts_until_it_expires_and_is_refreshed_before() {
        use Standing::*;
        for (standing, refresh, expire) in
            [(Deliverable, 7 * DAY, 31 * DAY), (Deferred, 3 * HOUR, 3 * DAY), (Undeliverable, 3 * HOUR, 3 * DAY)]
        {
            assert_eq!(judged(standing, 0, 0), (standing, false));
            assert_eq!(judged(standing, 0, refresh), (standing, false));
            assert_eq!(judged(standing, 0, refresh + 1), (standing, true));
            assert_eq!(judged(standing, 0, expire), (standing, true));
            assert_eq!(judged(standing, 0, expire + 1), (Unknown, true));
            assert!(rules().is_over(&entry(standing, 0, NOW - expire - 1), NOW));
            assert!(!rules().is_over(&entry(standing, 0, NOW - expire), NOW));
        }
    }

    #[test]
    fn a_probe_is_waited_for_a_thousand_seconds() {
        for age in [0, 1000] {
            assert_eq!(judged(Standing::Unknown, NOW - age, NOW), (Standing::Unknown, false));
            assert_eq!(judged(Standing::Undeliverable, NOW - age, 4 * HOUR), (Standing::Undeliverable, false));
        }
        for probed in [NOW - 1001, NOW + 1, 0] {
            assert_eq!(judged(Standing::Unknown, probed, NOW), (Standing::Unknown, true));
            assert!(rules().is_over(&entry(Standing::Unknown, probed, 0), NOW));
        }
    }

    #[test]
    fn a_failure_does_not_take_the_place_of_a_success() {
        let good = entry(Standing::Deliverable, NOW - 5, NOW - DAY);
        let failed = |before| updated(before, (Standing::Undeliverable, "no".to_owned()), NOW);
        assert_eq!(failed(Some(good.clone())), Entry { probed: 0, ..good.clone() });
        for before in [None, Some(entry(Standing::Unknown, NOW, 0)), Some(entry(Standing::Deferred, 0, NOW - 1))] {
            let found = failed(before);
            assert_eq!((found.standing, found.probed, found.updated), (Standing::Undeliverable, 0, NOW));
        }
        let again = updated(Some(good), (Standing::Deliverable, "yes".to_owned()), NOW);
        assert_eq!((again.updated, again.text.as_str()), (NOW, "yes"));
    }
}
