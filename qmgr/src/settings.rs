//! What main.cf says to this daemon.

use std::time::Duration;

use address::Delimiters;
use config::{Config, Param, Reader, ValueError, param};
use queue::Spool;
use wire::showq::Style;

use crate::retry::RetrySettings;
use crate::scheduler::{Feedback, Limits, Significant};

config::settings! {
    /// Settings, read once.
    pub struct Settings {
        /// The queue directory.
        spool: Spool => |from: &Reader<'_>| from.config.spool(),
        active_limit: usize = param::QMGR_MESSAGE_ACTIVE_LIMIT,
        recipient_limit: usize = param::QMGR_MESSAGE_RECIPIENT_LIMIT,
        recipient_minimum: usize = param::QMGR_MESSAGE_RECIPIENT_MINIMUM,
        attribute_limit: usize = param::QUEUE_FILE_ATTRIBUTE_COUNT_LIMIT,
        run_delay: Duration = param::QUEUE_RUN_DELAY => |delay: Duration| delay.max(Duration::from_secs(1)),
        /// Backoff and lifetimes.
        retry: RetrySettings => RetrySettings::read,
        defer_transports: Vec<String> = param::DEFER_TRANSPORTS,
        /// Probes of address verification that are in the active queue.
        probe_limit: usize = param::ADDRESS_VERIFY_PENDING_REQUEST_LIMIT,
        transport_retry_time: Duration = param::TRANSPORT_RETRY_TIME,
        /// Zero is never.
        clog_warn_time: Duration = param::QMGR_CLOG_WARN_TIME,
        filter_nexthop: String = param::DEFAULT_FILTER_NEXTHOP,
        hostname: String = param::MYHOSTNAME,
        /// The local part.
        double_bounce_sender: String = param::DOUBLE_BOUNCE_SENDER,
        confirm_delay_cleared: bool = param::CONFIRM_DELAY_CLEARED,
        /// The longest time of one delivery.
        delivery_timeout: Duration = param::DAEMON_TIMEOUT,
        /// Tokens in the flow-control pipe.
        flow_tokens: usize = param::DEFAULT_PROCESS_LIMIT,
        /// How lists show messages.
        list_style: Style => list_style,
        /// Where an address extension begins.
        delimiters: Delimiters => |from: &Reader<'_>| from.config.delimiters(),
        /// Finished messages go to the saved queue.
        keep_finished: bool = param::DONT_REMOVE => |number| number != 0,
        /// What all programs that deliver read.
        log: delivery::Settings => delivery::Settings::read,
    }
}

impl Settings {
    /// A message has one recipient at least.
    pub fn adjusted(mut self) -> Self {
        if self.recipient_limit < self.active_limit {
            logging::warning!(
                "qmgr_message_recipient_limit is smaller than qmgr_message_active_limit - adjusting \
                 qmgr_message_recipient_limit"
            );
            self.recipient_limit = self.active_limit;
        }
        self.retry = self.retry.adjusted();
        self
    }
}

fn list_style(from: &Reader<'_>) -> Result<Style, ValueError> {
    let null_address = from.get(param::EMPTY_ADDRESS_RECIPIENT)?.into_bytes();
    Ok(Style { modern: from.config.modern_log(), null_address })
}

/// The program's name in old master.cf files.
const OLD_NAME: &str = "oqmgr";

/// The limits of a transport: `TRANSPORT_X`, else `default_X`.
///
/// # Errors
/// One of them is no valid value.
pub fn limits_of(config: &Config, transport: &str) -> Result<Limits, ValueError> {
    let from = Reader::of_service(config, transport);
    // The queue manager of that name serves one message after the other: none overtakes.
    let none_overtakes = config.get(param::PROCESS_NAME)? == OLD_NAME;
    let debug = config.get(param::DESTINATION_CONCURRENCY_FEEDBACK_DEBUG)?;
    let initial = from.read(param::INITIAL_DESTINATION_CONCURRENCY)?;
    let feedback = |param: Param<String>| {
        let of_transport = from.name(&param);
        let name = if config.is_set(&of_transport) { &of_transport } else { param.name() };
        let value = feedback(name, &from.get(param)?);
        if debug {
            let (form, at) = (value.form(), Significant(value.at(initial)));
            logging::info!("{transport}: {name} feedback type {form} value at {initial}: {at}");
        }
        Ok::<Feedback, ValueError>(value)
    };
    Ok(Limits {
        concurrency: from.read(param::DEFAULT_DESTINATION_CONCURRENCY_LIMIT)?,
        initial_concurrency: initial,
        recipients: from.read(param::DEFAULT_DESTINATION_RECIPIENT_LIMIT)?,
        slot_cost: if none_overtakes { 0 } else { from.read(param::DEFAULT_DELIVERY_SLOT_COST)? },
        slot_loan: from.read(param::DEFAULT_DELIVERY_SLOT_LOAN)?,
        slot_discount: from.read(param::DEFAULT_DELIVERY_SLOT_DISCOUNT)?,
        minimum_slots: from.read(param::DEFAULT_MINIMUM_DELIVERY_SLOTS)?,
        recipient_pool: from.read(param::DEFAULT_RECIPIENT_LIMIT)?,
        extra_pool: from.read(param::DEFAULT_EXTRA_RECIPIENT_LIMIT)?,
        refill_limit: from.read(param::DEFAULT_RECIPIENT_REFILL_LIMIT)?,
        refill_delay: from.read(param::DEFAULT_RECIPIENT_REFILL_DELAY)?,
        positive: feedback(param::DEFAULT_DESTINATION_CONCURRENCY_POSITIVE_FEEDBACK)?,
        negative: feedback(param::DEFAULT_DESTINATION_CONCURRENCY_NEGATIVE_FEEDBACK)?,
        failed_cohorts: from.read(param::DEFAULT_DESTINATION_CONCURRENCY_FAILED_COHORT_LIMIT)?,
        destination_delay: from.read(param::DEFAULT_DESTINATION_RATE_DELAY)?,
        transport_delay: from.read(param::DEFAULT_TRANSPORT_RATE_DELAY)?,
        debug,
    })
}

