//! What main.cf says to this daemon.

use std::time::Duration;

use address::Delimiters;
use config::{Config, Param, Reader, ValueError, param};
use queue::Spool;
use wire::showq::Style;

use crate::retry::RetrySettings;
use crate::scheduler::{Feedback, Limits};

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
    Ok(Limits {
        concurrency: from.read(param::DEFAULT_DESTINATION_CONCURRENCY_LIMIT)?,
        initial_concurrency: from.read(param::INITIAL_DESTINATION_CONCURRENCY)?,
        recipients: from.read(param::DEFAULT_DESTINATION_RECIPIENT_LIMIT)?,
        slot_cost: if none_overtakes { 0 } else { from.read(param::DEFAULT_DELIVERY_SLOT_COST)? },
        slot_loan: from.read(param::DEFAULT_DELIVERY_SLOT_LOAN)?,
        slot_discount: from.read(param::DEFAULT_DELIVERY_SLOT_DISCOUNT)?,
        minimum_slots: from.read(param::DEFAULT_MINIMUM_DELIVERY_SLOTS)?,
        recipient_pool: from.read(param::DEFAULT_RECIPIENT_LIMIT)?,
        extra_pool: from.read(param::DEFAULT_EXTRA_RECIPIENT_LIMIT)?,
        refill_limit: from.read(param::DEFAULT_RECIPIENT_REFILL_LIMIT)?,
        refill_delay: from.read(param::DEFAULT_RECIPIENT_REFILL_DELAY)?,
        positive: feedback(&from, param::DEFAULT_DESTINATION_CONCURRENCY_POSITIVE_FEEDBACK)?,
        negative: feedback(&from, param::DEFAULT_DESTINATION_CONCURRENCY_NEGATIVE_FEEDBACK)?,
        failed_cohorts: from.read(param::DEFAULT_DESTINATION_CONCURRENCY_FAILED_COHORT_LIMIT)?,
        destination_delay: from.read(param::DEFAULT_DESTINATION_RATE_DELAY)?,
        transport_delay: from.read(param::DEFAULT_TRANSPORT_RATE_DELAY)?,
    })
}

/// Limits of a transport that is not in main.cf either are the defaults: reading them cannot fail once the settings
/// were read. Checked at start.
pub fn check_defaults(config: &Config) -> Result<(), ValueError> {
    limits_of(config, "smtp").map(drop)
}

fn feedback(from: &Reader<'_>, param: Param<String>) -> Result<Feedback, ValueError> {
    let text = from.get(param)?;
    Ok(Feedback::parse(&text).unwrap_or_else(|| {
        let (name, fallback) = (from.name(&param), param.name());
        logging::warning!("{name}: bad feedback specification: {text}; using 1 (see {fallback})");
        Feedback::Constant(1.0)
    }))
}
