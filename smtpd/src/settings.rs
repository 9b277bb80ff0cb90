//! main.cf, read once: what the server does, as plain values.

use std::time::Duration;

use config::{Config, Param, ValueError, param};
use delivery::AddressFormat;
use smtp_protocol::Newline;

use crate::old_defaults::OldDefaults;

/// What a *_tempfail_action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TempfailAction {
    /// defer
    Defer,
    /// defer_if_permit
    DeferIfPermit,
}

/// smtpd_forbid_bare_newline
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareNewline {
    /// no
    Allow,
    /// note
    Note,
    /// normalize, yes
    Normalize,
    /// reject
    Reject,
}

impl BareNewline {
    /// How line ends are read.
    pub fn newline(self) -> Newline {
        if self == BareNewline::Allow { Newline::Lenient } else { Newline::Strict }
    }
}

/// The *_reject_code parameters.
#[derive(Clone, Debug)]
pub struct Codes {
    /// access_map_defer_code
    pub access_map_defer: u16,
    /// access_map_reject_code
    pub access_map_reject: u16,
    /// defer_code
    pub defer: u16,
    /// invalid_hostname_reject_code
    pub invalid_hostname: u16,
    /// multi_recipient_bounce_reject_code
    pub multi_recipient_bounce: u16,
    /// non_fqdn_reject_code
    pub non_fqdn: u16,
    /// plaintext_reject_code
    pub plaintext: u16,
    /// reject_code
    pub reject: u16,
    /// relay_domains_reject_code
    pub relay_domains: u16,
    /// smtpd_forbid_bare_newline_reject_code
    pub bare_newline: u16,
    /// unknown_address_reject_code
    pub unknown_address: u16,
    /// unknown_client_reject_code
    pub unknown_client: u16,
    /// unknown_hostname_reject_code
    pub unknown_hostname: u16,
    /// unknown_local_recipient_reject_code
    pub unknown_local: u16,
    /// unknown_relay_recipient_reject_code
    pub unknown_relay: u16,
    /// unknown_virtual_alias_reject_code
    pub unknown_virtual_alias: u16,
    /// unknown_virtual_mailbox_reject_code
    pub unknown_virtual_mailbox: u16,
}

/// Everything that the server reads from main.cf, but for tables and lists of restrictions.
#[derive(Clone, Debug)]
pub struct Settings {
    /// allow_untrusted_routing
    pub allow_untrusted_routing: bool,
    /// smtpd_forbid_bare_newline
    pub bare_newline: BareNewline,
    /// smtpd_restriction_classes
    pub classes: Vec<String>,
    /// The reply codes.
    pub codes: Codes,
    /// smtpd_delay_reject
    pub delay_reject: bool,
    /// smtpd_discard_ehlo_keywords, upper case.
    pub discard_ehlo_keywords: Vec<String>,
    /// smtpd_error_sleep_time
    pub error_sleep_time: Duration,
    /// smtpd_forbid_unauth_pipelining
    pub forbid_unauth_pipelining: bool,
    /// smtpd_hard_error_limit
    pub hard_error_limit: u32,
    /// smtpd_helo_required
    pub helo_required: bool,
    /// smtpd_hide_client_session
    pub hide_client_session: bool,
    /// info_log_address_format
    pub log_addresses: AddressFormat,
    /// smtpd_junk_command_limit
    pub junk_command_limit: u32,
    /// line_length_limit
    pub line_length_limit: usize,
    /// message_size_limit; `None` for 0.
    pub message_size_limit: Option<u64>,
    /// Log lines and replies of Postfix 3.11 (compatibility_level).
    pub modern: bool,
    /// myhostname
    pub myhostname: String,
    /// myorigin
    pub myorigin: String,
    /// smtpd_null_access_lookup_key
    pub null_access_lookup_key: String,
    /// smtpd_peername_lookup
    pub peername_lookup: bool,
    /// smtpd_per_request_deadline
    pub per_request_deadline: bool,
    /// smtpd_min_data_rate, bytes a second.
    pub min_data_rate: u64,
    /// smtpd_policy_service_default_action
    pub policy_default_action: String,
    /// smtpd_sasl_auth_enable
    pub sasl_enabled: bool,
    /// queue_minfree
    pub queue_minfree: u64,
    /// smtpd_recipient_limit
    pub recipient_limit: u32,
    /// smtpd_recipient_overshoot_limit
    pub recipient_overshoot_limit: u32,
    /// smtpd_reject_unlisted_recipient
    pub reject_unlisted_recipient: bool,
    /// smtpd_reject_unlisted_sender
    pub reject_unlisted_sender: bool,
    /// smtpd_relay_before_recipient_restrictions
    pub relay_first: bool,
    /// show_user_unknown_table_name
    pub show_user_unknown_table_name: bool,
    /// smtpd_soft_error_limit
    pub soft_error_limit: u32,
    /// soft_bounce
    pub soft_bounce: bool,
    /// strict_rfc821_envelopes
    pub strict_envelopes: bool,
    /// smtpd_banner
    pub banner: String,
    /// smtpd_timeout
    pub timeout: Duration,
    /// unknown_address_tempfail_action
    pub unknown_address_tempfail_action: TempfailAction,
    /// unknown_helo_hostname_tempfail_action
    pub unknown_helo_tempfail_action: TempfailAction,
    /// Defaults that an old level keeps.
    pub old: OldDefaults,
    /// smtputf8_enable
    pub smtputf8: bool,
    /// disable_vrfy_command
    pub vrfy_disabled: bool,
}

