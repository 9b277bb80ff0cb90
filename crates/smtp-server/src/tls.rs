//! TLS as a dialogue has it: whether it is offered or required, and what a session under it is. RFC 3207
//!
//! The handshake is the driver's: [`Next::StartTls`](crate::Next::StartTls) asks for it, and
//! [`Dialogue::secured`](crate::Dialogue::secured) takes what came of it.

use config::{ConfigError, Reader, param};
use smtp_protocol::Verb;

/// smtpd_tls_security_level, and the older smtpd_use_tls and smtpd_enforce_tls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsLevel {
    /// No TLS.
    #[default]
    None,
    /// For clients that want it.
    May,
    /// No mail without.
    Encrypt,
}

impl TlsLevel {
    /// The level of a server: TLS before the greeting is TLS in any case.
    pub(crate) fn read(from: &Reader<'_>) -> Result<TlsLevel, ConfigError> {
        let value = from.get(param::SMTPD_TLS_SECURITY_LEVEL)?;
        if from.get(param::SMTPD_TLS_WRAPPERMODE)? {
            return Ok(TlsLevel::Encrypt);
        }
        Ok(match value.to_ascii_lowercase().as_str() {
            "" if from.get(param::SMTPD_ENFORCE_TLS)? => TlsLevel::Encrypt,
            "" if from.get(param::SMTPD_USE_TLS)? => TlsLevel::May,
            "" | "none" => TlsLevel::None,
            "may" => TlsLevel::May,
            "encrypt" => TlsLevel::Encrypt,
            level => {
                logging::warning!("smtpd_tls_security_level: unsupported TLS level \"{level}\", using \"encrypt\"");
                TlsLevel::Encrypt
            }
        })
    }

    /// Whether a session without TLS must not use the command.
    pub(crate) fn guards(self, verb: Verb) -> bool {
        use Verb::*;
        self == TlsLevel::Encrypt && matches!(verb, Mail | Rcpt | Data | Bdat | Rset | Vrfy | Etrn | Auth | Xforward)
    }
}

/// Whether a handshake can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsStart {
    /// Yes.
    Ready,
    /// There is no certificate, or a parameter makes no sense; logged.
    Broken,
    /// The client has had too many sessions. smtpd_client_new_tls_session_rate_limit
    TooMany,
}

/// A session that nobody can listen to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secured {
    /// `TLSv1.3`
    pub protocol: String,
    /// The cipher suite in OpenSSL's words.
    pub cipher: String,
    /// Bits of its key.
    pub bits: u16,
    /// What the Received: field says of it and of the client's certificate.
    pub comments: Vec<String>,
    /// The client's certificate.
    pub certificate: Option<Certificate>,
    /// Why the client is let go: what its next command is answered.
    pub refusal: Option<TlsRefusal>,
}

/// Why a session that is secured does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsRefusal {
    /// smtpd_tls_req_ccert: there is no certificate.
    NoCertificate,
    /// smtpd_tls_req_ccert: nobody vouches for it.
    NotTrusted,
    /// smtpd_client_new_tls_session_rate_limit
    TooMany,
}

/// The certificate of a client, or its public key alone (RFC 7250).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// CN of its subject; empty without one.
    pub common_name: String,
    /// CN of its issuer.
    pub issuer: String,
    /// Its digest: `AA:BB:...`; empty where there is the key alone. smtpd_tls_fingerprint_digest
    pub fingerprint: String,
    /// That of its public key.
    pub key_fingerprint: String,
    /// It leads to an authority that is trusted.
    pub trusted: bool,
}

impl Certificate {
    /// It is a public key without a certificate.
    pub fn is_raw_key(&self) -> bool {
        self.fingerprint.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Config;

    fn level(text: &str) -> TlsLevel {
        let config = Config::parse(text.as_bytes(), std::path::Path::new("/c"), &[]).unwrap();
        TlsLevel::read(&Reader::from(&config)).unwrap()
    }

    #[test]
    fn the_level_overrides_older_switches_and_tls_before_the_greeting_is_required() {
        assert_eq!(level(""), TlsLevel::None);
        assert_eq!(level("smtpd_use_tls = yes\n"), TlsLevel::May);
        assert_eq!(level("smtpd_enforce_tls = yes\nsmtpd_use_tls = yes\n"), TlsLevel::Encrypt);
        assert_eq!(level("smtpd_tls_security_level = None\nsmtpd_use_tls = yes\n"), TlsLevel::None);
        assert_eq!(level("smtpd_tls_security_level = MAY\nsmtpd_enforce_tls = yes\n"), TlsLevel::May);
        assert_eq!(level("smtpd_tls_security_level = verify\n"), TlsLevel::Encrypt);
        assert_eq!(level("smtpd_tls_wrappermode = yes\nsmtpd_tls_security_level = none\n"), TlsLevel::Encrypt);
    }
}
