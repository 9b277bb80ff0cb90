//! What main.cf asks of this daemon and the daemon does not have: mail is kept back, never taken as if nothing had been
//! asked for.

use config::milter::{self, Lapse, Milter};
use config::{Config, Withheld, param};
use daemon::StartError;
use ipc::cleanup::{Cause, Flags};

use crate::incoming::Incoming;

/// What is asked for and not there.
#[derive(Debug, Default)]
pub struct Missing {
    /// non_smtpd_milters
    milters: Vec<Milter>,
    /// The name of another parameter.
    other: Option<&'static str>,
}

impl Missing {
    /// Reads what is asked for.
    ///
    /// # Errors
    /// A list of milters that makes no sense.
    pub fn read(config: &Config) -> Result<Self, StartError> {
        let mut missing = Missing::default();
        for Withheld { name, value } in config.withheld("cleanup") {
            if name == param::NON_SMTPD_MILTERS.name() {
                let action = config.get(param::MILTER_DEFAULT_ACTION)?;
                missing.milters = milter::parse(&value, &action).map_err(StartError::new)?;
            } else {
                logging::warning!("{name} is not implemented: no mail is accepted while it is set");
                missing.other = Some(name);
            }
        }
        Ok(missing)
    }
}

impl Incoming<'_> {
    /// Fails a message that something which is not there should have looked at.
    pub(crate) fn miss(&mut self) {
        let missing = &self.site.missing;
        // Notifications and forwarded mail are ours, and nobody's to filter.
        let from_outside = self.flags.has(Flags::FILTER.with(Flags::BCC.with(Flags::MILTER)));
        if let Some(name) = missing.other.filter(|_| from_outside) {
            logging::warning!("{}: {name} is not implemented -- message not accepted, try again later", self.id);
            return self.fail(Cause::Defer, "4.3.5 Server configuration problem");
        }
        // A message whose client is told of refusals comes from smtpd, which has milters of its own.
        if !self.flags.has(Flags::MILTER) || !self.flags.has(Flags::BOUNCE) {
            return;
        }
        let lapse = milter::lapse(&missing.milters, |service| {
            logging::warning!("connect to Milter service {}: not implemented", text::printable(service.as_bytes()));
        });
        self.suffer(lapse);
    }

    fn suffer(&mut self, lapse: Lapse) {
        let (cause, text) = match lapse {
            Lapse::Nothing => return,
            Lapse::Hold => (None, "default_action"),
            Lapse::Reject => (Some(Cause::Content), "5.5.0 Service unavailable"),
            Lapse::Tempfail => (Some(Cause::Defer), "4.7.1 Service unavailable - try again later"),
            Lapse::Shutdown => (Some(Cause::Write), "4.7.1 Service unavailable - try again later"),
            Lapse::Misconfigured => (Some(Cause::Defer), "4.3.5 Server configuration problem - try again later"),
        };
        let action = if cause.is_some() { "milter-reject" } else { "milter-hold" };
        let sender = text::printable(&address::quote(self.facts.sender.as_deref().unwrap_or_default()));
        logging::info!("{}: {action}: CONNECT from localhost[127.0.0.1]: {text}; from=<{sender}>", self.id);
        match cause {
            None => self.flags = self.flags.with(Flags::HOLD),
            Some(cause) => self.fail(cause, text),
        }
    }
}
