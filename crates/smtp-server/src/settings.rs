//! The rules of the site for a dialogue, from main.cf.

use std::net::IpAddr;

use config::{ConfigError, Reader, param};
use net::Protocols;
use smtp_protocol::Newline;

use crate::tls::TlsLevel;

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
    /// The rules for what a client says.
    #[derive(Clone, Debug)]
    pub struct Settings, error ConfigError {
        /// No login without TLS.
        auth_only: bool = param::SMTPD_TLS_AUTH_ONLY,
        banner: String = param::SMTPD_BANNER,
        bare_newline: BareNewline = param::SMTPD_FORBID_BARE_NEWLINE => BareNewline::named,
        bare_newline_code: u16 = param::SMTPD_FORBID_BARE_NEWLINE_REJECT_CODE,
        broken_auth_clients: bool = param::BROKEN_SASL_AUTH_CLIENTS,
        delay_open: bool = param::SMTPD_DELAY_OPEN_UNTIL_VALID_RCPT,
        forbid_unauth_pipelining: bool = param::SMTPD_FORBID_UNAUTH_PIPELINING,
        hard_error_limit: u32 = param::SMTPD_HARD_ERROR_LIMIT,
        helo_required: bool = param::SMTPD_HELO_REQUIRED,
        junk_command_limit: u32 = param::SMTPD_JUNK_COMMAND_LIMIT,
        line_length_limit: usize = param::LINE_LENGTH_LIMIT,
        mail_name: String = param::MAIL_NAME,
        message_size_limit: Option<u64> = param::MESSAGE_SIZE_LIMIT,
        myhostname: String = param::MYHOSTNAME,
        /// inet_protocols: addresses of the others are not taken from XCLIENT and XFORWARD.
        protocols: Protocols => |from: &Reader<'_>| from.config.protocols(),
        queue_minfree: u64 = param::QUEUE_MINFREE,
        recipient_limit: u32 = param::SMTPD_RECIPIENT_LIMIT,
        recipient_overshoot_limit: u32 = param::SMTPD_RECIPIENT_OVERSHOOT_LIMIT,
        requiretls: bool = param::REQUIRETLS_ENABLE,
        sasl_enabled: bool = param::SMTPD_SASL_AUTH_ENABLE,
        sasl_response_limit: usize = param::SMTPD_SASL_RESPONSE_LIMIT,
        smtputf8: bool = param::SMTPUTF8_ENABLE,
        soft_error_limit: u32 = param::SMTPD_SOFT_ERROR_LIMIT,
        strict_envelopes: bool = param::STRICT_RFC821_ENVELOPES,
        strict_utf8: bool = param::STRICT_SMTPUTF8,
        /// Whether TLS is offered or required.
        tls: TlsLevel => TlsLevel::read,
        /// TLS before the greeting.
        tls_wrapper: bool = param::SMTPD_TLS_WRAPPERMODE,
        /// When a client names none.
        verp_delimiters: String = param::DEFAULT_VERP_DELIMITERS,
        /// Which a client may name.
        verp_filter: String = param::VERP_DELIMITER_FILTER,
        vrfy_disabled: bool = param::DISABLE_VRFY_COMMAND,
    }
}

impl Settings {
    /// An IPv4-mapped address as plain IPv4, as that of a peer is taken.
    pub(crate) fn unmapped(&self, address: IpAddr) -> IpAddr {
        net::unmap((address, 0).into(), self.protocols).ip()
    }
}