impl Settings {
    /// Reads them all.
    ///
    /// # Errors
    /// The first value that makes no sense.
    pub fn read(config: &Config) -> Result<Settings, ValueError> {
        let limit = config.get(param::MESSAGE_SIZE_LIMIT)?;
        Ok(Settings {
            allow_untrusted_routing: config.get(param::ALLOW_UNTRUSTED_ROUTING)?,
            bare_newline: bare_newline(config)?,
            classes: config.get(param::SMTPD_RESTRICTION_CLASSES)?,
            codes: Codes::read(config)?,
            delay_reject: config.get(param::SMTPD_DELAY_REJECT)?,
            discard_ehlo_keywords: upper(config.get(param::SMTPD_DISCARD_EHLO_KEYWORDS)?),
            error_sleep_time: config.get(param::SMTPD_ERROR_SLEEP_TIME)?,
            forbid_unauth_pipelining: config.get(param::SMTPD_FORBID_UNAUTH_PIPELINING)?,
            hard_error_limit: number(config, param::SMTPD_HARD_ERROR_LIMIT)?,
            helo_required: config.get(param::SMTPD_HELO_REQUIRED)?,
            hide_client_session: config.get(param::SMTPD_HIDE_CLIENT_SESSION)?,
            log_addresses: AddressFormat::read(config)?,
            junk_command_limit: number(config, param::SMTPD_JUNK_COMMAND_LIMIT)?,
            line_length_limit: number::<usize>(config, param::LINE_LENGTH_LIMIT)?.max(2),
            message_size_limit: u64::try_from(limit).ok().filter(|limit| *limit > 0),
            modern: config.modern_log(),
            myhostname: config.get(param::MYHOSTNAME)?,
            myorigin: config.get(param::MYORIGIN)?,
            null_access_lookup_key: config.get(param::SMTPD_NULL_ACCESS_LOOKUP_KEY)?,
            peername_lookup: config.get(param::SMTPD_PEERNAME_LOOKUP)?,
            per_request_deadline: config.get(param::SMTPD_PER_REQUEST_DEADLINE)?,
            min_data_rate: number(config, param::SMTPD_MIN_DATA_RATE)?,
            policy_default_action: config.get(param::SMTPD_POLICY_SERVICE_DEFAULT_ACTION)?,
            sasl_enabled: config.get(param::SMTPD_SASL_AUTH_ENABLE)?,
            queue_minfree: number(config, param::QUEUE_MINFREE)?,
            recipient_limit: number(config, param::SMTPD_RECIPIENT_LIMIT)?,
            recipient_overshoot_limit: number(config, param::SMTPD_RECIPIENT_OVERSHOOT_LIMIT)?,
            reject_unlisted_recipient: config.get(param::SMTPD_REJECT_UNLISTED_RECIPIENT)?,
            reject_unlisted_sender: config.get(param::SMTPD_REJECT_UNLISTED_SENDER)?,
            relay_first: config.get(param::SMTPD_RELAY_BEFORE_RECIPIENT_RESTRICTIONS)?,
            show_user_unknown_table_name: config.get(param::SHOW_USER_UNKNOWN_TABLE_NAME)?,
            soft_error_limit: number(config, param::SMTPD_SOFT_ERROR_LIMIT)?,
            soft_bounce: config.get(param::SOFT_BOUNCE)?,
            strict_envelopes: config.get(param::STRICT_RFC821_ENVELOPES)?,
            banner: config.get(param::SMTPD_BANNER)?,
            timeout: config.get(param::SMTPD_TIMEOUT)?,
            unknown_address_tempfail_action: tempfail(config, param::UNKNOWN_ADDRESS_TEMPFAIL_ACTION)?,
            unknown_helo_tempfail_action: tempfail(config, param::UNKNOWN_HELO_HOSTNAME_TEMPFAIL_ACTION)?,
            old: OldDefaults::read(config),
            smtputf8: config.get(param::SMTPUTF8_ENABLE)?,
            vrfy_disabled: config.get(param::DISABLE_VRFY_COMMAND)?,
        })
    }
}

