//! What main.cf asks of this daemon and the daemon does not have: mail is kept back, never taken as if nothing had been
//! asked for.

use config::{Config, Withheld};
use dsn::Status;
use ipc::cleanup::{Cause, Flags};

use crate::failure::Failure;
use crate::writer::Writer;

/// What is asked for and not there.
#[derive(Debug, Default)]
pub struct Missing {
    /// The name of a parameter.
    other: Option<&'static str>,
}

impl Missing {
    /// Reads what is asked for.
    pub fn read(config: &Config) -> Self {
        let mut missing = Missing::default();
        for Withheld { name, .. } in config.withheld("cleanup") {
            logging::warning!("{name} is not implemented: no mail is accepted while it is set");
            missing.other = Some(name);
        }
        missing
    }

    /// Judges a message that something which is not there should have looked at.
    pub fn judge(&self, flags: Flags, writer: &mut Writer) {
        // Notifications and forwarded mail are ours, and nobody's to filter.
        let from_outside = flags.has(Flags::FILTER.with(Flags::BCC));
        if let Some(name) = self.other.filter(|_| from_outside) {
            let failure = Failure::telling(Cause::Defer, Status::new(4, 3, 5), "Server configuration problem");
            let warning = format!("{name} is not implemented -- message not accepted, try again later");
            writer.refuse(failure.warning(warning));
        }
    }
}
