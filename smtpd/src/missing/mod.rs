//! What main.cf asks of this server and the server does not have: it answers as Postfix does where the thing is out of
//! order, and takes no mail as if nothing had been asked for.
//!
//! Which settings these are is the parameter table's word ([`config::Config::withheld`]): one that gets implemented is
//! no longer among them, and what stands here about it goes.

use config::{Config, ErrorClass, Withheld};
use daemon::StartError;
use dsn::Status;
use smtp_server::{Lacking, Rejection, Turn};

/// What is asked for and not there.
#[derive(Debug, Default)]
pub struct Missing {
    /// What the dialogue has to know of it.
    pub lacking: Lacking,
    /// smtpd_upstream_proxy_protocol: the address of the client is not known without it.
    upstream: bool,
}

impl Missing {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// A setting that makes no sense.
    pub fn read(config: &Config) -> Result<Missing, StartError> {
        let mut missing = Missing::default();
        for Withheld { name, value } in config.withheld("smtpd") {
            match name {
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
    pub fn refusal(&self, hostname: &str) -> Option<Turn> {
        if self.upstream {
            logging::warning!("haproxy read: smtpd_upstream_proxy_protocol is not implemented");
            let text = format!("{hostname} Server local error");
            let rejection = Rejection::new(421, Status::new(4, 3, 0), text).of(ErrorClass::Software);
            return Some(Turn::from(rejection).closing());
        }
        None
    }
}
