//! The numbers that steer one transport, as `default_X` and `TRANSPORT_X` of main.cf give them. They are plain values:
//! reading main.cf is not the scheduler's business, so that its laws can be tested without one.

use std::time::Duration;

/// The limits of one transport.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// `_destination_concurrency_limit`: simultaneous deliveries to one destination; 0 is no limit.
    pub concurrency: u32,
    /// `_initial_destination_concurrency`: the window of a destination that nothing is known about.
    pub initial_concurrency: u32,
    /// `_destination_recipient_limit`: recipients in one delivery; 0 is no limit.
    pub recipients: u32,
    /// `_delivery_slot_cost`: a job pays this many delivered entries for one entry of a job that overtakes it; below 2
    /// nobody overtakes.
    pub slot_cost: u32,
    /// `_delivery_slot_loan`: entries granted in advance.
    pub slot_loan: u32,
    /// `_delivery_slot_discount`: percentage of a candidate's entries granted in advance.
    pub slot_discount: u32,
    /// `_minimum_delivery_slots`: smaller jobs are not worth overtaking.
    pub minimum_slots: u32,
    /// `_recipient_limit`: recipients in memory, for all messages of this transport.
    pub recipient_pool: u32,
    /// `_extra_recipient_limit`: the same, for jobs that overtook others.
    pub extra_pool: u32,
    /// `_recipient_refill_limit`: read more recipients when this many fit.
    pub refill_limit: u32,
    /// `_recipient_refill_delay`: or when this much time has passed.
    pub refill_delay: Duration,
    /// `_destination_concurrency_positive_feedback`.
    pub positive: Feedback,
    /// `_destination_concurrency_negative_feedback`.
    pub negative: Feedback,
    /// `_destination_concurrency_failed_cohort_limit`: failed windows until a destination is dead; 0 is never.
    pub failed_cohorts: u32,
    /// `_destination_rate_delay`: pause after each delivery to one destination.
    pub destination_delay: Duration,
    /// `_transport_rate_delay`: pause after each delivery over the transport.
    pub transport_delay: Duration,
    /// destination_concurrency_feedback_debug: every change of a window is logged.
    pub debug: bool,
}

/// How much one success or failure changes a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Feedback {
    /// The same at any concurrency.
    Constant(f64),
    /// `N/concurrency`.
    PerWindow(f64),
    /// `N/sqrt_concurrency`.
    PerRoot(f64),
}

impl Feedback {
    /// The number of its form, for the log.
    pub fn form(self) -> u8 {
        match self {
            Self::Constant(_) => 0,
            Self::PerWindow(_) => 1,
            Self::PerRoot(_) => 2,
        }
    }

    /// Reads `N`, `N/M`, `N/concurrency` or `N/sqrt_concurrency`. `None` when it is none of these or the value is
    /// outside [0, 1]; the caller warns and uses 1.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, by) = match text.split_once('/') {
            Some((number, by)) => (number, Some(by.trim())),
            None => (text, None),
        };
        let number: f64 = number.trim().parse().ok()?;
        let feedback = match by {
            None => Self::Constant(number),
            Some("concurrency") => Self::PerWindow(number),
            Some("sqrt_concurrency") => Self::PerRoot(number),
            Some(divisor) => {
                let divisor: f64 = divisor.parse().ok().filter(|d| *d > 0.0)?;
                Self::Constant(number / divisor)
            }
        };
        (0.0..=1.0).contains(&feedback.at(1)).then_some(feedback)
    }

    /// The value at a window of this size.
    pub fn at(self, window: u32) -> f64 {
        let window = f64::from(window.max(1));
        match self {
            Self::Constant(value) => value,
            Self::PerWindow(value) => value / window,
            Self::PerRoot(value) => value / window.sqrt(),
        }
    }
}

#[cfg(test)]
pub fn defaults() -> Limits {
    Limits {
        concurrency: 20,
        initial_concurrency: 5,
        recipients: 50,
        slot_cost: 5,
        slot_loan: 3,
        slot_discount: 50,
        minimum_slots: 3,
        recipient_pool: 20_000,
        extra_pool: 1000,
        refill_limit: 100,
        refill_delay: Duration::from_secs(5),
        positive: Feedback::Constant(1.0),
        negative: Feedback::Constant(1.0),
        failed_cohorts: 1,
        destination_delay: Duration::ZERO,
        transport_delay: Duration::ZERO,
        debug: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_has_four_forms() {
        assert_eq!(Feedback::parse("1"), Some(Feedback::Constant(1.0)));
        assert_eq!(Feedback::parse("1/5"), Some(Feedback::Constant(0.2)));
        assert_eq!(Feedback::parse("1 / concurrency"), Some(Feedback::PerWindow(1.0)));
        assert_eq!(Feedback::parse("0.5/sqrt_concurrency"), Some(Feedback::PerRoot(0.5)));
        assert_eq!(Feedback::PerWindow(1.0).at(4), 0.25);
        assert_eq!(Feedback::PerRoot(1.0).at(4), 0.5);
    }

    #[test]
    fn feedback_outside_zero_to_one_is_refused() {
        for text in ["2", "-1", "1/0", "x", "1/x", "2/concurrency", ""] {
            assert_eq!(Feedback::parse(text), None, "{text}");
        }
    }
}
