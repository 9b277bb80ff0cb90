//! Defaults that an old compatibility_level keeps as they were: where one of them decides about a client, a sender or a
//! recipient, the log says so, for the next version would decide otherwise.

use config::{Config, OLD_DEFAULT, param};

/// Which are in force.
#[derive(Clone, Copy, Debug, Default)]
pub struct OldDefaults {
    /// mynetworks_style=subnet, where nothing says what mynetworks is.
    pub mynetworks_style: bool,
    /// relay_domains=$mydestination
    pub relay_domains: bool,
    /// smtpd_relay_before_recipient_restrictions=no
    pub relay_last: bool,
    /// smtpd_relay_restrictions empty
    pub relay_restrictions: bool,
    /// smtputf8_enable=no
    utf8: bool,
}

impl OldDefaults {
    /// Those of main.cf.
    pub fn read(config: &Config) -> OldDefaults {
        let keeps = |name: &str| config.backwards_compatible_default(name).is_some();
        OldDefaults {
            mynetworks_style: !config.is_set("mynetworks") && keeps(param::MYNETWORKS_STYLE.name()),
            relay_domains: keeps(param::RELAY_DOMAINS.name()),
            relay_last: keeps(param::SMTPD_RELAY_BEFORE_RECIPIENT_RESTRICTIONS.name()),
            relay_restrictions: keeps(param::SMTPD_RELAY_RESTRICTIONS.name()),
            utf8: keeps(param::SMTPUTF8_ENABLE.name()),
        }
    }
}

impl OldDefaults {
    /// An address of this client is taken; `what` is `sender` or `recipient`.
    pub fn note_utf8(self, what: &str, address: &[u8], client: &str) {
        if self.utf8 && !address.is_ascii() {
            let address = text::printable_ascii(address);
            logging::info!(
                "{OLD_DEFAULT} smtputf8_enable=no to accept non-ASCII {what} address \"{address}\" from {client}"
            );
        }
    }
}
