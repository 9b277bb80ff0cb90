//! TLS, which this server does not have: where it is optional mail comes in clear text, where it is required none comes.

use config::{Config, param};
use daemon::StartError;
use delivery::transcript::ErrorClass;
use dsn::Status;
use smtp_protocol::Verb;

use crate::rejection::Rejection;
use crate::session::{Session, Success};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Nothing.
    #[default]
    None,
    /// TLS for clients that want it.
    Offered,
    /// No mail without.
    Required,
}

impl Tls {
    /// smtpd_tls_security_level; while that is empty, smtpd_enforce_tls and smtpd_use_tls.
    ///
    /// # Errors
    /// A level that is none.
    pub fn read(config: &Config) -> Result<Tls, StartError> {
        let level = config.get(param::SMTPD_TLS_SECURITY_LEVEL)?;
        Ok(match level.as_str() {
            "" if config.get(param::SMTPD_ENFORCE_TLS)? => Tls::Required,
            "" if config.get(param::SMTPD_USE_TLS)? => Tls::Offered,
            "" | "none" => Tls::None,
            "may" => Tls::Offered,
            "encrypt" => Tls::Required,
            _ => {
                logging::warning!("smtpd_tls_security_level: unsupported TLS level \"{level}\", using \"encrypt\"");
                Tls::Required
            }
        })
    }
}

/// Commands that a session without TLS must not use where it is required.
pub fn is_guarded(verb: Verb) -> bool {
    use Verb::*;
    matches!(verb, Mail | Rcpt | Data | Bdat | Rset | Vrfy | Etrn | Auth | Xforward)
}

/// RFC 3207 4.
pub fn required() -> Rejection {
    Rejection::new(530, Status::new(5, 7, 0), "Must issue a STARTTLS command first")
}

/// `STARTTLS`
pub fn start(session: &mut Session, argument: &[u8]) -> Success {
    if session.worker.missing.tls == Tls::None {
        return session.fail(502, "5.5.1", "Error: command not implemented");
    }
    if !argument.is_empty() {
        return session.fail(501, "5.5.4", "Syntax: STARTTLS");
    }
    session.fail_for(ErrorClass::Software, 454, "4.7.0", "TLS not available due to local problem")
}
