//! One destination of a transport: the next hop, or the one mailbox of a transport that delivers to one recipient at a
//! time. It decides how many deliveries may run at once, from how the last ones went, and when to stop trying.
//!
//! It must never let a window fall below one nor grow beyond the limit, and never count a refusal of one recipient
//! against the host.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use dsn::Status;

use super::arena::Number;
use super::job::JobId;
use super::limits::Limits;
use super::order::Label;

/// The number of a destination in its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId(usize);

impl Number for DestinationId {
    fn of(slot: usize) -> Self {
        Self(slot)
    }

    fn slot(self) -> usize {
        self.0
    }
}

/// A host-level problem: why nothing can be delivered there at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFailure {
    /// Enhanced status code, such as `4.4.1`.
    pub status: Status,
    /// The reason, such as `connect to host[address]:25: Connection refused`.
    pub text: Vec<u8>,
}

/// What the destination is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Deliveries may start while the window allows.
    Ready,
    /// Between two deliveries of a rate-limited destination (`_destination_rate_delay`).
    Suspended {
        /// When deliveries go on.
        until: Instant,
    },
    /// Too many host-level failures: everything for it is deferred unseen.
    Dead {
        /// When it may be tried again.
        until: Instant,
        /// The last failure.
        why: HostFailure,
    },
}

/// What a delivery has shown about the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The host works; single recipients may have been refused.
    Reached,
    /// The host does not work.
    Failed(HostFailure),
    /// The delivery says nothing about the host (the agent died).
    Unknown,
}

/// The state of one destination.
pub struct Destination {
    /// The name it is found by in its transport.
    pub key: Vec<u8>,
    /// The next hop as it is given to the agent.
    pub nexthop: Vec<u8>,
    /// Deliveries that may run at once.
    pub window: u32,
    /// Deliveries that run.
    pub busy: u32,
    /// What it is doing.
    pub state: State,
    /// Jobs with entries waiting for this destination, in the order of the job list.
    pub waiting: BTreeMap<Label, JobId>,
    /// Entries waiting.
    pub entries: usize,
    /// Where the transport's index of ready destinations has this one.
    pub indexed: Option<Label>,
    /// When the operator was last told that it clogs the active queue.
    pub warned: Option<Instant>,
    success: f64,
    failure: f64,
    failed_cohorts: f64,
}

impl Destination {
    /// A destination that nothing is known about.
    pub fn new(key: Vec<u8>, nexthop: Vec<u8>, limits: &Limits) -> Self {
        Self {
            key,
            nexthop,
            window: initial_window(limits),
            busy: 0,
            state: State::Ready,
            waiting: BTreeMap::new(),
            entries: 0,
            indexed: None,
            warned: None,
            success: 0.0,
            failure: 0.0,
            failed_cohorts: 0.0,
        }
    }

    /// Whether one more delivery may start.
    pub fn is_free(&self) -> bool {
        self.state == State::Ready && self.busy < self.window
    }

    /// Whether it holds nothing worth remembering: no delivery, no entry, no state. What was learnt about the window is
    /// forgotten with it.
    pub fn is_forgettable(&self) -> bool {
        self.state == State::Ready && self.busy == 0 && self.waiting.is_empty()
    }

    /// Takes what a finished delivery has shown. Call it while the delivery still counts as busy. True: the destination
    /// is dead from now on.
    pub fn learn(&mut self, verdict: &Verdict, limits: &Limits, dead_time: Duration, now: Instant) -> bool {
        match verdict {
            Verdict::Reached => {
                self.succeed(limits);
                self.tell("qmgr_queue_unthrottle", limits);
                false
            }
            Verdict::Failed(_) if matches!(self.state, State::Dead { .. }) => false,
            Verdict::Failed(why) => {
                let is_dead = self.fail(limits);
                self.tell("qmgr_queue_throttle", limits);
                if is_dead {
                    self.state = State::Dead { until: now + dead_time, why: why.clone() };
                }
                is_dead
            }
            Verdict::Unknown => false,
        }
    }

