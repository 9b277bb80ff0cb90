//! permit_mx_backup: mail for a domain that names this system as a mail exchanger, but not as the first.

use std::sync::Once;

use dns::MailExchanger;
use dsn::Status;
use smtp_server::Rejection;

use crate::look_ups::LookUps;
use crate::restriction::domain::may_change;
use crate::restriction::{Class, Evaluation, Verdict};

/// Mail exchangers of one domain that are looked at. told: the client, who may try again.
const MAX_EXCHANGERS: usize = 100;

impl<L: LookUps> Evaluation<'_, L> {
    /// permit_mx_backup
    pub(super) async fn permit_mx_backup(&mut self) -> Verdict {
        let Some(recipient) = self.facts.recipient else { return Verdict::Dunno };
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            logging::warning!(
                "support for restriction \"permit_mx_backup\" will be removed from Postfix; instead, specify \
                 \"relay_domains\""
            );
        });
        match self.permit_auth_destination().await {
            Verdict::Dunno => {}
            verdict => return verdict,
        }
        let (local, Some(domain)) = address::split(recipient) else { return Verdict::Dunno };
        // What asks for further routing, or for a host by its address, is no mail for a domain.
        if local.iter().any(|byte| matches!(byte, b'@' | b'%' | b'!')) || domain.starts_with(b"[") {
            return Verdict::Dunno;
        }
        let domain = String::from_utf8_lossy(domain).into_owned();
        match self.look_ups.mail_exchangers(&domain).await {
            Ok(mut found) => {
                found.sort_by_key(|exchanger| exchanger.preference);
                if found.len() > MAX_EXCHANGERS {
                    return self.unknown_exchangers("information", "too many of them");
                }
                self.backup(&found).await
            }
            Err(error) if may_change(&error) => self.unknown_exchangers("information", error.reason()),
            Err(_) => Verdict::Dunno,
        }
    }

    /// Some exchanger is this system, none of the best ones is, and all of these are in permit_mx_backup_networks.
    async fn backup(&mut self, exchangers: &[MailExchanger]) -> Verdict {
        let Some(best) = exchangers.first().map(|exchanger| exchanger.preference) else { return Verdict::Dunno };
        let (mut primary, mut found) = (Vec::new(), false);
        for exchanger in exchangers {
            let addresses = match self.look_ups.hosts(&exchanger.host).await {
                Ok(addresses) => addresses,
                Err(error) => {
                    let host = format!("host {}", text::printable(exchanger.host.as_bytes()));
                    self.unknown_exchangers(&host, error.system_text());
                    continue;
                }
            };
            let is_own = addresses.iter().any(|address| self.rules.system_addresses.contains(address));
            match exchanger.preference == best {
                true if is_own => return Verdict::Dunno,
                true => primary.extend(addresses),
                false => found = is_own,
            }
            if found {
                break;
            }
        }
        if !found {
            return Verdict::Dunno;
        }
        let networks = &self.rules.tables.mx_backup_networks;
        if networks.is_empty() {
            return Verdict::Permit;
        }
        for address in &primary {
            match networks.matches_host(b"", net::Shown(*address).to_string().as_bytes()) {
                Ok(true) => {}
                Ok(false) => return Verdict::Dunno,
                Err(_) => {
                    let name = self.facts.recipient.unwrap_or_default();
                    return self.server_error(Rejection::temporary_lookup(name));
                }
            }
        }
        if primary.is_empty() { Verdict::Dunno } else { Verdict::Permit }
    }

    /// What is not known of the exchangers may be known later: no final "no" till then.
    fn unknown_exchangers(&mut self, what: &str, reason: &str) -> Verdict {
        let text = self.text(Class::Recipient, format!("Unable to look up mail exchanger {what}: {reason}"));
        self.defer_if_reject(Rejection::new(450, Status::new(4, 4, 4), text))
    }
}
