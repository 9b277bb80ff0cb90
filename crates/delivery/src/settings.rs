//! The parameters that all delivery agents share.

use config::{Config, Param, Reader, ValueError, Withheld, param};
use daemon::StartError;

use crate::StatusFilter;

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
    /// The format of this name.
    pub fn named(name: String) -> Self {
        if name.eq_ignore_ascii_case("internal") { Self::Internal } else { Self::External }
    }

    /// The address, given in internal form, for a log line.
    pub fn shown(self, address: &[u8]) -> String {
        match self {
            Self::External => text::printable(&address::quote(address)),
            Self::Internal => text::printable(address),
        }
    }
}

config::settings! {
    /// Settings of the log line and the verdict.
    #[derive(Clone, Debug)]
    pub struct Settings {
        addresses: AddressFormat = param::INFO_LOG_ADDRESS_FORMAT => AddressFormat::named,
        /// Digits behind the point, 0 to 6.
        delay_decimals: u8 = param::DELAY_LOGGING_RESOLUTION_LIMIT,
        /// Addresses have no case beyond ASCII either.
        utf8: bool = param::SMTPUTF8_ENABLE,
        /// Failures are deferrals, for testing.
        soft_bounce: bool = param::SOFT_BOUNCE,
        /// What probes have found to be undeliverable is remembered.
        remembers_failures: bool = param::ADDRESS_VERIFY_NEGATIVE_CACHE,
        /// Results that a table puts others in the place of.
        filter: StatusFilter => |_: &Reader<'_>| Ok::<_, ValueError>(StatusFilter::default()),
        /// A setting that asks for what the agent does not have: nothing is delivered while it is set.
        withheld: Option<&'static str> => |_: &Reader<'_>| Ok::<_, ValueError>(None),
    }
}

/// Checks that a mailbox may become as large as a message: `name` is the parameter that says how large, in bytes; 0 is
/// any size.
///
/// # Errors
/// It is smaller than message_size_limit.
pub fn check_mailbox_limit(config: &Config, name: &str, limit: u64) -> Result<(), StartError> {
    let message: u64 = config.read(param::MESSAGE_SIZE_LIMIT)?;
    let why = match limit {
        0 => return Ok(()),
        _ if message == 0 => "limited but message_size_limit is unlimited",
        limit if limit < message => "smaller than message_size_limit",
        _ => return Ok(()),
    };
    Err(StartError::new(format!("configuration error: {name} is {why}")))
}

impl Default for Settings {
    /// Postfix's defaults.
    fn default() -> Self {
        Settings {
            addresses: AddressFormat::External,
            delay_decimals: 2,
            utf8: true,
            soft_bounce: false,
            remembers_failures: true,
            filter: StatusFilter::default(),
            withheld: None,
        }
    }
}

impl Settings {
    /// The same with the table of results that this parameter names.
    ///
    /// # Errors
    /// The name makes no sense.
    pub fn filtered_by(self, config: &Config, param: Param<String>) -> Result<Self, StartError> {
        Ok(Settings { filter: StatusFilter::open(config, param)?, ..self })
    }

    /// The same for an agent that must not pass over these settings, and has no better answer to them.
    #[must_use]
    pub fn without(mut self, settings: Vec<Withheld>) -> Self {
        self.withheld = settings.first().map(|setting| setting.name);
        self
    }
}