impl Codes {
    fn read(config: &Config) -> Result<Codes, ValueError> {
        let code = |param| number(config, param);
        Ok(Codes {
            access_map_defer: code(param::ACCESS_MAP_DEFER_CODE)?,
            access_map_reject: code(param::ACCESS_MAP_REJECT_CODE)?,
            defer: code(param::DEFER_CODE)?,
            invalid_hostname: code(param::INVALID_HOSTNAME_REJECT_CODE)?,
            multi_recipient_bounce: code(param::MULTI_RECIPIENT_BOUNCE_REJECT_CODE)?,
            non_fqdn: code(param::NON_FQDN_REJECT_CODE)?,
            plaintext: code(param::PLAINTEXT_REJECT_CODE)?,
            reject: code(param::REJECT_CODE)?,
            relay_domains: code(param::RELAY_DOMAINS_REJECT_CODE)?,
            bare_newline: code(param::SMTPD_FORBID_BARE_NEWLINE_REJECT_CODE)?,
            unknown_address: code(param::UNKNOWN_ADDRESS_REJECT_CODE)?,
            unknown_client: code(param::UNKNOWN_CLIENT_REJECT_CODE)?,
            unknown_hostname: code(param::UNKNOWN_HOSTNAME_REJECT_CODE)?,
            unknown_local: code(param::UNKNOWN_LOCAL_RECIPIENT_REJECT_CODE)?,
            unknown_relay: code(param::UNKNOWN_RELAY_RECIPIENT_REJECT_CODE)?,
            unknown_virtual_alias: code(param::UNKNOWN_VIRTUAL_ALIAS_REJECT_CODE)?,
            unknown_virtual_mailbox: code(param::UNKNOWN_VIRTUAL_MAILBOX_REJECT_CODE)?,
        })
    }
}

/// A number that is not negative.
fn number<T: TryFrom<i64>>(config: &Config, param: Param<i64>) -> Result<T, ValueError> {
    let name = param.name();
    let value = config.get(param)?;
    T::try_from(value).map_err(|_| ValueError::Meaning(format!("{name}: value {value} is out of range")))
}

fn bare_newline(config: &Config) -> Result<BareNewline, ValueError> {
    let value = config.get(param::SMTPD_FORBID_BARE_NEWLINE)?;
    match value.as_str() {
        "no" => Ok(BareNewline::Allow),
        "note" => Ok(BareNewline::Note),
        "yes" | "normalize" => Ok(BareNewline::Normalize),
        _ => Ok(BareNewline::Reject),
    }
}

fn tempfail(config: &Config, param: Param<String>) -> Result<TempfailAction, ValueError> {
    let value = config.get(param)?;
    match value.as_str() {
        "defer" => Ok(TempfailAction::Defer),
        _ => Ok(TempfailAction::DeferIfPermit),
    }
}

fn upper(words: Vec<String>) -> Vec<String> {
    words.into_iter().map(|word| word.to_ascii_uppercase()).collect()
}
