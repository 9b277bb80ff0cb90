//! What main.cf asks of this daemon and the daemon does not have: mail is kept back, never taken as if nothing had been
//! asked for.

use config::milter::{self, Lapse, Milter};
use config::{Config, Withheld, param};
use daemon::StartError;
use dsn::Status;
use ipc::cleanup::{Cause, Flags};

use crate::failure::Failure;
use crate::writer::Writer;

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

    /// Judges a message that something which is not there should have looked at.
    pub fn judge(&self, flags: Flags, sender: &[u8], writer: &mut Writer) {
        // Notifications and forwarded mail are ours, and nobody's to filter.
        let from_outside = flags.has(Flags::FILTER.with(Flags::BCC.with(Flags::MILTER)));
        if let Some(name) = self.other.filter(|_| from_outside) {
            let failure = Failure::telling(Cause::Defer, Status::new(4, 3, 5), "Server configuration problem");
            let warning = format!("{name} is not implemented -- message not accepted, try again later");
            return writer.refuse(failure.warning(warning));
        }
        // A message whose client is told of refusals comes from smtpd, which has milters of its own.
        if !flags.has(Flags::MILTER) || !flags.has(Flags::BOUNCE) {
            return;
        }
        let lapse = milter::lapse(&self.milters, |service| {
            logging::warning!("connect to Milter service {}: not implemented", text::printable(service.as_bytes()));
        });
        suffer(lapse, sender, writer);
    }
}

fn suffer(lapse: Lapse, sender: &[u8], writer: &mut Writer) {
    let (cause, status, text) = match lapse {
        Lapse::Nothing => return,
        Lapse::Hold => {
            log_milter("milter-hold", "default_action", sender, writer);
            writer.verdict.hold = true;
            return;
        }
        Lapse::Reject => (Cause::Content, Status::new(5, 5, 0), "Service unavailable"),
        Lapse::Tempfail => (Cause::Defer, Status::new(4, 7, 1), "Service unavailable - try again later"),
        Lapse::Shutdown => (Cause::Write, Status::new(4, 7, 1), "Service unavailable - try again later"),
        Lapse::Misconfigured => (Cause::Defer, Status::new(4, 3, 5), "Server configuration problem - try again later"),
    };
    log_milter("milter-reject", &format!("{status} {text}"), sender, writer);
    writer.refuse(Failure::telling(cause, status, text));
}

fn log_milter(action: &str, text: &str, sender: &[u8], writer: &Writer) {
    let sender = text::printable(&address::quote(sender));
    logging::info!(id: writer.id(), "{action}: CONNECT from localhost[127.0.0.1]: {text}; from=<{sender}>");
}