    /// destination_concurrency_feedback_debug: what is known now.
    fn tell(&self, did: &str, limits: &Limits) {
        if limits.debug {
            let (queue, limit, window) = (text::printable(&self.nexthop), limits.concurrency, self.window);
            let [success, failure, cohorts] = [self.success, self.failure, self.failed_cohorts].map(Significant);
            logging::info!(
                "{did}: queue {queue}: limit {limit} window {window} success {success} failure {failure} fail_cohorts {cohorts}"
            );
        }
    }

    /// Starts the pause after a delivery of a rate-limited destination.
    pub fn suspend(&mut self, limits: &Limits, now: Instant) {
        if self.state == State::Ready && !limits.destination_delay.is_zero() {
            let until = now + limits.destination_delay;
            self.state = State::Suspended { until };
        }
    }

    /// Ends a pause or a dead time that is over.
    pub fn wake(&mut self, limits: &Limits, now: Instant) {
        match self.state {
            State::Suspended { until } if until <= now => self.state = State::Ready,
            State::Dead { until, .. } if until <= now => self.revive(limits),
            _ => {}
        }
    }

    /// Ends the dead time at once (trigger `F`).
    pub fn revive(&mut self, limits: &Limits) {
        self.state = State::Ready;
        self.window = if self.busy > 0 { self.busy } else { initial_window(limits) };
        self.success = 0.0;
        self.failure = 0.0;
        self.failed_cohorts = 0.0;
    }

    fn succeed(&mut self, limits: &Limits) {
        self.failed_cohorts = 0.0;
        let limit = window_limit(limits);
        // Only a destination that uses its window shows that it could take more.
        if self.window >= limit || self.window >= self.busy.saturating_add(limits.initial_concurrency) {
            return;
        }
        let feedback = limits.positive.at(self.window);
        if limits.debug {
            logging::info!("qmgr_queue_unthrottle: feedback {}", Significant(feedback));
        }
        self.success += feedback;
        while self.success + feedback / 2.0 >= 1.0 {
            self.window = self.window.saturating_add(1).min(limit);
            self.success -= 1.0;
            self.failure = 0.0;
            if self.window == limit {
                self.success = 0.0;
                break;
            }
        }
    }

    fn fail(&mut self, limits: &Limits) -> bool {
        self.failed_cohorts += 1.0 / f64::from(self.window.max(1));
        // Thirds and sevenths add up to slightly less than one.
        let limit = f64::from(limits.failed_cohorts) - 1e-6;
        let feedback = limits.negative.at(self.window);
        if limits.debug {
            logging::info!("qmgr_queue_throttle: feedback {}", Significant(feedback));
        }
        self.failure -= feedback;
        while self.failure - feedback / 2.0 < 0.0 && self.window > 1 {
            self.window -= 1;
            self.success = 0.0;
            self.failure += 1.0;
        }
        limits.failed_cohorts > 0 && self.failed_cohorts >= limit
    }
}

/// A number with six digits that count, as C's `%g` writes those that occur here.
pub struct Significant(pub f64);

impl fmt::Display for Significant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digits in front of the point; none counts where all of them are zeros behind it.
        let whole = if self.0 == 0.0 { 1.0 } else { self.0.abs().log10().floor() + 1.0 };
        let text = format!("{:.*}", (6.0 - whole).clamp(0.0, 12.0) as usize, self.0);
        f.write_str(if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text })
    }
}

fn initial_window(limits: &Limits) -> u32 {
    limits.initial_concurrency.clamp(1, window_limit(limits))
}

