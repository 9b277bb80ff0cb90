//! Where an old default decides about a client or a recipient, the log says so.

use config::OLD_DEFAULT;
use ipc::rewrite::{Class as AddressClass, Resolved};
use receiving::peer::is_in;

use crate::look_ups::LookUps;
use crate::old_defaults::OldDefaults;
use crate::restriction::{Evaluation, Verdict};

impl<L: LookUps> Evaluation<'_, L> {
    fn old(&self) -> OldDefaults {
        self.settings.old
    }

    /// The client is in mynetworks.
    pub(super) fn note_mynetworks_style(&self) {
        let peer = self.facts.peer;
        let is_own = |address| net::interfaces::is_own(&self.rules.own_addresses, address);
        let is_other = peer.address.is_some_and(|address| !address.is_loopback() && !is_own(address));
        if self.old().mynetworks_style && is_other {
            let client = &peer.label;
            logging::info!("{OLD_DEFAULT} mynetworks_style=subnet to permit request from client \"{client}\"");
        }
    }

    /// The recipient's domain is one that mail is relayed to.
    pub(super) fn note_relay_domain(&self, resolved: &Resolved) {
        if self.old().relay_domains && resolved.class == AddressClass::Relay {
            let (_, domain) = address::split(&resolved.recipient);
            let domain = text::printable(domain.unwrap_or_default());
            logging::info!("{OLD_DEFAULT} relay_domains=$mydestination to accept mail for domain \"{domain}\"");
        }
    }

    /// The recipient is one that mail is relayed to.
    pub(super) fn note_relay_recipient(&self, resolved: &Resolved) {
        if self.old().relay_domains && resolved.class == AddressClass::Relay {
            let address = text::printable(&resolved.recipient);
            logging::info!("{OLD_DEFAULT} relay_domains=$mydestination to accept mail for address \"{address}\"");
        }
    }

    /// No list of relay restrictions has had a word about the recipient.
    pub(super) async fn note_relay_restrictions(&mut self) {
        if !self.old().relay_restrictions || !self.rules.lists.relay.is_empty() {
            return;
        }
        let Some(recipient) = self.facts.recipient else { return };
        let peer = self.facts.peer;
        // What today's default lets pass: permit_mynetworks, permit_sasl_authenticated.
        if self.facts.login.is_some() || is_in(peer, &self.rules.tables.mynetworks).unwrap_or(true) {
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
    pub(super) fn note_order(&self, verdict: &Verdict) {
        if let (true, Verdict::Reject(_), Some(recipient)) = (self.old().relay_last, verdict, self.facts.recipient) {
            let (recipient, client) = (text::printable(recipient), &self.facts.peer.label);
            logging::info!(
                "{OLD_DEFAULT} smtpd_relay_before_recipient_restrictions=no to reject recipient \"{recipient}\" from \
                 client \"{client}\""
            );
        }
    }
}
