//! The parameters that all delivery agents share.

use std::time::Duration;

use config::{Config, ValueError, Withheld, param};

/// How log lines show addresses (info_log_address_format).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFormat {
    /// Quoted as RFC 5321 wants.
    #[default]
    External,
    /// As they are in the queue file.
    Internal,
}

impl AddressFormat {
    /// Reads the parameter.
    ///
    /// # Errors
    /// It has no valid value.
    pub fn read(config: &Config) -> Result<Self, ValueError> {
        let format = config.get(param::INFO_LOG_ADDRESS_FORMAT)?;
        Ok(if format.eq_ignore_ascii_case("internal") { Self::Internal } else { Self::External })
    }

    /// The address, given in internal form, for a log line.
    pub fn shown(self, address: &[u8]) -> String {
        match self {
            Self::External => text::printable(&address::quote(address)),
            Self::Internal => text::printable(address),
        }
    }
}

/// Settings of the log line, the lock and the verdict; each field names its parameter.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How log lines show addresses.
    pub addresses: AddressFormat,
    /// `delay_logging_resolution_limit`: digits behind the point, 0 to 6.
    pub delay_decimals: u8,
    /// `deliver_lock_attempts`.
    pub lock_attempts: u32,
    /// `deliver_lock_delay`.
    pub lock_delay: Duration,
    /// `soft_bounce`: failures are deferrals, for testing.
    pub soft_bounce: bool,
    /// A setting that asks for what the agent does not have: nothing is delivered while it is set.
    pub withheld: Option<&'static str>,
}

impl Default for Settings {
    /// Postfix's defaults.
    fn default() -> Self {
        Settings {
            addresses: AddressFormat::External,
            delay_decimals: 2,
            lock_attempts: 20,
            lock_delay: Duration::from_secs(1),
            soft_bounce: false,
            withheld: None,
        }
    }
}

impl Settings {
    /// Reads the parameters.
    ///
    /// # Errors
    /// One of them has no valid value.
    pub fn read(config: &Config) -> Result<Self, ValueError> {
        Ok(Settings {
            addresses: AddressFormat::read(config)?,
            delay_decimals: u8::try_from(config.get(param::DELAY_LOGGING_RESOLUTION_LIMIT)?).unwrap_or(2),
            lock_attempts: u32::try_from(config.get(param::DELIVER_LOCK_ATTEMPTS)?).unwrap_or(20),
            lock_delay: config.get(param::DELIVER_LOCK_DELAY)?,
            soft_bounce: config.get(param::SOFT_BOUNCE)?,
            withheld: None,
        })
    }

    /// The same for an agent that must not pass over these settings, and has no better answer to them.
    #[must_use]
    pub fn without(mut self, settings: Vec<Withheld>) -> Self {
        self.withheld = settings.first().map(|setting| setting.name);
        self
    }
}
