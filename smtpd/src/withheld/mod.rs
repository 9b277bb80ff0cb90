//! What main.cf asks of this server and the server does not have: it answers as Postfix does where the thing is out of
//! order, and takes no mail as if nothing had been asked for.
//!
//! Which settings these are is the parameter table's word ([`config::Config::withheld`]): one that gets implemented is
//! no longer among them, and what stands here about it goes.

mod milters;
mod tls;

use config::{Config, Withheld, param};
use daemon::StartError;
use delivery::transcript::ErrorClass;
use smtp_protocol::{Reply, Verb};

pub use config::milter::Lapse;
pub use milters::{Milters, rejection as milters_rejection};
pub use tls::{Tls, start as start_tls};

use crate::rejection::Rejection;
use crate::session::{End, Session};

/// What is asked for and not there.
#[derive(Debug, Default)]
pub struct Missing {
    /// smtpd_tls_security_level and its older forms.
    pub tls: Tls,
    /// smtpd_tls_wrappermode
    wrapper: bool,
    /// smtpd_milters, smtpd_milter_maps
    pub milters: Milters,
    /// smtpd_proxy_filter
    proxy_filter: Option<String>,
    /// smtpd_upstream_proxy_protocol: the address of the client is not known without it.
    upstream: bool,
    /// The name of another parameter: no mail is taken while it is set.
    other: Option<&'static str>,
}

impl Missing {
    /// Reads what is asked for. `milters`: receive_override_options leaves them in force.
    ///
    /// # Errors
    /// A setting that makes no sense.
    pub fn read(config: &Config, milters: bool) -> Result<Missing, StartError> {
        let mut missing = Missing { tls: Tls::read(config)?, ..Missing::default() };
        for Withheld { name, value } in config.withheld("smtpd") {
            match name {
                "smtpd_tls_security_level" | "smtpd_enforce_tls" => {}
                // Nobody is a user: AUTH is refused, and so are restrictions that ask for one.
                "smtpd_sasl_auth_enable" => {}
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
                    missing.other = Some(other);
                }
            }
        }
        Ok(missing)
    }
}

impl Session {
    /// Before the first word to the client: what cannot be served at all.
    pub fn refuse_connection(&mut self) -> Result<(), End> {
        let missing = &self.worker.missing;
        if missing.wrapper {
            let (client, service) = (&self.peer.label, &self.worker.service_name);
            logging::warning!(
                "Wrapper-mode request dropped from {client} for service {service}. TLS context initialization failed. \
                 For details see earlier warnings in your logs."
            );
            return Err(End::Done);
        }
        if missing.upstream {
            logging::warning!("haproxy read: smtpd_upstream_proxy_protocol is not implemented");
            let text = format!("{} Server local error", self.worker.settings.myhostname);
            self.transcript.note(ErrorClass::Software);
            self.reply(Reply::with_status(421, "4.3.0", text));
            return Err(End::Done);
        }
        Ok(())
    }

    /// The milters of a client that has just come. What it is told when one is missing whose absence closes connections.
    pub fn connect_milters(&mut self) -> Result<(), End> {
        self.lapse = self.worker.missing.milters.lapse(&self.peer.address_text());
        self.log_lapse(None);
        if self.lapse == Lapse::Shutdown {
            let text = format!("{} Service unavailable - try again later", self.worker.settings.myhostname);
            self.transcript.note(ErrorClass::Software);
            self.reply(Reply::plain(421, text));
            return Err(End::Done);
        }
        Ok(())
    }

    /// The log line about a milter that is missed at this command.
    pub fn log_lapse(&self, sender: Option<&[u8]>) {
        if let Some(rejection) = milters::rejection(self.lapse) {
            self.log_about("milter-reject", &rejection.shown(), sender, None);
        } else if self.lapse == Lapse::Hold && self.command != "EHLO" && self.command != "HELO" {
            self.log_about("milter-hold", "default_action", sender, None);
        }
    }

    /// Why a command is turned down whatever it says.
    pub fn refusal(&self, verb: Verb) -> Option<Rejection> {
        if self.worker.missing.tls == Tls::Required && tls::is_guarded(verb) {
            return Some(tls::required());
        }
        match verb {
            Verb::Mail if self.worker.missing.other.is_some() => Some(Rejection::server_problem()),
            Verb::Vrfy | Verb::Etrn => milters::rejection(self.lapse),
            _ => None,
        }
    }

    /// Why the first recipient cannot be taken: smtpd_proxy_filter
    pub fn misses_proxy_filter(&self) -> bool {
        let Some(filter) = &self.worker.missing.proxy_filter else { return false };
        logging::warning!("connect to proxy filter {}: not implemented", text::printable(filter.as_bytes()));
        true
    }
}
