//! The parameters that all delivery agents share.

use std::time::Duration;

/// Settings of the log line, the lock and the verdict; each field names its parameter.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `info_log_address_format = external`: quoted as RFC 5321 wants; `internal`: raw.
    pub external_addresses: bool,
    /// `delay_logging_resolution_limit`: digits behind the point, 0 to 6.
    pub delay_decimals: u8,
    /// `deliver_lock_attempts`.
    pub lock_attempts: u32,
    /// `deliver_lock_delay`.
    pub lock_delay: Duration,
    /// `soft_bounce`: failures are deferrals, for testing.
    pub soft_bounce: bool,
}

impl Default for Settings {
    /// Postfix's defaults.
    fn default() -> Self {
        Settings {
            external_addresses: true,
            delay_decimals: 2,
            lock_attempts: 20,
            lock_delay: Duration::from_secs(1),
            soft_bounce: false,
        }
    }
}
