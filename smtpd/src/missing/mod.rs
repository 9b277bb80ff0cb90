//! What main.cf asks of this server and the server does not have: it answers as Postfix does where the thing is out of
//! order, and takes no mail as if nothing had been asked for.
//!
//! Which settings these are is the parameter table's word ([`config::Config::withheld`]): one that gets implemented is
//! no longer among them, and what stands here about it goes.

use config::{Config, Withheld};
use smtp_server::Lacking;

/// What is asked for and not there.
#[derive(Debug, Default)]
pub struct Missing {
    /// What the dialogue has to know of it.
    pub lacking: Lacking,
}

impl Missing {
    /// Reads what is asked for.
    pub fn read(config: &Config) -> Missing {
        let mut missing = Missing::default();
        for Withheld { name, .. } in config.withheld("smtpd") {
            logging::warning!("{name} is not implemented: no mail is accepted while it is set");
            missing.lacking.no_mail = true;
        }
        missing
    }
}
