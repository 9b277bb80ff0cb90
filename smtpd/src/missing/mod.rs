//! What main.cf asks of this server and the server does not have: it answers as Postfix does where the thing is out of
//! order, and takes no mail as if nothing had been asked for.
//!
//! Which settings these are is the parameter table's word ([`config::Config::withheld`]): one that gets implemented is
//! no longer among them, and what stands here about it goes.

mod milters;

use config::{Config, ErrorClass, Withheld, param};
use daemon::StartError;
use dsn::Status;
use smtp_server::{Lacking, Peer, Rejection, Tls, Turn};

pub use milters::Milters;

/// What is asked for and not there.
#[derive(Debug, Default)]
pub struct Missing {
    /// What the dialogue has to know of it.
    pub lacking: Lacking,
    /// smtpd_milters, smtpd_milter_maps
    pub milters: Milters,
    /// smtpd_tls_wrappermode
    wrapper: bool,
    /// smtpd_proxy_filter
    proxy_filter: Option<String>,
    /// smtpd_upstream_proxy_protocol: the address of the client is not known without it.
    upstream: bool,
}

impl Missing {
    /// Reads what is asked for. `milters`: receive_override_options leaves them in force.
    ///
    /// # Errors
    /// A setting that makes no sense.
    pub fn read(config: &Config, milters: bool) -> Result<Missing, StartError> {
        let mut missing = Missing::default();
        missing.lacking.tls = tls(config)?;
        for Withheld { name, value } in config.withheld("smtpd") {
            match name {
                "smtpd_tls_security_level" | "smtpd_enforce_tls" => {}
                "smtpd_tls_wrappermode" => missing.wrapper = config.get(param::SMTPD_TLS_WRAPPERMODE)?,
                "smtpd_milters" | "smtpd_milter_maps" if milters => missing.milters = Milters::read(config)?,
                "smtpd_milters" | "smtpd_milter_maps" => {}
                "smtpd_proxy_filter" => missing.proxy_filter = Some(value),
                "smtpd_upstream_proxy_protocol" if value == "haproxy" => missing.upstream = true,
                "smtpd_upstream_proxy_protocol" => {
                    return Err(StartError::new(format!("unsupported {name} value: {value}")));
                }
                other => {
                    logging::warning!("{other} is not implemented: no mail is accepted while it is set");
                    missing.lacking.no_mail = true;
                }
            }
        }
        Ok(missing)
    }

    /// Before the first word to the client: why it cannot be served at all.
    pub fn refusal(&self, peer: &Peer, service: &str, hostname: &str) -> Option<Turn> {
        if self.wrapper {
            let client = &peer.label;
            logging::warning!(
                "Wrapper-mode request dropped from {client} for service {service}. TLS context initialization failed. \
                 For details see earlier warnings in your logs."
            );
            return Some(Turn::close());
        }
        if self.upstream {
            logging::warning!("haproxy read: smtpd_upstream_proxy_protocol is not implemented");
            let text = format!("{hostname} Server local error");
            let rejection = Rejection::new(421, Status::new(4, 3, 0), text).of(ErrorClass::Software);
            return Some(Turn::from(rejection).closing());
        }
        None
    }

    /// Whether the first recipient cannot be taken: smtpd_proxy_filter
    pub fn proxy_filter(&self) -> bool {
        let Some(filter) = &self.proxy_filter else { return false };
        logging::warning!("connect to proxy filter {}: not implemented", text::printable(filter.as_bytes()));
        true
    }
}

/// smtpd_tls_security_level; while that is empty, smtpd_enforce_tls and smtpd_use_tls. A level that is none is the
/// strict one.
fn tls(config: &Config) -> Result<Tls, StartError> {
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
