//! Defaults that an old compatibility_level keeps as they were: where one of them decides about a client, a sender or a
//! recipient, the log says so, for the next version would decide otherwise.

use config::{Config, OLD_DEFAULT, param};
use ipc::rewrite::{Class as AddressClass, Resolved};

use crate::look_ups::LookUps;
use crate::peer::is_in;
use crate::restriction::{Evaluation, Verdict};

/// Which are in force.
#[derive(Clone, Copy, Debug, Default)]
pub struct OldDefaults {
    /// mynetworks_style=subnet, where nothing says what mynetworks is.
    mynetworks_style: bool,
    /// relay_domains=$mydestination
    relay_domains: bool,
    /// smtpd_relay_before_recipient_restrictions=no
    relay_last: bool,
    /// smtpd_relay_restrictions empty
    relay_restrictions: bool,
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

impl<L: LookUps> Evaluation<'_, L> {
    fn old(&self) -> OldDefaults {
        self.settings.old
    }

    /// The client is in mynetworks.
    pub(crate) fn note_mynetworks_style(&self) {
        let peer = self.facts.peer;
        let is_own = |address| net::interfaces::is_own(&self.rules.own_addresses, address);
        let is_other = peer.address.is_some_and(|address| !address.is_loopback() && !is_own(address));
        if self.old().mynetworks_style && is_other {
            let client = &peer.label;
            logging::info!("{OLD_DEFAULT} mynetworks_style=subnet to permit request from client \"{client}\"");
        }
    }

    /// The recipient's domain is one that mail is relayed to.
    pub(crate) fn note_relay_domain(&self, resolved: &Resolved) {
        if self.old().relay_domains && resolved.class == AddressClass::Relay {
            let (_, domain) = address::split(&resolved.recipient);
            let domain = text::printable(domain.unwrap_or_default());
            logging::info!("{OLD_DEFAULT} relay_domains=$mydestination to accept mail for domain \"{domain}\"");
        }
    }

    /// The recipient is one that mail is relayed to.
    pub(crate) fn note_relay_recipient(&self, resolved: &Resolved) {
        if self.old().relay_domains && resolved.class == AddressClass::Relay {
            let address = text::printable(&resolved.recipient);
            logging::info!("{OLD_DEFAULT} relay_domains=$mydestination to accept mail for address \"{address}\"");
        }
    }

    /// No list of relay restrictions has had a word about the recipient.
    pub(crate) async fn note_relay_restrictions(&mut self) {
        if !self.old().relay_restrictions || !self.rules.lists.relay.is_empty() {
            return;
        }
        let Some(recipient) = self.facts.recipient else { return };
        let peer = self.facts.peer;
        if is_in(peer, &self.rules.tables.mynetworks).unwrap_or(true) {
            return;
        }
        let resolved = self.look_ups.resolve(self.facts.sender, recipient).await;
        if resolved.is_ok_and(|resolved| resolved.class == AddressClass::Default) {
            let (recipient, client) = (text::printable(recipient), &peer.label);
            logging::info!(
                "{OLD_DEFAULT} \"smtpd_relay_restrictions = (empty)\" to avoid \"Relay access denied\" error for \
                 recipient \"{recipient}\" from client \"{client}\""
            );
        }
    }

    /// smtpd_recipient_restrictions have had their word before smtpd_relay_restrictions.
    pub(crate) fn note_order(&self, verdict: &Verdict) {
        if let (true, Verdict::Reject(_), Some(recipient)) = (self.old().relay_last, verdict, self.facts.recipient) {
            let (recipient, client) = (text::printable(recipient), &self.facts.peer.label);
            logging::info!(
                "{OLD_DEFAULT} smtpd_relay_before_recipient_restrictions=no to reject recipient \"{recipient}\" from \
                 client \"{client}\""
            );
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