fn window_limit(limits: &Limits) -> u32 {
    match limits.concurrency {
        _ if !limits.destination_delay.is_zero() => 1,
        0 => u32::MAX,
        limit => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{Feedback, defaults};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_six_digits_that_count_and_no_zeros_behind_them() {
        let numbers = [(0.0, "0"), (1.0, "1"), (0.2, "0.2"), (1.0 / 3.0, "0.333333"), (16.0 / 30.0, "0.533333")];
        for (number, text) in numbers.into_iter().chain([(4.0 / 3.0, "1.33333"), (-0.25, "-0.25"), (20.0, "20")]) {
            assert_eq!(Significant(number).to_string(), text);
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    fn refused() -> Verdict {
        Verdict::Failed(HostFailure { status: Status::new(4, 4, 1), text: b"refused".to_vec() })
    }

    #[test]
    fn the_window_starts_at_the_initial_concurrency_and_grows_with_success_up_to_the_limit() {
        let limits = defaults();
        let mut destination = Destination::new(b"a".to_vec(), Vec::new(), &limits);
        assert_eq!(destination.window, 5);
        for _ in 0..40 {
            destination.busy = destination.window;
            destination.learn(&Verdict::Reached, &limits, MINUTE, Instant::now());
        }
        assert_eq!(destination.window, 20);
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        let limits = defaults();
        let mut destination = Destination::new(b"a".to_vec(), Vec::new(), &limits);
        destination.busy = 1;
        for _ in 0..40 {
            destination.learn(&Verdict::Reached, &limits, MINUTE, Instant::now());
        }
        assert_eq!(destination.window, 6);
    }

    #[test]
    fn a_failed_cohort_makes_the_destination_dead_and_time_revives_it() {
        let limits = defaults();
        let now = Instant::now();
        let mut destination = Destination::new(b"a".to_vec(), Vec::new(), &limits);
        let dead: Vec<bool> = (0..5).map(|_| destination.learn(&refused(), &limits, MINUTE, now)).collect();
        assert!(dead[4] || dead[3] || dead[2], "dead within one window of failures");
        assert!(!destination.is_free());
        destination.wake(&limits, now + MINUTE / 2);
        assert!(!destination.is_free());
        destination.wake(&limits, now + MINUTE);
        assert!(destination.is_free());
        assert_eq!(destination.window, 5);
    }

    #[test]
    fn one_success_forgives_the_failures_before_it() {
        let mut limits = defaults();
        limits.negative = Feedback::Constant(0.0);
        let mut destination = Destination::new(b"a".to_vec(), Vec::new(), &limits);
        for _ in 0..100 {
            assert!(!destination.learn(&refused(), &limits, MINUTE, Instant::now()));
            destination.learn(&Verdict::Reached, &limits, MINUTE, Instant::now());
        }
    }

    #[test]
    fn a_rate_delay_allows_one_delivery_and_then_a_pause() {
        let mut limits = defaults();
        limits.destination_delay = MINUTE;
        let now = Instant::now();
        let mut destination = Destination::new(b"a".to_vec(), Vec::new(), &limits);
        assert_eq!(destination.window, 1);
        destination.suspend(&limits, now);
        assert!(!destination.is_free());
        destination.wake(&limits, now + MINUTE);
        assert!(destination.is_free());
    }

    proptest! {
        #[test]
        fn the_window_stays_between_one_and_the_limit(
            results in proptest::collection::vec(any::<bool>(), 0..200),
            limit in 0u32..30, initial in 1u32..10, cohorts in 0u32..3,
        ) {
            let mut limits = defaults();
            (limits.concurrency, limits.initial_concurrency, limits.failed_cohorts) = (limit, initial, cohorts);
            let mut destination = Destination::new(Vec::new(), Vec::new(), &limits);
            for good in results {
                destination.busy = destination.window;
                let verdict = if good { Verdict::Reached } else { refused() };
                destination.learn(&verdict, &limits, MINUTE, Instant::now());
                prop_assert!(destination.window >= 1);
                prop_assert!(limit == 0 || destination.window <= limit);
            }
        }
    }
}
