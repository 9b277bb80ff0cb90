//! main.cf, read once: what the server does, as plain values.

use std::rc::Rc;
use std::time::Duration;

use config::{ConfigError, MailSource, Reader, param};
use delivery::{AddressFormat, ProbeSender};
use ipc::cleanup::Flags;
use receiving::Overrides;

use crate::client_limits::ClientLimits;
use crate::old_defaults::OldDefaults;
use crate::restriction::Unverified;

/// What a *_tempfail_action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TempfailAction {
    /// defer
    Defer,
    /// defer_if_permit
    DeferIfPermit,
}

impl TempfailAction {
    /// The one of this name.
    pub fn named(name: String) -> TempfailAction {
        if name == "defer" { TempfailAction::Defer } else { TempfailAction::DeferIfPermit }
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
    pub struct Settings, error ConfigError {
        /// The user is in the Received: field.
        authenticated_header: bool = param::SMTPD_SASL_AUTHENTICATED_HEADER,
        /// smtpd_tls_ask_ccert, smtpd_tls_req_ccert
        asks_for_certificates: bool => |from: &Reader<'_>| Ok::<_, ConfigError>(
            from.get(param::SMTPD_TLS_ASK_CCERT)? || from.get(param::SMTPD_TLS_REQ_CCERT)?
        ),
        /// Clients may show a key in place of a certificate: only its fingerprint is there to stay.
        raw_keys: bool = param::SMTPD_TLS_ENABLE_RPK,
        allow_untrusted_routing: bool = param::ALLOW_UNTRUSTED_ROUTING,
        /// The reply codes.
        codes: Codes => Codes::read,
        /// What the dialogue goes by.
        dialogue: Rc<smtp_server::Settings> => |from: &Reader<'_>| smtp_server::Settings::read(*from).map(Rc::new),
        classes: Vec<String> = param::SMTPD_RESTRICTION_CLASSES,
        client_port_logging: bool = param::SMTPD_CLIENT_PORT_LOGGING,
        compatibility_level: String = param::COMPATIBILITY_LEVEL,
        delay_reject: bool = param::SMTPD_DELAY_REJECT,
        discard_ehlo_keywords: Vec<String> = param::SMTPD_DISCARD_EHLO_KEYWORDS => upper,
        error_sleep_time: Duration = param::SMTPD_ERROR_SLEEP_TIME,
        /// Lines of a transcript between messages.
        history: usize = param::SMTPD_HISTORY_FLUSH_THRESHOLD,
        hide_client_session: bool = param::SMTPD_HIDE_CLIENT_SESSION,
        /// A filter hears messages before they are in the queue.
        proxied: bool = param::SMTPD_PROXY_FILTER => |name: String| !name.is_empty(),
        /// smtpd_client_*_limit
        limits: ClientLimits => |from: &Reader<'_>| ClientLimits::read(*from),
        log_addresses: AddressFormat = param::INFO_LOG_ADDRESS_FORMAT => AddressFormat::named,
        mail_version: String = param::MAIL_VERSION,
        /// Log lines and replies of Postfix 3.11 (compatibility_level).
        modern: bool => |from: &Reader<'_>| Ok::<_, ConfigError>(from.config.modern_log()),
        myorigin: String = param::MYORIGIN,
        null_access_lookup_key: String = param::SMTPD_NULL_ACCESS_LOOKUP_KEY,
        peername_lookup: bool = param::SMTPD_PEERNAME_LOOKUP,
        per_request_deadline: bool = param::SMTPD_PER_REQUEST_DEADLINE,
        /// Bytes a second.
        min_data_rate: u64 = param::SMTPD_MIN_DATA_RATE,
        /// Off as well where receive_override_options has no_unknown_recipient_checks.
        reject_unlisted_recipient: bool => unlisted_recipients,
        reject_unlisted_sender: bool = param::SMTPD_REJECT_UNLISTED_SENDER,
        relay_first: bool = param::SMTPD_RELAY_BEFORE_RECIPIENT_RESTRICTIONS,
        show_user_unknown_table_name: bool = param::SHOW_USER_UNKNOWN_TABLE_NAME,
        starttls_timeout: Duration = param::SMTPD_STARTTLS_TIMEOUT,
        /// The server waits for the client's last word. tls_fast_shutdown_enable
        fast_shutdown: bool = param::TLS_FAST_SHUTDOWN_ENABLE,
        soft_bounce: bool = param::SOFT_BOUNCE,
        stress: String = param::STRESS,
        timeout: Duration = param::SMTPD_TIMEOUT,
        /// A proxy in front of the server says who the client is.
        upstream: bool = param::SMTPD_UPSTREAM_PROXY_PROTOCOL => |protocol: String| !protocol.is_empty(),
        upstream_timeout: Duration = param::SMTPD_UPSTREAM_PROXY_TIMEOUT,
        unknown_address_tempfail_action: TempfailAction = param::UNKNOWN_ADDRESS_TEMPFAIL_ACTION => TempfailAction::named,
        unknown_helo_tempfail_action: TempfailAction = param::UNKNOWN_HELO_HOSTNAME_TEMPFAIL_ACTION => TempfailAction::named,
        /// reject_unverified_sender, reject_unverified_recipient
        unverified: Unverified => Unverified::read,
        /// The sender of probes, who may not be turned down.
        probe_sender: ProbeSender => |from: &Reader<'_>| ProbeSender::read(from.config),
        /// Defaults that an old level keeps.
        old: OldDefaults => |from: &Reader<'_>| Ok::<_, ConfigError>(OldDefaults::read(from.config)),
    }
}

fn upper(words: Vec<String>) -> Vec<String> {
    words.into_iter().map(|word| word.to_ascii_uppercase()).collect()
}

fn unlisted_recipients(from: &Reader<'_>) -> Result<bool, ConfigError> {
    let wanted = from.get(param::SMTPD_REJECT_UNLISTED_RECIPIENT)?;
    let overrides = Overrides::read(from.config, MailSource::Smtpd, Flags::EXTERNAL)?;
    Ok(wanted && overrides.check_recipients)
}
