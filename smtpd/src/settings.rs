//! main.cf, read once: what the server does, as plain values.

use std::time::Duration;

use config::{Reader, ValueError, param};
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

impl TempfailAction {
    fn named(name: String) -> TempfailAction {
        if name == "defer" { TempfailAction::Defer } else { TempfailAction::DeferIfPermit }
    }
}

impl BareNewline {
    fn named(name: String) -> BareNewline {
        match name.as_str() {
            "no" => BareNewline::Allow,
            "note" => BareNewline::Note,
            "yes" | "normalize" => BareNewline::Normalize,
            _ => BareNewline::Reject,
        }
    }

    /// How line ends are read.
    pub fn newline(self) -> Newline {
        if self == BareNewline::Allow { Newline::Lenient } else { Newline::Strict }
    }
}

config::settings! {
    /// The *_reject_code parameters.
    #[derive(Clone, Debug)]
    pub struct Codes {
        access_map_defer: u16 = param::ACCESS_MAP_DEFER_CODE,
        access_map_reject: u16 = param::ACCESS_MAP_REJECT_CODE,
        defer: u16 = param::DEFER_CODE,
        invalid_hostname: u16 = param::INVALID_HOSTNAME_REJECT_CODE,
        multi_recipient_bounce: u16 = param::MULTI_RECIPIENT_BOUNCE_REJECT_CODE,
        non_fqdn: u16 = param::NON_FQDN_REJECT_CODE,
        plaintext: u16 = param::PLAINTEXT_REJECT_CODE,
        reject: u16 = param::REJECT_CODE,
        relay_domains: u16 = param::RELAY_DOMAINS_REJECT_CODE,
        bare_newline: u16 = param::SMTPD_FORBID_BARE_NEWLINE_REJECT_CODE,
        unknown_address: u16 = param::UNKNOWN_ADDRESS_REJECT_CODE,
        unknown_client: u16 = param::UNKNOWN_CLIENT_REJECT_CODE,
        unknown_hostname: u16 = param::UNKNOWN_HOSTNAME_REJECT_CODE,
        unknown_local: u16 = param::UNKNOWN_LOCAL_RECIPIENT_REJECT_CODE,
        unknown_relay: u16 = param::UNKNOWN_RELAY_RECIPIENT_REJECT_CODE,
        unknown_virtual_alias: u16 = param::UNKNOWN_VIRTUAL_ALIAS_REJECT_CODE,
        unknown_virtual_mailbox: u16 = param::UNKNOWN_VIRTUAL_MAILBOX_REJECT_CODE,
    }
}

config::settings! {
    /// Everything that the server reads from main.cf, but for tables and lists of restrictions.
    #[derive(Clone, Debug)]
    pub struct Settings {
        allow_untrusted_routing: bool = param::ALLOW_UNTRUSTED_ROUTING,
        bare_newline: BareNewline = param::SMTPD_FORBID_BARE_NEWLINE => BareNewline::named,
        classes: Vec<String> = param::SMTPD_RESTRICTION_CLASSES,
        /// The reply codes.
        codes: Codes => Codes::read,
        delay_reject: bool = param::SMTPD_DELAY_REJECT,
        discard_ehlo_keywords: Vec<String> = param::SMTPD_DISCARD_EHLO_KEYWORDS => upper,
        error_sleep_time: Duration = param::SMTPD_ERROR_SLEEP_TIME,
        forbid_unauth_pipelining: bool = param::SMTPD_FORBID_UNAUTH_PIPELINING,
        hard_error_limit: u32 = param::SMTPD_HARD_ERROR_LIMIT,
        helo_required: bool = param::SMTPD_HELO_REQUIRED,
        hide_client_session: bool = param::SMTPD_HIDE_CLIENT_SESSION,
        log_addresses: AddressFormat = param::INFO_LOG_ADDRESS_FORMAT => AddressFormat::named,
        junk_command_limit: u32 = param::SMTPD_JUNK_COMMAND_LIMIT,
        line_length_limit: usize = param::LINE_LENGTH_LIMIT => |limit| usize::try_from(limit).unwrap_or(0).max(2),
        message_size_limit: Option<u64> = param::MESSAGE_SIZE_LIMIT,
        /// Log lines and replies of Postfix 3.11 (compatibility_level).
        modern: bool => |from: &Reader<'_>| Ok::<_, ValueError>(from.config.modern_log()),
        myhostname: String = param::MYHOSTNAME,
        myorigin: String = param::MYORIGIN,
        null_access_lookup_key: String = param::SMTPD_NULL_ACCESS_LOOKUP_KEY,
        peername_lookup: bool = param::SMTPD_PEERNAME_LOOKUP,
        per_request_deadline: bool = param::SMTPD_PER_REQUEST_DEADLINE,
        /// Bytes a second.
        min_data_rate: u64 = param::SMTPD_MIN_DATA_RATE,
        policy_default_action: String = param::SMTPD_POLICY_SERVICE_DEFAULT_ACTION,
        sasl_enabled: bool = param::SMTPD_SASL_AUTH_ENABLE,
        queue_minfree: u64 = param::QUEUE_MINFREE,
        recipient_limit: u32 = param::SMTPD_RECIPIENT_LIMIT,
        recipient_overshoot_limit: u32 = param::SMTPD_RECIPIENT_OVERSHOOT_LIMIT,
        reject_unlisted_recipient: bool = param::SMTPD_REJECT_UNLISTED_RECIPIENT,
        reject_unlisted_sender: bool = param::SMTPD_REJECT_UNLISTED_SENDER,
        relay_first: bool = param::SMTPD_RELAY_BEFORE_RECIPIENT_RESTRICTIONS,
        show_user_unknown_table_name: bool = param::SHOW_USER_UNKNOWN_TABLE_NAME,
        soft_error_limit: u32 = param::SMTPD_SOFT_ERROR_LIMIT,
        soft_bounce: bool = param::SOFT_BOUNCE,
        strict_envelopes: bool = param::STRICT_RFC821_ENVELOPES,
        banner: String = param::SMTPD_BANNER,
        timeout: Duration = param::SMTPD_TIMEOUT,
        unknown_address_tempfail_action: TempfailAction = param::UNKNOWN_ADDRESS_TEMPFAIL_ACTION => TempfailAction::named,
        unknown_helo_tempfail_action: TempfailAction = param::UNKNOWN_HELO_HOSTNAME_TEMPFAIL_ACTION => TempfailAction::named,
        /// Defaults that an old level keeps.
        old: OldDefaults => |from: &Reader<'_>| Ok::<_, ValueError>(OldDefaults::read(from.config)),
        smtputf8: bool = param::SMTPUTF8_ENABLE,
        vrfy_disabled: bool = param::DISABLE_VRFY_COMMAND,
    }
}

fn upper(words: Vec<String>) -> Vec<String> {
    words.into_iter().map(|word| word.to_ascii_uppercase()).collect()
}
