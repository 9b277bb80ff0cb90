//! What main.cf says to this daemon.

use std::time::Duration;

use address::Delimiters;
use config::{Config, Param, Value, ValueError, param};
use queue::Spool;

use crate::retry::RetrySettings;
use crate::scheduler::{Feedback, Limits};

/// Settings, read once.
pub struct Settings {
    /// The queue directory.
    pub spool: Spool,
    /// qmgr_message_active_limit.
    pub active_limit: usize,
    /// qmgr_message_recipient_limit.
    pub recipient_limit: usize,
    /// qmgr_message_recipient_minimum.
    pub recipient_minimum: usize,
    /// queue_file_attribute_count_limit.
    pub attribute_limit: usize,
    /// queue_run_delay.
    pub run_delay: Duration,
    /// Backoff and lifetimes.
    pub retry: RetrySettings,
    /// defer_transports.
    pub defer_transports: Vec<String>,
    /// transport_retry_time.
    pub transport_retry_time: Duration,
    /// qmgr_clog_warn_time; zero is never.
    pub clog_warn_time: Duration,
    /// default_filter_nexthop.
    pub filter_nexthop: String,
    /// myhostname.
    pub hostname: String,
    /// double_bounce_sender, the local part.
    pub double_bounce_sender: String,
    /// confirm_delay_cleared.
    pub confirm_delay_cleared: bool,
    /// daemon_timeout: longest time of one delivery.
    pub delivery_timeout: Duration,
    /// default_process_limit: tokens in the flow-control pipe.
    pub flow_tokens: usize,
    /// recipient_delimiter.
    pub delimiters: Delimiters,
    /// dont_remove: finished messages go to the saved queue.
    pub keep_finished: bool,
    /// info_log_address_format, delay_logging_resolution_limit.
    pub log: delivery::Settings,
}

impl Settings {
    /// Reads the settings.
    pub fn read(config: &Config) -> Result<Self, ValueError> {
        let number = |param| config.get::<i64>(param).map(|value| usize::try_from(value).unwrap_or(0));
        let delimiter = config.get(param::RECIPIENT_DELIMITER)?;
        Ok(Settings {
            spool: config.spool()?,
            active_limit: number(param::QMGR_MESSAGE_ACTIVE_LIMIT)?.max(1),
            recipient_limit: number(param::QMGR_MESSAGE_RECIPIENT_LIMIT)?,
            recipient_minimum: number(param::QMGR_MESSAGE_RECIPIENT_MINIMUM)?.max(1),
            attribute_limit: number(param::QUEUE_FILE_ATTRIBUTE_COUNT_LIMIT)?,
            run_delay: config.get(param::QUEUE_RUN_DELAY)?.max(Duration::from_secs(1)),
            retry: RetrySettings {
                minimum: config.get(param::MINIMAL_BACKOFF_TIME)?,
                maximum: config.get(param::MAXIMAL_BACKOFF_TIME)?,
                lifetime: config.get(param::MAXIMAL_QUEUE_LIFETIME)?,
                bounce_lifetime: config.get(param::BOUNCE_QUEUE_LIFETIME)?,
            },
            defer_transports: config.get(param::DEFER_TRANSPORTS)?,
            transport_retry_time: config.get(param::TRANSPORT_RETRY_TIME)?,
            clog_warn_time: config.get(param::QMGR_CLOG_WARN_TIME)?,
            filter_nexthop: config.get(param::DEFAULT_FILTER_NEXTHOP)?,
            hostname: config.get(param::MYHOSTNAME)?,
            double_bounce_sender: config.get(param::DOUBLE_BOUNCE_SENDER)?,
            confirm_delay_cleared: config.get(param::CONFIRM_DELAY_CLEARED)?,
            delivery_timeout: config.get(param::DAEMON_TIMEOUT)?,
            flow_tokens: number(param::DEFAULT_PROCESS_LIMIT)?,
            delimiters: Delimiters::new(&delimiter, config.get(param::OWNER_REQUEST_SPECIAL)?),
            keep_finished: number(param::DONT_REMOVE)? != 0,
            log: delivery::Settings::read(config)?,
        })
    }
}

/// The limits of a transport: `TRANSPORT_X`, else `default_X`.
///
/// # Errors
/// One of them is no valid value.
pub fn limits_of(config: &Config, transport: &str) -> Result<Limits, ValueError> {
    let number = |suffix, fallback: Param<i64>| -> Result<u32, ValueError> {
        let value: i64 = config.transport_value(transport, suffix, fallback)?;
        Ok(u32::try_from(value.max(0)).unwrap_or(u32::MAX))
    };
    let time = |suffix, fallback: Param<Duration>| value(config, transport, suffix, fallback);
    Ok(Limits {
        concurrency: number("_destination_concurrency_limit", param::DEFAULT_DESTINATION_CONCURRENCY_LIMIT)?,
        initial_concurrency: number("_initial_destination_concurrency", param::INITIAL_DESTINATION_CONCURRENCY)?,
        recipients: number("_destination_recipient_limit", param::DEFAULT_DESTINATION_RECIPIENT_LIMIT)?,
        slot_cost: number("_delivery_slot_cost", param::DEFAULT_DELIVERY_SLOT_COST)?,
        slot_loan: number("_delivery_slot_loan", param::DEFAULT_DELIVERY_SLOT_LOAN)?,
        slot_discount: number("_delivery_slot_discount", param::DEFAULT_DELIVERY_SLOT_DISCOUNT)?,
        minimum_slots: number("_minimum_delivery_slots", param::DEFAULT_MINIMUM_DELIVERY_SLOTS)?,
        recipient_pool: number("_recipient_limit", param::DEFAULT_RECIPIENT_LIMIT)?,
        extra_pool: number("_extra_recipient_limit", param::DEFAULT_EXTRA_RECIPIENT_LIMIT)?,
        refill_limit: number("_recipient_refill_limit", param::DEFAULT_RECIPIENT_REFILL_LIMIT)?,
        refill_delay: time("_recipient_refill_delay", param::DEFAULT_RECIPIENT_REFILL_DELAY)?,
        positive: feedback(
            config,
            transport,
            "_destination_concurrency_positive_feedback",
            param::DEFAULT_DESTINATION_CONCURRENCY_POSITIVE_FEEDBACK,
        )?,
        negative: feedback(
            config,
            transport,
            "_destination_concurrency_negative_feedback",
            param::DEFAULT_DESTINATION_CONCURRENCY_NEGATIVE_FEEDBACK,
        )?,
        failed_cohorts: number(
            "_destination_concurrency_failed_cohort_limit",
            param::DEFAULT_DESTINATION_CONCURRENCY_FAILED_COHORT_LIMIT,
        )?,
        destination_delay: time("_destination_rate_delay", param::DEFAULT_DESTINATION_RATE_DELAY)?,
        transport_delay: time("_transport_rate_delay", param::DEFAULT_TRANSPORT_RATE_DELAY)?,
    })
}

fn value<T: Value>(config: &Config, transport: &str, suffix: &str, fallback: Param<T>) -> Result<T, ValueError> {
    config.transport_value(transport, suffix, fallback)
}

fn feedback(config: &Config, transport: &str, suffix: &str, fallback: Param<String>) -> Result<Feedback, ValueError> {
    let text = value(config, transport, suffix, fallback)?;
    Ok(Feedback::parse(&text).unwrap_or_else(|| {
        let name = fallback.name();
        logging::warning!("{transport}{suffix}: bad feedback specification: {text}; using 1 (see {name})");
        Feedback::Constant(1.0)
    }))
}