/// Limits of a transport that is not in main.cf either are the defaults: reading them cannot fail once the settings
/// were read. Checked at start.
pub fn check_defaults(config: &Config) -> Result<(), ValueError> {
    // Each transport tells of its feedback when it begins.
    limits_of(&config.with(param::DESTINATION_CONCURRENCY_FEEDBACK_DEBUG.name(), "no"), "smtp").map(drop)
}

fn feedback(name: &str, text: &str) -> Feedback {
    Feedback::parse(text).unwrap_or_else(|| {
        logging::warning!("{name}: ignoring malformed or unreasonable feedback: {text}");
        Feedback::Constant(1.0)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn limits(main_cf: &str, transport: &str) -> Limits {
        let config = Config::parse(main_cf.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
        limits_of(&config, transport).unwrap()
    }

    /// Every limit by the end of its name, with a value that none has by itself.
    const OTHERS: [(&str, &str, &str); 16] = [
        ("default", "_destination_concurrency_limit", "31"),
        ("", "initial_destination_concurrency", "7"),
        ("default", "_destination_recipient_limit", "32"),
        ("default", "_delivery_slot_cost", "33"),
        ("default", "_delivery_slot_loan", "34"),
        ("default", "_delivery_slot_discount", "35"),
        ("default", "_minimum_delivery_slots", "36"),
        ("default", "_recipient_limit", "37"),
        ("default", "_extra_recipient_limit", "38"),
        ("default", "_recipient_refill_limit", "39"),
        ("default", "_recipient_refill_delay", "40s"),
        ("default", "_destination_concurrency_positive_feedback", "1/4"),
        ("default", "_destination_concurrency_negative_feedback", "1/concurrency"),
        ("default", "_destination_concurrency_failed_cohort_limit", "41"),
        ("default", "_destination_rate_delay", "42s"),
        ("default", "_transport_rate_delay", "43s"),
    ];

    fn others() -> Limits {
        Limits {
            concurrency: 31,
            initial_concurrency: 7,
            recipients: 32,
            slot_cost: 33,
            slot_loan: 34,
            slot_discount: 35,
            minimum_slots: 36,
            recipient_pool: 37,
            extra_pool: 38,
            refill_limit: 39,
            refill_delay: Duration::from_secs(40),
            positive: Feedback::Constant(0.25),
            negative: Feedback::PerWindow(1.0),
            failed_cohorts: 41,
            destination_delay: Duration::from_secs(42),
            transport_delay: Duration::from_secs(43),
            debug: false,
        }
    }

    #[test]
    fn each_limit_is_that_of_all_transports_or_that_of_one() {
        let of_all: String = OTHERS.map(|(start, end, value)| format!("{start}{end} = {value}\n")).concat();
        assert_eq!(limits(&of_all, "slow"), others());
        let end = |name: &'static str| if name.starts_with('_') { name.to_owned() } else { format!("_{name}") };
        let of_one: String = OTHERS.map(|(_, name, value)| format!("slow{} = {value}\n", end(name))).concat();
        assert_eq!(limits(&of_one, "slow"), others());
        assert_eq!(limits(&of_one, "fast"), limits("", "fast"));
        assert_eq!(limits("", "fast"), crate::scheduler::defaults());
    }

    #[test]
    fn nobody_overtakes_where_the_program_is_called_oqmgr() {
        assert_eq!(limits("process_name = qmgr\n", "local").slot_cost, 5);
        let old = limits("process_name = oqmgr\nlocal_delivery_slot_cost = 7\n", "local");
        // With a cost of zero the scheduler lets nobody overtake.
        assert_eq!(old, Limits { slot_cost: 0, ..limits("", "local") });
    }

    #[test]
    fn there_is_room_for_a_recipient_of_each_message() {
        for (main_cf, room) in [("", 20_000), ("qmgr_message_active_limit = 30\n", 30)] {
            let text = format!("{main_cf}qmgr_message_recipient_limit = 20\n");
            let config = Config::parse(text.as_bytes(), Path::new("/proc/self/none"), &[]).unwrap();
            assert_eq!(Settings::read(&config).unwrap().adjusted().recipient_limit, room);
        }
    }
}
